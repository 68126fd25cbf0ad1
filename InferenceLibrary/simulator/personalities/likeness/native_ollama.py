"""Routes that only Ollama has: `/api`, in lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.embeddings import LONGEST, vector
from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, to_json
from InferenceLibrary.simulator.personalities.likeness.asks import ask_of
from InferenceLibrary.simulator.personalities.likeness.generation import outputs, settle
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.wording import in_go

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_JSON = "application/json; charset=utf-8"
_LINES = "application/x-ndjson"
_DIGEST = "d5a967a89a6942d78bad6efb853588658aa787ff2233a3d8cc1d36197cbb2841"
_LAYERS = (
    "c0a656e31f15d1dff65708a71b5122f0ecd72427e6975265d70494ecf146c1a5",
    "53008030e86c40f470d60fe4d8c77f5fa132f564225ea4eff76ce33640b10b82",
    "6ea694af5524554a28a092c5c065d59e085d9b3ad2bb85562ae17a3286fbb5d5",
)
"""Weights, template and parameters of the model."""
_DETAILS = {
    "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "409K",
    "quantization_level": "unknown",
}  # fmt: skip
_ZERO_DURATIONS = {"total_duration": 7_000_000, "load_duration": 1_300_000}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._copies: list[str] = []

    def _tell(self, turn: Turn, body: Any) -> None:
        deliver(turn, Draft(content_type=_JSON, body=body))

    def _lines(self, turn: Turn, lines: list[dict[str, Any]]) -> None:
        deliver(turn, self._in_lines(lines))

    @staticmethod
    def _in_lines(lines: list[dict[str, Any]]) -> Draft:
        body = b"".join(to_json(line) + b"\n" for line in lines)
        return Draft(content_type=_LINES, body=body, framing="chunked", tokens=max(0, len(lines) - 1))

    # Models

    def _listed(self) -> list[str]:
        return [*self._copies, *self._server.app.settings.names]

    def _named(self, name: str) -> dict[str, Any]:
        return {"name": f"{name}:latest", "model": f"{name}:latest"}

    def tags(self, turn: Turn) -> None:
        found = [
            {**self._named(name), "modified_at": _now(), "size": 1_650_665, "digest": _DIGEST, "details": _DETAILS}
            for name in self._listed()
        ]
        self._tell(turn, {"models": found})

    def running(self, turn: Turn) -> None:
        context = self._server.app.settings.max_model_len
        found = [
            {
                **self._named(name), "size": 1_934_336, "digest": _DIGEST, "details": _DETAILS, "expires_at": _now(),
                "size_vram": 0, "context_length": context,
            }
            for name in self._server.app.settings.names
        ]  # fmt: skip
        self._tell(turn, {"models": found})

    def _model_of(self, data: dict[str, Any], field: str = "model") -> str:
        name = str(data.get(field) or data.get("name") or "")
        if name.removesuffix(":latest") not in self._listed():
            raise Refusal("model", f"model '{name}' not found", value=name)
        return name.removesuffix(":latest")

    def show(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        if not data.get("model") and not data.get("name"):
            raise Refusal("api", "model is required")
        name = self._model_of(data)
        told = {
            "modelfile": f"FROM {name}:latest\n", "parameters": "seed                           1", "template": "",
            "details": _DETAILS, "model_info": {"general.architecture": "llama"}, "tensors": [],
            "capabilities": ["completion", "tools"], "modified_at": _now(),
        }  # fmt: skip
        self._tell(turn, told)

    def copy(self, turn: Turn) -> None:
        data = self._server.sent(turn)
        source = str(data.get("source", ""))
        if source not in self._listed():
            raise Refusal("source", f'model "{source}" not found', value=source)
        self._add(str(data.get("destination", "")))
        deliver(turn, Draft(content_type=""))

    def _add(self, name: str) -> None:
        self._copies.insert(0, name)
        if name not in self._server.app.settings.names:
            self._server.app.settings.served_model_name = [*self._server.app.settings.names, name]
            self._copies.remove(name)

    def create(self, turn: Turn) -> None:
        data = self._server.sent(turn)
        self._add(str(data.get("model") or data.get("name")))
        steps = [*(f"using existing layer sha256:{layer}" for layer in _LAYERS), "writing manifest", "success"]
        if data.get("stream") is False:
            self._tell(turn, {"status": "success"})
        else:
            self._lines(turn, [{"status": step} for step in steps])

    def delete(self, turn: Turn) -> None:
        name = self._model_of(self._server.sent(turn))
        names = self._server.app.settings.names
        self._server.app.settings.served_model_name = [one for one in names if one != name] or names
        deliver(turn, Draft(content_type=""))

    # Texts

    def native_generate(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        name = self._model_of(data)
        text = str(data.get("prompt") or "")

        def piece(content: str, _: Output | None) -> dict[str, Any]:
            return {"response": content}

        if not text:
            reason = "unload" if data.get("keep_alive") == 0 else "load"
            self._tell(turn, {"model": name, "created_at": _now(), "response": "", "done": True, "done_reason": reason})
            return
        asked = {"prompt": text} if data.get("raw") is True else {"messages": [{"role": "user", "content": text}]}
        self._generate(turn, name, data, asked, piece, whole=data.get("raw") is not True)

    def native_chat(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        name = self._model_of(data)

        def piece(content: str, output: Output | None) -> dict[str, Any]:
            message: dict[str, Any] = {"role": "assistant", "content": content}
            if output is not None and output.tool_calls:
                message["tool_calls"] = [self._call(index, call) for index, call in enumerate(output.tool_calls)]
            return {"message": message}

        if not data.get("messages"):
            told = {"model": name, "created_at": _now(), **piece("", None), "done": True, "done_reason": "load"}
            self._tell(turn, told)
            return
        self._generate(turn, name, data, {"messages": data["messages"], "tools": data.get("tools")}, piece, whole=False)

    @staticmethod
    def _call(index: int, call: dict[str, Any]) -> dict[str, Any]:
        function = call["function"]
        try:
            arguments = json.loads(function["arguments"])
        except ValueError:
            arguments = {}
        return {
            "id": f"call_{call['id'][-8:]}",
            "function": {"index": index, "name": function["name"], "arguments": arguments},
        }

    def _generate(
        self,
        turn: Turn,
        name: str,
        data: dict[str, Any],
        asked: dict[str, Any],
        piece: Callable[[str, Output | None], dict[str, Any]],
        *,
        whole: bool,
    ) -> None:
        """Answer, whole or in lines; `whole` tells the context that a next request may go on with."""
        server = self._server
        options = data.get("options") if isinstance(data.get("options"), dict) else {}
        options = options or {}
        plain = {"max_tokens": options.get("num_predict"), "stop": options.get("stop"), "seed": options.get("seed")}
        api = "completions" if "prompt" in asked else "chat"
        form = data.get("format")
        if form:
            schema = form if isinstance(form, dict) else None
            plain["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        logprobs = {"logprobs": data.get("logprobs"), "top_logprobs": data.get("top_logprobs")} if api == "chat" else {}
        turn.json = {**asked, **plain, **logprobs}
        ask = ask_of(api, turn.json, name, server.choices.prompt)
        settle(ask, server.choices, api)
        server.app.ledger.begin(turn)
        if server.app.scenario is not None:
            turn.scripted = server.app.scenario.find(turn.request.path, turn.request.headers, turn.json)
        made = outputs(server.generator, turn, ask, server.choices)[0]
        server.generator.note(turn, ask, made, "")

        def build() -> Draft:
            base = {"model": name, "created_at": _now()}
            ending = self._ending(ask, made, data, whole=whole)
            if data.get("stream") is False:
                return Draft(content_type=_JSON, body={**base, **piece(made.text, made), **ending}, tokens=made.count)
            lines = [{**base, **piece(token, None), "done": False} for token in made.tokens]
            if made.tool_calls:
                lines.append({**base, **piece("", made), "done": False})
            lines.append({**base, **piece("", None), **ending})
            return self._in_lines(lines)

        server.generator.run(turn, ask, made, build)

    @staticmethod
    def _ending(ask: Ask, made: Output, data: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"done": True, "done_reason": "stop" if made.finish == "tool_calls" else made.finish}
        if whole:
            told["context"] = list(range(1, ask.prompt_tokens + len(made.tokens) + 1))
        if data.get("logprobs") is True:
            entries = []
            for token in made.tokens:
                entry = token_logprob(token, ask.logprobs or 0)
                if not ask.logprobs:
                    entry.pop("top_logprobs")
                entries.append(entry)
            told["logprobs"] = entries
        return {
            **told, **_ZERO_DURATIONS, "prompt_eval_count": ask.prompt_tokens, "prompt_eval_duration": 500_000,
            "eval_count": made.count, "eval_duration": 900_000,
        }  # fmt: skip

    # Vectors

    def native_embed(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        name = self._model_of(data)
        given = data.get("input")
        texts = [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str)]
        if not texts:
            raise Refusal("api", "invalid input type")
        vectors = [list(vector(text, self._dimensions(data))) for text in texts]
        counted = sum(map(count_tokens, texts))
        self._tell(turn, {"model": name, "embeddings": vectors, **_ZERO_DURATIONS, "prompt_eval_count": counted})

    def _dimensions(self, data: dict[str, Any]) -> int:
        given = data.get("dimensions")
        if given is not None and type(given) is not int:
            found = f"number {given}" if isinstance(given, float) else in_go(given)
            says = f"json: cannot unmarshal {found} into Go struct field EmbedRequest.dimensions of type int"
            raise Refusal("type", says, field="dimensions")
        usual = self._server.app.settings.default_embedding_dimensions
        return given if given is not None and 0 < given <= LONGEST else usual

    def native_embeddings(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        self._model_of(data)
        size = self._server.app.settings.default_embedding_dimensions
        self._tell(turn, {"embedding": list(vector(str(data.get("prompt", "")), size))})


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = (
        "tags", "running", "show", "copy", "create", "delete", "native_generate", "native_chat", "native_embed",
        "native_embeddings",
    )  # fmt: skip
    return {name: getattr(native, name) for name in names}
