"""Keywords that ask a server for an answer in one piece."""

from __future__ import annotations

from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.keywords.shared.arguments import prompt_of, revealed
from InferenceLibrary.keywords.shared.calling import CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import (
    FORMAT,
    GENERATION,
    SENDING,
    TOOLS,
    TRANSPORT,
    takes,
)
from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS
from InferenceLibrary.protocol.statuses import ANY
from InferenceLibrary.types import Messages


class ChatKeywords(CallGroup):
    """Chats, completions, model lists, and requests of any kind."""

    @keyword(tags=["chat", "call"])
    @takes(GENERATION, TOOLS, FORMAT, SENDING)
    def chat(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        **options: Any,
    ) -> Reply:
        """Ask for a chat answer (`POST /v1/chat/completions`).

        Args:
            messages: Text for one user message, or a JSON array of messages with `role` and `content`.
            system: A system message put before them.

        Returns:
            The reply: `${reply.text}`, `${reply.finish_reason}`, `${reply.usage.total_tokens}`, `${reply.elapsed}` in
            seconds, `${reply.status}`, `${reply.error.message}`, `${reply.json}`, `${reply.attempts}`.

        Raises:
            RequestError: No answer in time, another status than expected, or an answer that is not JSON.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=20
            Answer Should Contain    ${reply}    Paris
        ```
        """
        call = self._call(options, messages=messages, system=system)
        return self._made("chat", call, lambda: call.server.client.ask(CHAT, call.question, call.sending))

    @keyword(tags=["chat", "call"])
    @takes(GENERATION, SENDING)
    def complete(
        self,
        prompt: str | list[str] | None = None,
        *,
        tokens: list[int] | None = None,
        **options: Any,
    ) -> Reply:
        """Ask for a text completion (`POST /v1/completions`).

        Args:
            prompt: The text to continue; a list of texts, or JSON text of one, gives a choice for each.
            tokens: Ids of the tokens to continue, in place of a text.

        Returns:
            The reply, as from [Chat].

        Raises:
            RequestError: No answer in time, another status than expected, or an answer that is not JSON.
            ValueError: There is neither a text nor tokens, or both.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Tokens
            Start Server    simulator
            ${reply} =    Complete    What is the capital of France?    max_tokens=5
            Finish Reason Should Be    ${reply}    length
            ${reply} =    Complete    ["What is the capital of France?", "What is the capital of Italy?"]
            Choices Should Be    ${reply}    2
        ```
        """
        call = self._call(options, prompt=prompt_of(prompt, tokens))
        return self._made("completion", call, lambda: call.server.client.ask(COMPLETIONS, call.question, call.sending))

    @keyword(tags=["chat", "call"])
    def list_models(self, *, server: Any = None) -> list[str]:
        """Return the ids of the models that a server lists (`GET /v1/models`).

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The ids, in the server's order.

        Raises:
            RequestError: No answer, another status than 200, or no list of models.

        Example:
        ```robotframework
        *** Test Cases ***
        Model List
            Start Server    simulator
            ${models} =    List Models
            Should Be Equal    ${models}    ${{['fake-model']}}
        ```
        """
        call = self._call({"server": server})
        return self._made("model list", call, lambda: call.server.client.model_list(call.sending)).models

    @keyword(tags=["chat", "call"])
    @takes(TRANSPORT)
    def send_request(
        self,
        method: str,
        path: str,
        body: Any = None,
        **options: Any,
    ) -> Reply:
        """Send any request, also a wrong one, and return the answer; any status is good unless one is expected.

        Args:
            method: HTTP method.
            path: Path below the server's address: `/v1/chat/completions`.
            body: Text that is sent as it is; a dictionary or list variable is sent as JSON.

        Returns:
            The reply, as from [Chat].

        Raises:
            RequestError: No answer in time, or another status than expected.

        Example:
        ```robotframework
        *** Test Cases ***
        Broken JSON
            Start Server    simulator
            ${reply} =    Send Request    POST    /v1/chat/completions    {"model":    expected_status=400
            Should Not Be Empty    ${reply.error.message}
        ```
        """
        call = self._call(options, success=ANY)
        body = revealed(self.context, body)
        method = method.upper()
        return self._made(f"{method} {path}", call, lambda: call.server.client.send(method, path, body, call.sending))
