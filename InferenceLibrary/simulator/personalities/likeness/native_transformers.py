"""The route that only `transformers serve` has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, Event
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""

    def load_model(turn: Turn) -> None:
        name = server.sent(turn).get("model")
        if not name:
            raise Refusal("no model", "The model is missing")
        shown = f"{name}@main"
        if name in server.app.settings.names:
            told = [{"status": "ready", "model": shown, "cached": True}]
        else:
            told = [
                {"status": "loading", "model": shown, "stage": "processor"},
                {"status": "error", "model": shown, "message": f"{name} is not a model of this server"},
            ]
        events = [Event(one, str(one["status"])) for one in told]
        deliver(turn, Draft(content_type=server.choices.stream_type, events=events))

    return {"load_model": load_model}
