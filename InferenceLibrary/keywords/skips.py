"""Keywords that skip a test when what it needs is not there, loudly: with what to do."""

from __future__ import annotations

import os
from typing import Any

from robot.api import SkipExecution
from robot.api.deco import keyword

from InferenceLibrary.errors import RequestError
from InferenceLibrary.keywords.shared.base import KeywordGroup

_PATIENCE = 2.0
"""Seconds in which a server that is there answers its health route."""


class SkipKeywords(KeywordGroup):
    """Conditions of tests that need something from outside."""

    @keyword(tags=["skip", "server"])
    def skip_unless_server_is_available(self, url: str | None = None, *, hint: str = "start it first.") -> None:
        """Skip the test when a server does not answer its health route with a status below 500.

        Args:
            url: Its address; the current server's by default.
            hint: What to do, for the message of the skip.

        Raises:
            SkipExecution: Nobody answers there within 2 s, or only with errors.

        Example:
        ```robotframework
        *** Test Cases ***
        Only Where It Runs
            Skip Unless Server Is Available    http://127.0.0.1:9    hint=make test-integration-up starts one.
            Connect To Server    http://127.0.0.1:9
        ```
        """
        self._skip_unless_available("Server", url or self.context.servers.get().base_url, hint)

    @keyword(tags=["skip", "server"])
    def skip_unless_the_gateway_is_available(self, url: str | None = None) -> None:
        """Skip the test when the gateway does not answer.

        Args:
            url: Its address; the environment variable `LLM_GATEWAY_URL` by default.

        Raises:
            SkipExecution: No address is known, or nobody answers there within 2 s.

        Example:
        ```robotframework
        *** Test Cases ***
        Through The Gateway
            Skip Unless The Gateway Is Available
            Connect To Server    %{LLM_GATEWAY_URL}
            ${reply} =    Chat    Hello    model=inference:phi-4
            Should Not Be Empty    ${reply.text}
        ```
        """
        address = url or os.environ.get("LLM_GATEWAY_URL")
        if not address:
            raise SkipExecution("No gateway is known. Start it and set LLM_GATEWAY_URL to its address.")
        self._skip_unless_available("Gateway", address, "start it, or correct LLM_GATEWAY_URL.")

    @keyword(tags=["skip", "models"])
    def skip_unless_a_model_is_loaded(self, *, server: Any = None) -> None:
        """Skip the test when a server has no model to answer with.

        A model of its list counts, unless the list says that it is not loaded (`"loaded": false`, or a `status` other
        than `loaded` and `ready`).

        Args:
            server: Alias, handle or object; None for the current one.

        Raises:
            SkipExecution: There is none.
            RequestError: The list cannot be had.

        Example:
        ```robotframework
        *** Test Cases ***
        With A Model
            Start Server    simulator
            Skip Unless A Model Is Loaded
            ${reply} =    Chat    Hello
            Should Not Be Empty    ${reply.text}
        ```
        """
        found = self.context.servers.get(server)
        from InferenceLibrary.client.sending import Sending

        reply = found.client.send("GET", "/v1/models", sending=Sending())
        data = reply.json.get("data", reply.json.get("models")) if isinstance(reply.json, dict) else None
        models = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
        if not any(is_loaded(item) for item in models):
            raise SkipExecution(
                f"'{found.name}' has no loaded model ({len(models)} are listed). Load one, for example by "
                f"POST /v1/models/NAME/load, or start it with a model."
            )

    def _skip_unless_available(self, what: str, url: str, hint: str) -> None:
        from InferenceLibrary.client.http import Client
        from InferenceLibrary.client.limits import Limits

        client = Client(url, name=url, limits=Limits(total=_PATIENCE), redact=self.context.redactor)
        try:
            got = f"status {client.send('GET', '/health').status}"
        except RequestError as error:
            got = error.attempts[-1].error or "no answer"
        if not got.startswith("status ") or got.startswith("status 5"):
            raise SkipExecution(f"{what} {self.context.redactor(url)} is not available: {got}. Hint: {hint}")


def is_loaded(model: dict[str, Any]) -> bool:
    status = model.get("status")
    if isinstance(status, dict):
        status = status.get("value")
    if isinstance(status, str) and status.lower() not in {"loaded", "ready"}:
        return False
    return model.get("loaded") is not False
