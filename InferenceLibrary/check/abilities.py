"""What the answers of a check tell of the model. Nothing of it is right or wrong on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from InferenceLibrary.client.answers import Reply


class Ability(NamedTuple):
    """Something that a model may be able to do, and how a whole answer shows it."""

    meaning: str
    shows: Callable[[Reply], bool]
    rules: tuple[str, ...] = ()
    """Rules that say little where it is not shown."""


ABILITIES = {
    "repeats": Ability("It repeats words when it is asked to.", lambda reply: "one two three" in reply.text.lower()),
    "goes on": Ability(
        "It writes on until a limit ends it.", lambda reply: reply.finish_reason in {"length", "max_tokens"}, ("C17",)
    ),
    "reaches the stop text": Ability(
        "It comes as far as the stop text.",
        lambda reply: "four" in reply.text and "six" not in reply.text and reply.finish_reason == "stop",
        ("C20",),
    ),
    "calls a tool": Ability(
        "It calls a tool that fits, by itself.", lambda reply: bool(reply.tool_calls), ("T5", "T8")
    ),
    "knows a city": Ability("It knows where the Eiffel Tower is.", lambda reply: "paris" in reply.text.lower()),
}
"""Name to ability."""
