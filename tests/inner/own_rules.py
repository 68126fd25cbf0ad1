"""A rule of one's own: replies are short."""

from InferenceLibrary.protocol.rules.rule import Found, Level, rule
from InferenceLibrary.protocol.rules.views import JsonAnswer


@rule(
    "OWN-SHORT",
    Level.MUST,
    "A reply is no longer than ten bytes.",
    source="the house, 2026-11-29",
    kinds=("long",),
    view=JsonAnswer,
)
def is_short(answer, known):
    if len(answer.exchange.body) > 10:
        yield Found("long", f"{len(answer.exchange.body)} bytes")
