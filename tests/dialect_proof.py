"""Prove dialects by recordings of the real servers.

    PYTHONPATH=tests python -m dialect_proof [--sample] [NAME...]

Each recording is judged. With its dialect no rule is broken; without it exactly the dialect's deviations are, each at
least once. --sample takes one recording a day.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date

from recordings import Recorded, recording

from InferenceLibrary.dialects.dialect import Deviation, Dialect
from InferenceLibrary.dialects.files import load_dialect, shipped_dialects
from InferenceLibrary.protocol.rules.book import judge


def problems(dialect: Dialect, records: Iterable[Recorded]) -> list[str]:
    """Return what the records show against a dialect: what it does not have, and what it has and they do not show."""
    own = own_deviations(dialect)
    waivers = [(one, one.waiver()) for one in dialect.deviations]
    met: list[Deviation] = []
    found: list[str] = []
    for one in records:
        if not one.whole:
            continue
        for violation in judge(one.exchange()).violations:
            covering = [deviation for deviation, waiver in waivers if waiver.covers(violation)]
            met += [deviation for deviation in covering if deviation not in met]
            if not covering:
                found.append(f"{one.label}: {violation} ({violation.kind})")
    found += [f"nothing shows {one.waiver()}" for one in own if not one.unproven and one not in met]
    return found


def own_deviations(dialect: Dialect) -> list[Deviation]:
    """Return the deviations that stand in the dialect's own file; the others are proven with the file below."""
    if dialect.extends is None:
        return dialect.deviations
    below = next(one for one in shipped_dialects() if one.file == dialect.extends)
    return [one for one in dialect.deviations if one not in below.deviations]


def main(arguments: Sequence[str]) -> int:
    """Prove the dialects that are named, all by default; return the exit code."""
    names = [one for one in arguments if not one.startswith("--")]
    proven = [one for one in shipped_dialects() if one.recording is not None]
    if names:
        proven = [load_dialect(name).dialect for name in names]
    elif "--sample" in arguments:
        proven = [proven[date.today().toordinal() % len(proven)]]
    failed = 0
    for dialect in proven:
        began = time.perf_counter()
        records = list(recording(dialect.recording or ""))
        found = problems(dialect, records)
        failed += bool(found)
        print(
            f"{dialect.file}: {len(dialect.deviations)} deviations, {len(records)} recorded answers, "
            f"{len(found)} problems ({time.perf_counter() - began:.1f} s)"
        )
        print("".join(f"    {line}\n" for line in found), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
