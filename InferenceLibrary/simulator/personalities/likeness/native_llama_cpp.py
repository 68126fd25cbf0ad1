"""Routes that only llama.cpp's server has."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.embeddings import vector
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.likeness.asks import prompt_tokens
from InferenceLibrary.simulator.personalities.likeness.chat_templates import ChatTemplate
from InferenceLibrary.simulator.personalities.likeness.llama_cpp_adapters import Adapters
from InferenceLibrary.simulator.personalities.likeness.llama_cpp_completions import SETTINGS, Completions
from InferenceLibrary.simulator.personalities.likeness.llama_cpp_models import Models
from InferenceLibrary.simulator.personalities.likeness.llama_cpp_slots import Slots
from InferenceLibrary.simulator.personalities.likeness.llama_cpp_streams import Streams
from InferenceLibrary.simulator.personalities.likeness.media import check_media, check_target
from InferenceLibrary.simulator.personalities.likeness.reading import json_of
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.thoughts import think

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_CAN = (
    "object_arguments", "parallel_tool_calls", "preserve_reasoning", "reasoning_effort", "string_content",
    "system_role", "tool_calls", "tools", "typed_content",
)  # fmt: skip
_CANNOT = {"preserve_reasoning", "reasoning_effort", "typed_content"}
_FILLS_IN = ("infill", "coder", "fim")
"""What the name of a model has that knows how to fill in."""
_BEGIN_TOKEN = 1
"""The token that begins a text, where special tokens are asked for."""


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        flags = server.flags
        self._slots = Slots(self._places, keeps=flags.get("cache-ram") != 0)
        self._completions = Completions(server, self._slots)
        self._adapters = Adapters(flags.get("lora") or [])
        thinks = {"on": True, "off": False}.get(str(flags.get("reasoning")))
        self._template = ChatTemplate(
            str(flags.get("chat-template") or ""), self._template_file(), thinks=thinks,
            system=str(flags.get("system-message-prefix") or ""),
        )  # fmt: skip
        self._active = monotonic()
        server.app.on_ended.append(self._ended)
        server.app.on_generating.append(self._note)
        server.checks.append(self._check)
        server.known_tokens = self._known_tokens
        server.adapted = self._adapted
        server.more_names = self._more_names
        self._streams = Streams(server, self._completions)
        server.counters["cached tokens"] = lambda: self._slots.known_total
        self._models = Models(server)
        server.read_input = self._inputs
        settings = server.app.settings
        # The aliases are one text; the first of them in the alphabet is told.
        names = settings.served_model_name
        settings.served_model_name = sorted({one for name in names for one in name.split(",") if one}) if names else []

    def _template_file(self) -> str:
        file = str(self._server.flags.get("chat-template-file") or "")
        # One that is not there counts as that of the model: the stand-in has no files of real models.
        return file if file and Path(file).is_file() else ""

    def _tell(self, turn: Turn, body: Any) -> None:
        deliver(turn, self._server.json(body))

    @property
    def _places(self) -> int:
        return self._server.app.settings.max_num_seqs

    # What happens to every request

    def _note(self, turn: Turn) -> None:
        self._active = monotonic()
        if "embedding" in turn.request.path and isinstance(turn.json, dict):
            self._slots.note(turn.json)

    def _ended(self, turn: Turn) -> None:
        if turn.request.method == "POST":
            self._active = monotonic()

    def _check(self, api: str, data: dict[str, Any]) -> None:
        check_media(api, data, str(self._server.flags.get("media-path") or ""))

    def _known_tokens(self, turn: Turn, ask: Ask, data: dict[str, Any]) -> int:
        tokens = tokenize("\n".join(ask.prompts))
        # What stands around the texts comes first here: it is known wherever anything is.
        around = [""] * max(0, ask.prompt_tokens - len(tokens))
        return self._completions.take(turn, around + tokens, data)[1]

    def _adapted(self, api: str, ask: Ask, made: list[Output], data: dict[str, Any]) -> None:
        self._adapters.change(made, data, ask.prompts[0])
        if api == "chat":
            for output in made:
                think(output, data, self._server.flags)

    def _more_names(self, api: str, ask: Ask, made: list[Output], data: dict[str, Any]) -> dict[str, Any]:
        if not self._server.flags.get("verbose") or api not in {"chat", "completions"}:
            return {}
        told = self._completions.ended(0, ask, made[0], data)
        if api == "chat":
            told["prompt"] = self._prompt(data)
        return {"verbose": told}

    def _prompt(self, data: dict[str, Any]) -> str:
        try:
            return self._template.prompt(data)
        except ValueError as error:
            raise Refusal("range", str(error)) from None

    def _inputs(self, given: Any) -> Any:
        """Return the texts to make vectors of, from texts, tokens, both mixed, and objects with a text."""
        if isinstance(given, str) or (isinstance(given, list) and not given):
            return given
        if isinstance(given, dict) or any(type(one) is int for one in given):
            return self._input(given)
        return [self._input(one) for one in given]

    def _input(self, given: Any) -> str:
        if isinstance(given, dict) and "prompt_string" not in given:
            parts = given.get("content")
            texts = (
                [part.get("text") if isinstance(part, dict) else None for part in parts]
                if isinstance(parts, list)
                else [None]
            )
            if not all(isinstance(text, str) for text in texts):
                raise Refusal("range", "Input content must be a text, tokens, or an object with texts")
            return "".join(map(str, texts))
        return self._completions.text_of(given)

    # What the server is

    @property
    def _sleeps(self) -> bool:
        limit = self._server.flags.get("sleep-idle-seconds")
        idle = monotonic() - self._active
        return isinstance(limit, int | float) and limit > 0 and idle >= limit and not self._server.app.running

    def props(self, turn: Turn) -> None:
        if self._models.are_many and "model=" not in turn.request.query:
            self._tell(turn, self._models.props())
            return
        settings, flags = self._server.app.settings, self._server.flags
        names = self._server.names(turn)
        usual = {**SETTINGS, **self._completions.usual()}
        sees = bool(flags.get("mmproj"))
        file = settings.names[0]
        shown = {
            "default_generation_settings": {"params": usual, "n_ctx": settings.max_model_len // self._places},
            "total_slots": self._places,
            "model_alias": settings.names[0],
            "model_ftype": "all F32",
            "model_path": file if file.endswith(".gguf") else f"{file}.gguf",
            "modalities": {"vision": sees, "video": False, "audio": False},
            "media_marker": f"<__media_{names['letters32']}__>",
            "endpoint_slots": not flags.get("no-slots"),
            "endpoint_props": bool(flags.get("props")),
            "endpoint_metrics": bool(flags.get("metrics")),
            "ui": True,
            "ui_settings": {},
            "chat_template": self._template.text,
            "chat_template_caps": {f"supports_{word}": word not in _CANNOT for word in _CAN},
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "build_info": self._server.choices.fingerprint,
            "is_sleeping": self._sleeps,
            "cors_proxy_enabled": bool(flags.get("ui-mcp-proxy")),
        }
        self._tell(turn, shown)

    def set_props(self, turn: Turn) -> None:
        self._tell(turn, {"success": True})

    def slots(self, turn: Turn) -> None:
        found = []
        context = self._server.app.settings.max_model_len // self._places
        for slot in self._slots.all:
            told: dict[str, Any] = {
                "id": slot.number, "n_ctx": context, "speculative": False, "is_processing": bool(slot.busy)
            }  # fmt: skip
            if slot.asked is not None:
                told |= {
                    "id_task": slot.used, "n_prompt_tokens": 2, "n_prompt_tokens_processed": 0,
                    "n_prompt_tokens_cache": 0, "params": self._completions.settings_of(slot.asked, chat=True),
                    "next_token": [{"has_next_token": False, "has_new_line": False, "n_remain": -1, "n_decoded": 0}],
                }  # fmt: skip
            found.append(told)
        self._tell(turn, found)

    def slot(self, turn: Turn) -> None:
        action = next((part[7:] for part in turn.request.query.split("&") if part.startswith("action=")), "")
        data = json_of(turn.request) or {}
        file = data.get("filename") if isinstance(data, dict) else None
        number = turn.request.path.rpartition("/")[2]
        slot = int(number) if number.isdigit() else 0
        if action == "erase":
            self._tell(turn, {"id_slot": slot, "n_erased": self._slots.erase(slot)})
        elif action == "save":
            saved = self._slots.save(slot, str(file))
            told = {"n_saved": saved, "n_written": 36 + 64 * saved, "timings": {"save_ms": 0.1}}
            self._tell(turn, {"id_slot": slot, "filename": file, **told})
        elif action == "restore":
            restored = self._slots.restore(slot, str(file))
            if restored is None:
                raise Refusal(
                    "range", "Unable to restore slot, no available space in KV cache or invalid slot save file"
                )
            told = {"n_restored": restored, "n_read": 36 + 64 * restored, "timings": {"restore_ms": 0.1}}
            self._tell(turn, {"id_slot": slot, "filename": file, **told})
        else:
            raise Refusal("range", "Invalid action")

    def adapters(self, turn: Turn) -> None:
        self._tell(turn, self._adapters.listed())

    def set_adapters(self, turn: Turn) -> None:
        given = json_of(turn.request)
        if not isinstance(given, list):
            raise Refusal("range", "Request body must be an array")
        self._adapters.scale(given)
        self._tell(turn, {"success": True})

    # Texts and tokens

    def apply_template(self, turn: Turn) -> None:
        self._tell(turn, {"prompt": self._prompt(self._server.read(turn, "chat"))})

    def count_input(self, turn: Turn) -> None:
        api = "chat" if "/chat/" in turn.request.path else "responses"
        data = self._server.read(turn, api)
        self._tell(
            turn,
            {"input_tokens": prompt_tokens(api, data, self._server.choices.prompt), "object": "response.input_tokens"},
        )

    def tokens(self, turn: Turn) -> None:
        data = self._server.read(turn, "tokenize")
        text = str(data.get("content", ""))
        ids: list[Any] = self._server.admin.vocabulary.ids(text)
        if data.get("add_special") is True:
            ids.insert(0, _BEGIN_TOKEN)
        if data.get("with_pieces") is True:
            ids = [{"id": one, "piece": self._server.text_of([one])} for one in ids]
        self._tell(turn, {"tokens": ids})

    def text(self, turn: Turn) -> None:
        data = self._server.read(turn, "detokenize")
        self._tell(turn, {"content": self._server.text_of(data.get("tokens"))})

    # Vectors and ranks

    def native_embedding(self, turn: Turn) -> None:
        data = self._server.read(turn, "native_embeddings")
        given = data.get("content", data.get("input", data.get("prompt")))
        texts = given if isinstance(given, list) and not all(type(one) is int for one in given) else [given]
        size = self._server.app.settings.default_embedding_dimensions
        each = len if self._server.flags.get("pooling") == "none" else None
        items = []
        for index, text in enumerate(texts):
            count = max(1, each(str(text)) // 3) if each else 1
            items.append({"index": index, "embedding": [list(vector(str(text), size)) for _ in range(count)]})
        self._tell(turn, items)

    def ranked_natively(self, turn: Turn) -> None:
        data = self._server.read(turn, "rerank")
        if "texts" not in data:
            self._server.ranked(turn)
            return
        from InferenceLibrary.simulator.answers.ranking import rerank

        body, _ = rerank({**data, "documents": data["texts"]}, self._server.app.settings.max_model_len)
        self._tell(turn, [{"index": one["index"], "score": one["relevance_score"]} for one in body["results"]])

    # Completions of its own kind

    def native_completion(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        self._completions.answer(turn, data, data["prompt"])

    def infill(self, turn: Turn) -> None:
        name = self._server.app.settings.names[0].lower()
        if not any(word in name for word in _FILLS_IN):
            raise Refusal("no infill", "Infill is not supported by this model")
        self._completions.infill(turn, self._server.sent(turn))

    # Streams that go on, and other servers

    def resumed(self, turn: Turn) -> None:
        self._streams.resume(turn)

    def stopped(self, turn: Turn) -> None:
        self._streams.stop(turn)

    def proxied(self, turn: Turn) -> None:
        check_target(turn.request.query)
        raise Refusal("502", "The stand-in asks no other server")

    # Several models

    def listed_models(self, turn: Turn) -> None:
        if self._models.are_many:
            self._models.listed(turn)
            return
        server = self._server
        (item,) = server.models(turn)[:1]
        aliases, tags = (
            server.app.settings.names,
            [one for one in str(server.flags.get("tags") or "").split(",") if one],
        )
        self._tell(turn, server.model_list(turn, [{**item, "aliases": aliases, "tags": tags}]))

    def load_model(self, turn: Turn) -> None:
        self._models.load(turn)

    def unload_model(self, turn: Turn) -> None:
        self._models.unload(turn)

    def page(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type="text/html; charset=utf-8", body=b"<!doctype html><title>llama.cpp</title>"))


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = (
        "props", "set_props", "slots", "slot", "adapters", "set_adapters", "apply_template", "count_input", "tokens",
        "text", "native_embedding", "ranked_natively", "native_completion", "infill", "resumed", "stopped", "proxied",
        "listed_models", "load_model", "unload_model", "page",
    )  # fmt: skip
    return {name: getattr(native, name) for name in names}
