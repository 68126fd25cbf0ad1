"""Routes that only vLLM has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.embeddings import vector
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._asleep = False
        self._paused = False

    def _tell(self, turn: Turn, **body: Any) -> None:
        deliver(turn, self._server.json(body))

    def is_sleeping(self, turn: Turn) -> None:
        self._tell(turn, is_sleeping=self._asleep)

    def sleep(self, turn: Turn) -> None:
        level = next((part[6:] for part in turn.request.query.split("&") if part.startswith("level=")), "1")
        self._asleep = level != "0"
        self._tell(turn, status="sleeping", level=int(level) if level.isdigit() else 1)

    def wake_up(self, turn: Turn) -> None:
        self._asleep = False
        self._tell(turn, status="awake", tags=None)

    def is_paused(self, turn: Turn) -> None:
        self._tell(turn, is_paused=self._paused)

    def pause(self, turn: Turn) -> None:
        self._paused = True
        self._tell(turn, status="paused")

    def resume(self, turn: Turn) -> None:
        self._paused = False
        self._tell(turn, status="resumed")

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
        wanted = turn.request.path.removeprefix("/v1/responses/").removesuffix("/cancel")
        raise Refusal("unknown response", f"Response with id '{wanted}' not found.", param="response_id")


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = ("is_sleeping", "sleep", "wake_up", "is_paused", "pause", "resume", "server_info", "pooled",
             "cancelled")  # fmt: skip
    return {name: getattr(native, name) for name in names}
