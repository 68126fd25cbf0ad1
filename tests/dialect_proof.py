"""Prove dialects by recordings of the real servers.

    PYTHONPATH=tests python -m dialect_proof [--sample] [NAME...]

Each recording is judged. With its dialect no rule is broken; without it exactly the dialect's deviations are, each at
least once. Where the simulator stands in for the server, it is asked the same: its answers are the recorded ones but
for those that its list allows, each with a reason, and the judge reports the dialect's deviations, no others. Last,
with each dialect every fault of the wire is still noticed that is not one of its quirks. --sample plays the largest
group of a recording, not those that take a start of their own each, and a seventh of the faults, another one each day.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from dialect_faults import hidden, notices, played_faults
from likeness import compared, played, told_otherwise
from recordings import FOLDER, Recorded, recording

from InferenceLibrary.dialects.dialect import Deviation, Dialect
from InferenceLibrary.dialects.files import load_dialect, shipped_dialects
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.rules.apis import api_of
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Api


def problems(dialect: Dialect, records: Iterable[Recorded]) -> list[str]:
    """Return what the records show against a dialect: what it does not have, and what it has and they do not show."""
    own = own_deviations(dialect)
    waivers = [(one, one.waiver()) for one in dialect.deviations]
    met: list[Deviation] = []
    shown: set[tuple[int, Api | int | None]] = set()
    found: list[str] = []
    for one in records:
        if not one.whole:
            continue
        exchange = one.exchange()
        for violation in judge(exchange).violations:
            covering = [deviation for deviation, waiver in waivers if waiver.covers(violation)]
            met += [deviation for deviation in covering if deviation not in met]
            shown |= {(id(each), what) for each in covering for what in (api_of(exchange), exchange.status)}
            if not covering:
                found.append(f"{one.label}: {violation} ({violation.kind})")
    found += [f"nothing shows {one.waiver()}" for one in own if not one.unproven and one not in met]
    found += [f"it is shown, and called unproven: {one.waiver()}" for one in own if one.unproven and one in met]
    for one in own:
        wide = [str(what) for what in (*one.apis, *one.when.statuses) if (id(one), what) not in shown]
        if wide and one in met:
            found.append(f"nothing shows it for {', '.join(wide)}: {one.waiver()}")
    return found


_TINY = ("--model", "MODEL", "--scenario", "tiny", "--max-model-len", "1024")
"""The model of the recordings of real models."""
STAND_INS = {
    "mistralrs": ("--as", "mistralrs", "mistralrs", "serve", "-p", "{port}", "--disable-access-log", "-m", "MODEL"),
    "mistralrs-0.8": ("--as", "mistralrs@0.8.1", "mistralrs", "serve", "-p", "{port}", "-m", "MODEL"),
    "llm-d": ("--as", "llm-d", "--model", "tiny"),
    "vllm": ("--as", "vllm", *_TINY),
    "llama.cpp": ("--as", "llama.cpp", *_TINY),
    "llama.cpp-0.5": ("--as", "llama.cpp@b0", *_TINY),
    "llama-cpp-python": ("--as", "llama-cpp-python", *_TINY),
    "ollama": ("--as", "ollama", "--model", "MODEL", "--max-model-len", "1024"),
    "transformers": ("--as", "transformers", *_TINY),
    "sglang-router": ("--as", "sglang-router", *_TINY),
    "litellm": (
        "--as",
        "litellm",
        "--served-model-name",
        "MODEL",
        "broken",
        "--scenario",
        "tiny",
        "--max-model-len",
        "1024",
    ),
}
"""By name of a dialect the command line of the stand-in."""


MODELS = {"ollama": {"tools": ("--scenario", str(FOLDER / "calling-model.yaml"))}}
"""By name of a dialect and group of its recording: the arguments for another model than that of the rest."""
OTHER_WORDS = {
    "litellm": 10,
    "llama-cpp-python": 2,
    "llama.cpp": 8,
    "llama.cpp-0.5": 11,
    "llm-d": 76,
    "sglang-router": 8,
    "vllm": 10,
}
"""By name of a dialect how many recorded refusals its stand-in may word otherwise: numbers of tokens stand in them,
texts of a template, or problems with forms that the dialect does not hold."""


def allowed(name: str) -> dict[str, str]:
    """Return the answers that may differ, by the pattern of their names, each with the reason."""
    lines = (FOLDER / f"{name}.allowed").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def unlike(dialect: Dialect, records: Sequence[Recorded], command: Sequence[str], *, whole: bool = True) -> list[str]:
    """Return where the stand-in is not like the recorded server, in its answers or in what the judge says of them."""
    reasons = allowed(dialect.file)
    used: set[str] = set()
    met: list[Deviation] = []
    waivers = [(each, each.waiver()) for each in dialect.deviations]
    own = own_deviations(dialect)
    found: list[str] = []
    words: list[str] = []
    for one, got in played(records, command, MODELS.get(dialect.file)):
        differing = compared(one, got)
        otherwise = told_otherwise(one, got)
        words += [f"{one.label}: {otherwise}"] if otherwise else []
        reason = next((pattern for pattern in reasons if fnmatch(one.label, pattern)), None)
        used |= {reason} if reason and differing else set()
        if differing and reason is None:
            found.append(f"{one.label} differs: {'; '.join(differing[:3])}")
        for violation in judge(got).violations:
            covering = [each for each, waiver in waivers if waiver.covers(violation)]
            met += [each for each in covering if each not in met]
            if not covering:
                found.append(f"{one.label}, of the stand-in: {violation} ({violation.kind})")
    if whole:
        found += [
            f"the stand-in {'does do so' if each.not_imitated else 'does not do so'}: {waiver}"
            for each, waiver in waivers
            if each in own and not each.unproven and (each in met) == bool(each.not_imitated)
        ]
    most = OTHER_WORDS.get(dialect.file, 0)
    if len(words) > most:
        found += [f"refusals worded otherwise: {len(words)}, where {most} may be:", *words]
    groups = {one.group for one in records}
    found += [
        f"allowed, but nothing differs: {one}" for one in reasons if one.partition("/")[0] in groups and one not in used
    ]
    return found


def own_deviations(dialect: Dialect) -> list[Deviation]:
    """Return the deviations that stand in the dialect's own file; the others are proven with the file below."""
    if dialect.extends is None:
        return dialect.deviations
    below = next(one for one in shipped_dialects() if one.file == dialect.extends)
    return [one for one in dialect.deviations if one not in below.deviations]


def main(arguments: Sequence[str]) -> int:
    """Prove the dialects that are named, all by default; return the exit code, 2 where one cannot be tried."""
    try:
        return _proved(arguments)
    except (ProfileError, ValueError) as error:
        print(f"dialect_proof: {error}", file=sys.stderr)
        return 2


def _proved(arguments: Sequence[str]) -> int:
    sample = "--sample" in arguments
    names = [one for one in arguments if not one.startswith("--")]
    known = [load_dialect(name).dialect for name in names] if names else shipped_dialects()
    proven = [one for one in known if one.recording is not None]
    failed = 0
    for dialect in proven:
        began = time.perf_counter()
        records = list(recording(dialect.recording or ""))
        found = problems(dialect, records)
        command = STAND_INS.get(dialect.file)
        if command is not None:
            largest = Counter(one.group for one in records).most_common(1)[0][0]
            asked = [one for one in records if not sample or one.group == largest]
            found += unlike(dialect, asked, command, whole=not sample)
        failed += bool(found)
        print(
            f"{dialect.file}: {len(dialect.deviations)} deviations, {len(records)} recorded answers, "
            f"{len(found)} problems ({time.perf_counter() - began:.1f} s)"
        )
        print("".join(f"    {line}\n" for line in found), end="")
    began = time.perf_counter()
    faults = played_faults(sample=sample)
    seen = list(notices(faults))
    hiding = [f"{one.file}: {line}" for one in known for line in hidden(one, seen)]
    unseen = [f"noticed by no rule and no call: {one}" for one in faults if one not in {each.fault for each in seen}]
    print(
        f"{len(faults)} faults under {len(known)} dialects: {len(hiding)} are hidden, {len(unseen)} show nowhere "
        f"({time.perf_counter() - began:.1f} s)"
    )
    print("".join(f"    {line}\n" for line in (*hiding, *unseen)), end="")
    return 1 if failed or hiding or unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
