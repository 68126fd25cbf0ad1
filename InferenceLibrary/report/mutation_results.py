"""The results of `rfinference mutate` as JSON: the schema, which has a version."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

FaultState = Literal["noticed", "not noticed", "never met"]


class FaultResult(msgspec.Struct, frozen=True):
    """What became of the suites under one fault."""

    fault: str
    text: str
    """What it does."""
    breaks: list[str]
    """Ids of the rules that it breaks."""
    state: FaultState
    test: str = ""
    """The first test that failed; empty where none did, or where the run did not end."""
    reason: str = ""
    """The first line of that failure, or why the fault was not noticed or met."""
    seconds: float = 0.0


class MutationResults(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run of `rfinference mutate`."""

    format: Literal["rfinference-mutate"] = "rfinference-mutate"
    version: int = 1
    made: str
    """ISO 8601, UTC."""
    library: str
    """Version of the library."""
    suites: list[str]
    target: str
    """The profile that the suites start."""
    tests: int
    """Tests that passed in the clean run."""
    skipped: int
    """Tests that were skipped in it."""
    clean_seconds: float
    """How long the clean run took."""
    limit: float
    """Seconds that the run of a fault could take."""
    left_out: int
    """Faults that `--sample` left out."""
    seed: int
    """What chose the sample."""
    score: float | None
    """Per cent of the faults that struck and were noticed; None where none struck."""
    threshold: float
    exit_code: Literal[0, 1, 2]
    faults: list[FaultResult]


def mutation_schema() -> dict[str, Any]:
    """Return the JSON Schema of the results."""
    return msgspec.json.schema(MutationResults)


def mutation_json(results: MutationResults) -> str:
    """Return the results as JSON, the same for the same results."""
    return json.dumps(msgspec.to_builtins(results), indent=1, ensure_ascii=False) + "\n"
