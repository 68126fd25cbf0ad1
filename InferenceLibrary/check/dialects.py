"""`rfinference dialects`: the dialects that come with the library, and one of them or of one's own, checked."""

from __future__ import annotations

import difflib
import json
import sys

from InferenceLibrary.dialects.dialect import Dialect
from InferenceLibrary.dialects.files import load_dialect, shipped_dialects
from InferenceLibrary.errors import ProfileError


def list_dialects() -> int:
    """Print one line for each; return the exit code."""
    for one in shipped_dialects():
        proof = "recorded" if one.proven else "unproven"
        number = len(one.deviations)
        said = f"{number} deviation{'' if number == 1 else 's'}, {proof}"
        print(f"{one.name:<16}  {one.version:<10}  {one.title}: {said}")
    return 0


def show_dialect(wanted: str) -> int:
    """Print one of them, or the schema of all; return the exit code.

    Raises:
        ProfileError: There is none of that name, or the file is wrong.
    """
    if wanted == "schema":
        from InferenceLibrary.servers.schema import dialect_schema

        print(json.dumps(dialect_schema(), indent=2))
        return 0
    chosen = load_dialect(wanted)
    if not chosen.shipped:
        _check_quirks(chosen.dialect, wanted)
    evidence = chosen.dialect.evidence or "no evidence is given"
    print(f"{chosen.dialect.name} {chosen.dialect.version}: {chosen.dialect.title}, {evidence}")
    for waiver in chosen.dialect.waivers:
        print(f"  {waiver}{' (unproven)' if waiver.unproven else ''}")
    if chosen.notice:
        print(f"rfinference: {chosen.notice}", file=sys.stderr)
    return 0


def _check_quirks(dialect: Dialect, source: str) -> None:
    named = [(one.rule, quirk.partition(":")[0]) for one in dialect.deviations for quirk in one.quirks]
    if not named:
        return
    from InferenceLibrary.check.proof import catalogue

    known = [one["name"] for one in catalogue()]
    for rule, name in named:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise ProfileError(
                f"{source}: the quirk '{name}' of rule {rule} is not a fault.{meant} "
                "`inference-simulator --list-faults` lists them."
            )
