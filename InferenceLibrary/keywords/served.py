"""Keywords on what a server lets in and what it has loaded: keys of its routes, states of its models."""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.errors import CheckFailure, refuse_empty
from InferenceLibrary.keywords.shared.arguments import revealed
from InferenceLibrary.keywords.shared.calling import Call, CallGroup

_WRONG_KEY = "not-a-key-of-this-server"
_REFUSALS = (401, 403)
_STATES = ("status.value", "status", "state")
"""Where servers tell the state of a model in their list: llama.cpp, others."""


class ServedKeywords(CallGroup):
    """Keys and models."""

    @keyword(tags=["server", "assertion"])
    def route_should_need_a_key(self, method: str, path: str, body: Any = None, *, server: Any = None) -> None:
        """Check that a route refuses a call without a key and one with a wrong key, and takes the server's own.

        Args:
            method: HTTP method.
            path: Path below the server's address.
            body: Text that is sent as it is; a dictionary or list variable is sent as JSON.
            server: Alias, handle or object, with a key; None for the current one.

        Raises:
            CheckFailure: A call without a key is not refused by 401 or 403; one with a wrong key is not; one with the
                server's own key is; or no key of the server is known.
            RequestError: No answer in time.

        Example:
        ```robotframework
        *** Settings ***
        Library    OperatingSystem

        *** Test Cases ***
        Locked
            Set Environment Variable    MY_KEY    key-1
            VAR    ${key: Secret}    %{MY_KEY}
            ${started} =    Start Server    simulator    arguments=--api-key=key-1
            Connect To Server    ${started.base_url}    api_key=${key}    alias=keyed
            Route Should Need A Key    GET    /v1/models
        ```
        """
        body = revealed(self.context, body)
        method = method.upper()
        if self._call({"server": server}).server.client.api_key is None:
            raise CheckFailure(
                "Key of a route: expected a server whose key is known. Hint: give api_key= when it begins."
            )
        for key, what in (("none", "without a key"), (_WRONG_KEY, "with a wrong key"), (None, "with the server's key")):
            call = self._call({"server": server, "api_key": key, "expected_status": "any"})
            reply = self._answer(call, method, path, body)
            if (reply.status in _REFUSALS) is (key is None):
                wanted = "an answer" if key is None else f"a refusal by {' or '.join(map(str, _REFUSALS))}"
                said = shorten(reply.redact(reply.body))
                raise CheckFailure(f"{method} {path} {what}: expected {wanted}, got {reply.status}: {said}.")
        self.log.info(f"{method} {path} needs a key.")

    @keyword(tags=["models", "assertion"])
    def served_model_should_be(
        self, model: str, state: str, *, within: timedelta = timedelta(0), server: Any = None
    ) -> None:
        """Check the state of a model in the list of a server that tells states, as routers and services do.

        Args:
            model: Its id.
            state: The state, as the server calls it: `loaded`, `unloaded`, `loading`, `available`.
            within: How long the check is tried again until it holds.
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: The model has another state at the end of the time, the list tells no state; or there is no
                such model, with the nearest id.
            RequestError: No answer in time, or no list of models.

        Example:
        ```robotframework
        *** Test Cases ***
        Loaded Or Not
            Start Server    service    loaded_models=phi-4
            Served Model Should Be    phi-4    loaded    within=5 s
        ```
        """
        from InferenceLibrary.keywords.shared.waiting import checked_within
        from InferenceLibrary.protocol.json_path import place_in

        refuse_empty("the list of models", model, state)
        call = self._call({"server": server})

        def checked() -> None:
            listed = call.server.client.model_list(call.sending).json["data"]
            known = {str(one.get("id")): one for one in listed if isinstance(one, dict)}
            if model not in known:
                close = difflib.get_close_matches(model, known, n=1)
                meant = f" Did you mean '{close[0]}'?" if close else ""
                raise CheckFailure(
                    f"Model '{model}': expected it in the list, got {', '.join(known) or 'none'}.{meant}"
                )
            found = next((place.value for path in _STATES if (place := place_in(known[model], path)).value), None)
            if found is None:
                raise CheckFailure(f"Model '{model}': expected {state}, got no state in {known[model]}.")
            if found != state:
                raise CheckFailure(f"Model '{model}': expected {state}, got {found}.")

        checked_within(checked, within)
        self.log.info(f"{model} is {state}.")

    @staticmethod
    def _answer(call: Call, method: str, path: str, body: Any) -> Reply:
        return call.server.client.send(method, path, body, call.sending)
