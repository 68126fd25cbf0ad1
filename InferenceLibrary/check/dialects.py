"""`rfinference dialects`: the dialects that come with the library, and one of them or of one's own, checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from InferenceLibrary.dialects.files import Chosen, load_dialect, shipped_dialects
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
    chosen = tried_dialect(wanted)
    evidence = chosen.dialect.evidence or "no evidence is given"
    print(f"{chosen.dialect.name} {chosen.dialect.version}: {chosen.dialect.title}, {evidence}")
    for waiver in chosen.dialect.waivers:
        print(f"  {waiver}{' (unproven)' if waiver.unproven else ''}")
    if chosen.notice:
        print(f"rfinference: {chosen.notice}", file=sys.stderr)
    return 0


def tried_dialect(wanted: str) -> Chosen:
    """Return a dialect. One of one's own is tried on the stand-in, which alone knows its faults and what routes do.

    Raises:
        ProfileError: There is none of that name, or it is wrong.
    """
    chosen = load_dialect(wanted)
    if chosen.shipped:
        return chosen
    words = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", wanted, "--dry-run"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INFERENCE_SIMULATOR_")}
    tried = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environment)
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or [f"the stand-in ended with {tried.returncode}"])[-1]
        raise ProfileError(said.removeprefix("inference-simulator: error: ").removeprefix("--as: "))
    return chosen
