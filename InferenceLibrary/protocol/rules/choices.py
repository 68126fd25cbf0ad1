"""The view of chats and completions, whole or streamed: what each choice said, and where something changed.

Both forms fill the same tracks, so a rule on finish reasons, tools, usage or log probabilities is written once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.pieces import content_text, thought_text
from InferenceLibrary.protocol.rules.asked import Asked
from InferenceLibrary.protocol.rules.logprob_track import LogprobTrack
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.protocol.rules.shape import Misfit
from InferenceLibrary.protocol.rules.tool_track import ToolTrack
from InferenceLibrary.protocol.rules.views import NOWHERE, Place, Sightings, View

_GROUP = 1024
"""So many pieces of text are joined at once: a piece by itself is larger than its text."""


class Joined:
    """A text that comes in pieces."""

    __slots__ = ("_joined", "_pieces", "count")

    def __init__(self) -> None:
        self.count = 0
        """Pieces that were not empty."""
        self._pieces: list[str] = []
        self._joined: list[str] = []

    def add(self, piece: str) -> None:
        self.count += 1
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) >= _GROUP:
            self._joined.append("".join(pieces))
            pieces.clear()

    @property
    def text(self) -> str:
        return "".join(self._joined) + "".join(self._pieces)


class Constant:
    """A value that should be the same in all chunks: the first one, and where it changed."""

    __slots__ = ("changes", "first", "place", "seen")

    def __init__(self) -> None:
        self.seen = False
        self.first: Any = None
        self.place = NOWHERE
        self.changes: Sightings[Any] = Sightings()

    def see(self, value: Any, place: Place) -> None:
        if not self.seen:
            self.seen, self.first, self.place = True, value, place
        elif value != self.first:
            self.changes.add(place, value)


class UsageSeen(NamedTuple):
    """One usage object."""

    data: Any
    choices: bool
    """Whether the chunk has choices beside it."""
    after_finish: bool
    """Whether every choice seen so far had finished."""


class ChoiceTrack:
    """What one choice said."""

    __slots__ = (
        "after_finish",
        "calls",
        "deltas",
        "finish",
        "finish_with_text",
        "first",
        "index",
        "logprobs",
        "message",
        "other_output",
        "reasoning",
        "role_again",
        "role_first",
        "roles",
        "text",
    )

    def __init__(self, index: Any, place: Place) -> None:
        self.index = index
        self.first = place
        self.deltas = 0
        self.roles: Sightings[Any] = Sightings()
        """Roles that are not null, from the first on."""
        self.role_first = False
        """Whether the first delta has one."""
        self.text = Joined()
        self.reasoning = Joined()
        self.other_output = False
        """Whether there is a refusal, audio or a function call of the old form."""
        self.finish: Sightings[Any] = Sightings()
        """Finish reasons that are not null."""
        self.finish_with_text: Sightings[str] = Sightings()
        self.after_finish: Sightings[str] = Sightings()
        """What was said after the first finish reason."""
        self.calls = ToolTrack()
        self.logprobs = LogprobTrack()
        self.message: Any = None
        """The message of a whole chat."""

    @property
    def finish_reason(self) -> Any:
        """The first finish reason; None without one."""
        return self.finish.kept[0][1] if self.finish.kept else None

    @property
    def was_cut(self) -> bool:
        """Whether a limit or a filter ended it, so that what it says may be a part."""
        return self.finish_reason in ("length", "content_filter", "max_tokens", "abort", "error")


class Choices(View):
    """The choices of a chat or a completion, whole or streamed."""

    streamed = False

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.asked = Asked(exchange)
        self.misfits: Sightings[Misfit] = Sightings()
        """Where objects do not have the shape that the reference gives them."""
        self.tracks: dict[int, ChoiceTrack] = {}
        """By index; a choice without a right index stands in none."""
        self.id = Constant()
        self.created = Constant()
        self.model = Constant()
        self.usages: Sightings[UsageSeen] = Sightings()
        self.objects = 0
        """Chunks, or the one answer."""
        self.usage_missing: Sightings[str] = Sightings()
        """Chunks without the key."""

    def take_object(self, place: Place, data: dict[str, Any]) -> None:
        """Take a chunk, or the whole answer."""
        self.objects += 1
        choices = data.get("choices")
        if choices == [] and "prompt_filter_results" in data:
            # Azure's first chunk speaks of the prompt only; its id and model are empty.
            return
        for name, constant in (("id", self.id), ("created", self.created), ("model", self.model)):
            if name in data:
                constant.see(data[name], place)
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._take_choice(place, choice)
        usage = data.get("usage")
        if usage is not None:
            over = bool(self.tracks) and all(track.finish for track in self.tracks.values())
            self.usages.add(place, UsageSeen(usage, bool(choices), over))
        elif "usage" not in data:
            self.usage_missing.add(place, "")

    def track(self, index: int, place: Place) -> ChoiceTrack:
        """The track of a choice, a new one where it is seen first."""
        found = self.tracks.get(index)
        if found is None:
            found = self.tracks[index] = ChoiceTrack(index, place)
        return found

    def _take_choice(self, place: Place, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        if type(index) is not int:
            return
        track = self.track(index, place)
        said = self._take_said(track, place, choice)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            track.logprobs.take(place, logprobs, self.api is Api.COMPLETIONS)
        if said and track.finish:
            track.after_finish.add(place, said)
        reason = choice.get("finish_reason")
        if reason is not None:
            if said:
                track.finish_with_text.add(place, said)
            track.finish.add(place, reason)

    def _take_said(self, track: ChoiceTrack, place: Place, choice: dict[str, Any]) -> str:
        """Take what a choice says; return a part of it that is not empty."""
        track.deltas += 1
        if self.api is Api.COMPLETIONS:
            text = choice.get("text")
            if isinstance(text, str) and text:
                track.text.add(text)
                return text
            return ""
        body = choice.get("delta" if self.streamed else "message")
        if not isinstance(body, dict):
            return ""
        if not self.streamed:
            track.message = body
        role = body.get("role")
        if role is not None:
            track.role_first |= track.deltas == 1
            track.roles.add(place, role)
        content = body.get("content")
        said = content if isinstance(content, str) else content_text(content)
        if said:
            track.text.add(said)
        thought = thought_text(body)
        if thought:
            track.reasoning.add(thought)
            said = said or thought
        for name in ("refusal", "audio", "function_call"):
            if body.get(name):
                track.other_output = True
                said = said or name
        calls = body.get("tool_calls")
        if calls:
            track.calls.take(place, calls, self.streamed)
            said = said or "a tool call"
        return said


class ChoicesAnswer(Choices):
    """A whole chat or completion."""

    def __init__(self, exchange: Exchange, api: Api, value: Any) -> None:
        super().__init__(exchange, api)
        self.value = value


class ChoicesStream(Choices):
    """A streamed chat or completion. `events` is the view of its framing."""

    streamed = True
    events: Any

    @property
    def ran_to_its_end(self) -> bool:
        ended: bool = self.events.ran_to_its_end
        return ended
