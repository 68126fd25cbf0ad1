"""Routes that only vLLM has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from InferenceLibrary.simulator.answers.embeddings import vector
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.personalities.likeness.chat_templates import CHATML
from InferenceLibrary.simulator.personalities.likeness.kept_responses import KeptResponses
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.vllm_adapters import Adapters
from InferenceLibrary.simulator.personalities.likeness.vllm_tokens import Tokens, repeat_last

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness


_PARTS = ("weights", "kv_cache")
"""What an engine puts to sleep, and may wake by itself."""


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._asleep: set[str] = set()
        """What sleeps of an engine: its weights, its cache."""
        self._level = "1"
        self._paused = False
        self._adapters = Adapters(server)
        tokens = Tokens(server.admin.vocabulary)
        server.asked = tokens.cut
        server.more_names = tokens.names
        server.adapted = repeat_last
        if server.flags.get("responses-store"):
            server.kept = KeptResponses(server)
        for what, level in (("awake", ""), ("weights offloaded", "1"), ("all discarded", "2")):
            server.counters[what] = partial(self._is_at, level)

    def _tell(self, turn: Turn, **body: Any) -> None:
        deliver(turn, self._server.json(body))

    def is_sleeping(self, turn: Turn) -> None:
        self._tell(turn, is_sleeping=bool(self._asleep))

    def _is_at(self, level: str) -> int:
        return int(level == self._level if self._asleep else not level)

    def sleep(self, turn: Turn) -> None:
        level = parse_qs(turn.request.query).get("level", ["1"])[0]
        self._asleep, self._level = (set(_PARTS) if level != "0" else set()), level
        self._tell(turn, status="sleeping", level=int(level) if level.isdigit() else 1)

    def wake_up(self, turn: Turn) -> None:
        tags = parse_qs(turn.request.query).get("tags")
        self._asleep -= set(tags or _PARTS)
        self._tell(turn, status="awake", tags=tags)

    def is_paused(self, turn: Turn) -> None:
        self._tell(turn, is_paused=self._paused)

    def pause(self, turn: Turn) -> None:
        self._paused = True
        self._tell(turn, status="paused")

    def resume(self, turn: Turn) -> None:
        self._paused = False
        self._tell(turn, status="resumed")

    def load(self, turn: Turn) -> None:
        app = self._server.app
        tracked = bool(self._server.flags.get("enable-server-load-tracking"))
        self._tell(turn, server_load=app.running + len(app.waiting) if tracked else 0)

    def tokenizer_info(self, turn: Turn) -> None:
        length = self._server.app.settings.max_model_len
        self._tell(
            turn, tokenizer_class="PreTrainedTokenizerFast", model_max_length=length, add_prefix_space=False,
            clean_up_tokenization_spaces=False, bos_token="<|endoftext|>", eos_token="<|im_end|>",
            pad_token="<|endoftext|>", unk_token="<unk>", additional_special_tokens=[], chat_template=CHATML,
            added_tokens_decoder={"0": {"content": "<|endoftext|>", "special": True}},
        )  # fmt: skip

    def load_adapter(self, turn: Turn) -> None:
        self._adapters.load(turn)

    def unload_adapter(self, turn: Turn) -> None:
        self._adapters.unload(turn)

    def server_info(self, turn: Turn) -> None:
        settings = self._server.app.settings
        self._tell(turn, vllm_config=f"model='{settings.model}', max_seq_len={settings.max_model_len}")

    def pooled(self, turn: Turn) -> None:
        data = self._server.read(turn, "embeddings")
        texts = data["input"] if isinstance(data["input"], list) else [data["input"]]
        size = self._server.app.settings.default_embedding_dimensions
        items = [
            {"index": index, "object": "pooling", "data": list(vector(str(text), size))}
            for index, text in enumerate(texts)
        ]
        names = self._server.names(turn, id=f"pooling-{self._server.new_hex()}")
        usage: dict[str, Any] = {"prompt_tokens": len(texts), "total_tokens": len(texts), "completion_tokens": 0}
        usage |= {"prompt_tokens_details": None, "completion_tokens_details": None}
        self._tell(
            turn, id=names["id"], object="list", created=names["created"], model=names["served"], data=items,
            usage=usage,
        )  # fmt: skip

    def cancelled(self, turn: Turn) -> None:
        if self._server.kept is not None:
            self._server.kept.cancel(turn)
            return
        wanted = turn.request.path.removeprefix("/v1/responses/").removesuffix("/cancel")
        raise Refusal("unknown response", f"Response with id '{wanted}' not found.", param="response_id")


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = (
        "is_sleeping", "sleep", "wake_up", "is_paused", "pause", "resume", "server_info", "pooled", "cancelled", "load",
        "tokenizer_info", "load_adapter", "unload_adapter",
    )  # fmt: skip
    return {name: getattr(native, name) for name in names}
