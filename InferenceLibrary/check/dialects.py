"""`rfinference dialects`: the dialects that come with the library, and one of them or of one's own, checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from InferenceLibrary.dialects.files import Chosen, load_dialect, pair_of, shipped_dialects
from InferenceLibrary.errors import ProfileError

_LIMIT = 60.0
"""Seconds that the stand-in may take to start."""


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
    chosen = tried_dialect(wanted)
    recorded = chosen.dialect.recording and f"recorded in {chosen.dialect.recording}"
    evidence = chosen.dialect.evidence or recorded or "no evidence is given"
    print(f"{chosen.dialect.name} {chosen.dialect.version}: {chosen.dialect.title}, {evidence}")
    for waiver in chosen.dialect.waivers:
        print(f"  {waiver}{' (unproven)' if waiver.unproven else ''}")
    if chosen.notice:
        print(f"rfinference: {chosen.notice}", file=sys.stderr)
    return 0


def tried_dialect(wanted: str) -> Chosen:
    """Return a dialect. Files of one's own are tried on the stand-in, which alone knows its faults and what routes do.

    Raises:
        ProfileError: There is none of that name, or it is wrong.
    """
    chosen = load_dialect(wanted)
    front, _, behind = pair_of(wanted)
    for name in filter(None, (front, behind)):
        if not load_dialect(name).shipped:
            _try(name)
    return chosen


def _try(name: str) -> None:
    words = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", name, "--dry-run"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INFERENCE_SIMULATOR_")}
    try:
        tried = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LIMIT, env=environment)
    except subprocess.TimeoutExpired:
        raise ProfileError(f"{name} could not be tried: the stand-in did not start within {_LIMIT:g} s.") from None
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
        told = said.removeprefix("inference-simulator: error: ")
        if told == said:
            raise ProfileError(f"No stand-in can be made of the dialect {name}: {said}")
        raise ProfileError(told.removeprefix("--as: "))
