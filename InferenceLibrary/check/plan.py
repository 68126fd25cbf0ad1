"""What a check will ask, said before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from InferenceLibrary.report.console import table_lines
from InferenceLibrary.report.document import row, table
from InferenceLibrary.servers.probing.call import CheckCall

_RATES = (5, 50)
"""Tokens a second of a slow and a usual server."""


def plan_lines(targets: Sequence[str], calls: Sequence[CheckCall], timeout: float) -> list[str]:
    """Return the plan: each request, then their number, tokens and time."""
    rows = [
        row(str(number), call.name, f"{call.method} {call.path_for('MODEL')}", str(call.generates or ""))
        for number, call in enumerate(calls, start=1)
    ]
    generated = sum(call.generates for call in calls)
    prompts = sum(call.prompt_tokens for call in calls)
    slow, usual = (generated / rate for rate in _RATES)
    each = "" if len(targets) == 1 else f" for each of {len(targets)} targets"
    return [
        f"Plan of a check of {', '.join(targets)}; nothing is sent.",
        *table_lines(table(("", "call", "request", "tokens at most"), rows)),
        f"{len(calls)} requests at most{each}; what a server does not offer is asked for once.",
        f"{generated} tokens are generated at most, of about {prompts} tokens of prompts and schemas.",
        f"About {usual:.0f} s at {_RATES[1]} tokens a second, {slow / 60:.0f} min at {_RATES[0]}; "
        f"each call at most {timeout:g} s.",
    ]
