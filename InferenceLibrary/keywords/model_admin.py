"""Keywords for what servers do with models besides generating: tokens, models, adapters, sleep."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.keywords.shared.calling import CallGroup, has_failed
from InferenceLibrary.keywords.shared.shared_arguments import SENDING, takes
from InferenceLibrary.protocol.statuses import OK
from InferenceLibrary.types import JsonObject


class ModelAdminKeywords(CallGroup):
    """Tokens, and models that come and go."""

    @keyword(tags=["models", "call"])
    @takes(SENDING)
    def tokenize(self, text: str, *, model: str | None = None, **options: Any) -> list[int] | Reply:
        """Return the token ids of a text (`POST /tokenize`).

        Args:
            text: The text.
            model: Model whose tokens they are; the server's by default.

        Returns:
            The ids.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: The answer holds no ids, or another count than it tells.

        Example:
        ```robotframework
        *** Test Cases ***
        Tokens
            Start Server    simulator
            ${tokens} =    Tokenize    What is the capital of France?
            Should Not Be Empty    ${tokens}
        ```
        """
        # vLLM calls the text `prompt`, llama.cpp `content`; each ignores the other's key.
        reply = self._post("/tokenize", {"prompt": text, "content": text}, options, model)
        if has_failed(reply):
            return reply
        tokens = reply.json.get("tokens") if isinstance(reply.json, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise CheckFailure(f"Tokens: expected whole numbers in 'tokens', got {cut(reply.body, 200)}.")
        if reply.json.get("count", len(tokens)) != len(tokens):
            raise CheckFailure(f"Tokens: expected {reply.json['count']}, as 'count' says, got {len(tokens)}.")
        return tokens

    @keyword(tags=["models", "call"])
    @takes(SENDING)
    def detokenize(self, tokens: list[int], *, model: str | None = None, **options: Any) -> str | Reply:
        """Return the text of token ids (`POST /detokenize`).

        Args:
            tokens: The ids, as a list variable or a JSON array.
            model: Model whose tokens they are; the server's by default.

        Returns:
            The text.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: The answer holds no text.

        Example:
        ```robotframework
        *** Test Cases ***
        There And Back
            Start Server    simulator
            ${tokens} =    Tokenize    What is the capital of France?
            ${text} =    Detokenize    ${tokens}
            Should Be Equal    ${text}    What is the capital of France?
        ```
        """
        reply = self._post("/detokenize", {"tokens": tokens}, options, model)
        if has_failed(reply):
            return reply
        text = reply.json.get("prompt", reply.json.get("content")) if isinstance(reply.json, dict) else None
        if not isinstance(text, str):
            raise CheckFailure(f"Text of tokens: expected it in 'prompt' or 'content', got {cut(reply.body, 200)}.")
        return text

    @keyword(tags=["models", "call"])
    @takes(SENDING)
    def load_served_model(self, model: str, *, settings: JsonObject | None = None, **options: Any) -> Reply:
        """Have a server load a model, by the route of its profile.

        That is `model_routes.load`: `POST /v1/models/MODEL/load` by default, `POST /models/load` with `model` in the
        body for llama-server as a router, `POST /v1/models/reload` with `model_id` for mistral.rs.

        Args:
            model: Its id.
            settings: Further keys of the request.

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or the server refuses.

        Example:
        ```robotframework
        *** Test Cases ***
        One Model Only
            Start Server    simulator
            Load Served Model    another    expected_status=404
        ```
        """
        return self._model_action(model, "load", settings, options)

    @keyword(tags=["models", "call"])
    @takes(SENDING)
    def unload_served_model(self, model: str, **options: Any) -> Reply:
        """Have a server unload a model, by the route of its profile.

        That is `model_routes.unload`: `POST /v1/models/MODEL/unload` by default, `POST /models/unload` with `model` in
        the body for llama-server as a router, `POST /v1/models/unload` with `model_id` for mistral.rs.

        Args:
            model: Its id.

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or the server refuses.

        Example:
        ```robotframework
        *** Test Cases ***
        One Model Only
            Start Server    simulator
            Unload Served Model    fake-model    expected_status=404
        ```
        """
        return self._model_action(model, "unload", None, options)

    @keyword(tags=["lora", "call"])
    @takes(SENDING)
    def load_adapter(self, name: str, path: str, **options: Any) -> Reply:
        """Have a server load a LoRA adapter (`POST /v1/load_lora_adapter`). It is asked for as a model from then on.

        Args:
            name: The model name that it gets.
            path: Where the server finds it.

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or the server refuses.

        Example:
        ```robotframework
        *** Test Cases ***
        Adapter
            Start Server    simulator
            Load Adapter    pirate    /adapters/pirate
            ${reply} =    Chat    Hello    model=pirate
            Should Be Equal    ${reply.model}    pirate
        ```
        """
        return self._change("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, options)

    @keyword(tags=["lora", "call"])
    @takes(SENDING)
    def unload_adapter(self, name: str, **options: Any) -> Reply:
        """Have a server unload a LoRA adapter (`POST /v1/unload_lora_adapter`).

        Args:
            name: Its model name.

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or the server refuses.

        Example:
        ```robotframework
        *** Test Cases ***
        Come And Gone
            Start Server    simulator
            Load Adapter    pirate    /adapters/pirate
            Unload Adapter    pirate
            Chat    Hello    model=pirate    expected_status=404
        ```
        """
        return self._change("/v1/unload_lora_adapter", {"lora_name": name}, options)

    @keyword(tags=["server", "call"])
    @takes(SENDING)
    def put_server_to_sleep(self, *, level: int = 1, **options: Any) -> Reply:
        """Have a server free its GPU memory and sleep (vLLM's `POST /sleep`).

        Args:
            level: 1 keeps the weights in main memory, 2 drops them.

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: It says that it is awake.

        Example:
        ```robotframework
        *** Test Cases ***
        Sleep
            VAR    &{mode}    VLLM_SERVER_DEV_MODE=1
            Start Server    simulator    arguments=--enable-sleep-mode    environment=${mode}
            Put Server To Sleep
            Wake Server Up
        ```
        """
        reply = self._post(f"/sleep?level={level}", None, options, None, named=False)
        if not has_failed(reply):
            self._should_sleep(options, expected=True)
        return reply

    @keyword(tags=["server", "call"])
    @takes(SENDING)
    def wake_server_up(self, **options: Any) -> Reply:
        """Have a sleeping server serve again (vLLM's `POST /wake_up`).

        Returns:
            The reply.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: It says that it sleeps.

        Example:
        ```robotframework
        *** Test Cases ***
        Awake
            Start Server    simulator
            Wake Server Up
        ```
        """
        reply = self._post("/wake_up", None, options, None, named=False)
        if not has_failed(reply):
            self._should_sleep(options, expected=False)
        return reply

    def _should_sleep(self, options: dict[str, Any], *, expected: bool) -> None:
        call = self._call({**options, "expected_status": OK})
        reply = call.server.client.send("GET", "/is_sleeping", sending=call.sending)
        if not isinstance(reply.json, dict) or reply.json.get("is_sleeping") is not expected:
            raise CheckFailure(f"Sleep: expected is_sleeping {str(expected).lower()}, got {cut(reply.body, 200)}.")

    def _model_action(self, model: str, action: str, settings: Any, options: dict[str, Any]) -> Reply:
        routes = self._call(options).server.profile.model_routes
        path = getattr(routes, action).replace("{model}", quote(model, safe=""))
        named = {routes.body_key: model} if routes.body_key is not None else {}
        return self._change(path, {**(settings or {}), **named}, options)

    def _change(self, path: str, body: dict[str, Any], options: dict[str, Any]) -> Reply:
        """Change what a server serves: the model list that was read before says nothing any more."""
        reply = self._post(path, body, options, None, named=False)
        client = self._call(options).server.client
        client.listed, client.seen_models = None, ()
        return reply

    def _post(
        self, path: str, body: dict[str, Any] | None, options: dict[str, Any], model: str | None, *, named: bool = True
    ) -> Reply:
        call = self._call(options)
        whole = dict(body or {}) | dict(call.question.extra or {})
        if named:
            whole["model"] = model or call.server.client.model
        sent = whole if body is not None else None
        return self._made(path, call, lambda: call.server.client.send("POST", path, sent, call.sending))
