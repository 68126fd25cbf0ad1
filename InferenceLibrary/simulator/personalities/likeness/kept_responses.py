"""Responses that a server keeps: asked for later, made in the background, gone on with, cancelled."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.server import LikenessBase


class KeptResponses:
    """What a server with a store does with its responses."""

    def __init__(self, server: LikenessBase) -> None:
        self._server = server
        self._turns: dict[str, list[Any]] = {}
        """By the id of a response its conversation, with its answer."""

    def chained(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return a request with the conversation that it goes on with.

        Raises:
            Refusal: There is no response of that id.
        """
        earlier = data.get("previous_response_id")
        if not isinstance(earlier, str):
            return data
        if earlier not in self._turns:
            raise Refusal("unknown response", f"Response with id '{earlier}' not found.", param="response_id")
        return {**data, "input": [*self._turns[earlier], *_items(data.get("input"))]}

    def keep(self, turn: Turn, data: dict[str, Any], body: dict[str, Any], ask: Ask, output: Output) -> bool:
        """Keep a response, unless its request wants it not to be; whether it is answered, being made in background."""
        if data.get("store") is False:
            return False
        server = self._server
        answer = {"role": "assistant", "content": output.text}
        self._turns[body["id"]] = [*_items(data.get("input")), answer]
        if data.get("background") is not True:
            server.stored.keep(body, data["input"])
            return False
        first, gaps = server.generator.times(turn, ask, output.count)
        total = first + (sum(gaps) if isinstance(gaps, list) else gaps * max(0, output.count - 1))
        server.stored.keep({**body, "background": True}, data["input"], monotonic() + total)
        deliver(turn, server.json({**body, "background": True, "status": "queued", "output": [], "usage": None}))
        return True

    def cancel(self, turn: Turn) -> None:
        """Cancel a response that is made in the background.

        Raises:
            Refusal: There is none of that id, or it was not made in the background.
        """
        name = turn.request.path.rpartition("/v1/responses/")[2].removesuffix("/cancel")
        try:
            current = self._server.stored.get(name)
        except ApiError:
            raise Refusal("unknown response", f"Response with id '{name}' not found.", param="response_id") from None
        if not current["background"]:
            raise Refusal("own", "Cannot cancel a synchronous response.")
        deliver(turn, self._server.json(self._server.stored.cancel(name)))


def _items(given: Any) -> list[Any]:
    if isinstance(given, list):
        return given
    return [] if given is None else [{"role": "user", "content": given}]
