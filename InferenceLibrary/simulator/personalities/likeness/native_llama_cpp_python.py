"""The route that only llama-cpp-python's server has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.delivery import deliver

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""

    def tokens_counted(turn: Turn) -> None:
        data = server.read(turn, "tokenize")
        deliver(turn, server.json({"count": len(server.admin.vocabulary.ids(str(data["input"])))}))

    return {"tokens_counted": tokens_counted}
