"""What a model thinks before it answers, and the budget that ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import tokenize

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output

_THOUGHT = "Let me think. The question is short, so the answer may be short as well."


def think(output: Output, data: Mapping[str, Any], flags: Mapping[str, Any]) -> None:
    """Let an answer begin with a thought, where the command line lets the model think.

    Args:
        output: The answer.
        data: The request; `thinking_budget_tokens` is its own budget.
        flags: `reasoning`: on, off or auto; `reasoning-budget`: the most tokens of a thought, -1 for any number, 0 for
            none; `reasoning-budget-message`: what ends a thought that is over its budget.
    """
    usual = flags.get("reasoning-budget")
    if flags.get("reasoning") == "off" or (usual is None and flags.get("reasoning") != "on") or usual == 0:
        return
    own = data.get("thinking_budget_tokens")
    budget = own if type(own) is int else usual
    tokens = tokenize(_THOUGHT)
    if isinstance(budget, int) and 0 <= budget < len(tokens):
        tokens = [*tokens[:budget], *tokenize(str(flags.get("reasoning-budget-message") or ""))]
    output.thoughts = tokens
