"""Prove that the waivers of a dialect hide no fault but those that its server has for good.

Each fault of the wire is played on the reference, to the plain calls whose answers it can change, and judged once.
What was noticed must still be with the waivers of each dialect, for each form of an answer. What is not must be named
as a quirk by the deviations that waive it: anything else is a waiver that is too wide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from typing import NamedTuple
from zlib import crc32

from likeness import served
from simulator.faults.exchanges import CALLS, KNOWN, SERVERS, exchange_of

from InferenceLibrary.dialects.dialect import Deviation, Dialect
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import Violation
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.simulator.faults.catalogue import KINDS, header_faults, reach

SAMPLES = 7
"""Of so many parts of the faults one is played a day."""
SERVER = "openai"
"""The reference; the other servers of the plain calls are it, too, with a key or slow."""
SEVERAL = "several calls"
"""The form of what is seen in more than one call."""
_LASTING = "stuck-after-error"
"""Outlives its request: it would strike the calls of the next fault."""
_BY_TIMES = "F11"
"""The rule that needs an answer that takes its time; what breaks it is played to the slow server too."""
_LIMIT = 2.0
"""Seconds of a call: some faults never end."""


class Noticed(NamedTuple):
    """What shows a fault in the answers of one form."""

    fault: str
    form: str
    violations: list[Violation]
    """What is broken with it and not without it; none where a call fails whatever the rules say: no waiver hides
    that."""


def played_faults(*, sample: bool) -> list[str]:
    """Return the faults that the reference can be asked for; of a sample those of today."""
    today = date.today().toordinal() % SAMPLES
    return [
        name
        for name, kind in KINDS.items()
        if kind.nature == "wire"
        and name != _LASTING
        and SERVER in reach().get(name, {})
        and (not sample or crc32(name.encode()) % SAMPLES == today)
    ]


def notices(faults: Iterable[str]) -> Iterator[Noticed]:
    """Play faults on the reference; yield by form what shows them, where nothing but a rule does."""
    servers = (SERVER, "keyed", "slow")
    calls = [one for one in CALLS if one.server in servers]
    with ExitStack() as stack:
        ports = {name: stack.enter_context(served(SERVERS[name], {})) for name in servers}
        clean = {one.name: exchange_of(ports[one.server], one, limit=_LIMIT) for one in calls}
        usual = {one.name: set(judge(clean[one.name], KNOWN[one.server]).broken) for one in calls}
        together = [clean[one.name] for one in calls if one.server == SERVER]
        usual[SEVERAL] = set(judge_several([*together, *together], KNOWN[SERVER]).broken)
        for fault in faults:
            forms = set(reach()[fault][SERVER])
            by_form: dict[str, list[Violation]] = {}
            failing: set[str] = set()
            answers: list[Exchange] = []
            for one in calls:
                if one.form not in forms or not _can_be_asked(fault, one.path):
                    continue
                if one.server == "slow" and _BY_TIMES not in KINDS[fault].breaks:
                    continue
                got = exchange_of(ports[one.server], one, fault, limit=_LIMIT)
                answers += [got] if one.server == SERVER else []
                if _fails(got, clean[one.name]):
                    failing.add(one.form)
                broken = judge(got, KNOWN[one.server]).violations
                by_form.setdefault(one.form, []).extend(each for each in broken if each.rule.id not in usual[one.name])
            broken = judge_several([*together, *answers], KNOWN[SERVER]).violations
            by_form[SEVERAL] = [each for each in broken if each.rule.id not in usual[SEVERAL]]
            for form, new in by_form.items():
                if new or form in failing:
                    yield Noticed(fault, form, [] if form in failing else new)


def _can_be_asked(fault: str, path: str) -> bool:
    try:
        header_faults(fault, SERVER, path)
    except ValueError:
        return False
    return True


def _fails(got: Exchange, clean: Exchange) -> bool:
    if got.status is None or got.problem is not None:
        return True
    return (clean.status or 0) < 300 <= got.status


def hidden(dialect: Dialect, seen: Iterable[Noticed]) -> list[str]:
    """Return the faults that the waivers of a dialect hide, and that it does not name as quirks.

    A fault that shows in answers of other forms may look like another one in those of one form: it is told unless
    the deviations that hide it there are quirks.
    """
    waivers = [(one, one.waiver()) for one in dialect.deviations]
    by_fault: dict[str, list[tuple[str, list[Deviation]]]] = {}
    for fault, form, violations in seen:
        by_fault.setdefault(fault, []).append((form, _hiding(violations, waivers)))
    found = []
    for fault, forms in by_fault.items():
        shows = any(not hiding for _, hiding in forms)
        for form, hiding in forms:
            named = {name for one in hiding for name in names_of(one)}
            excused = shows and (form == SEVERAL or all(map(names_of, hiding)))
            if hiding and fault not in named and not excused:
                found.append(f"{fault} on {form} is hidden by {'; '.join(str(one.waiver()) for one in hiding)}")
    return found


def _hiding(violations: Sequence[Violation], waivers: Sequence[tuple[Deviation, Waiver]]) -> list[Deviation]:
    """Return the deviations that waive all that shows a fault; none where something is left."""
    found: list[Deviation] = []
    for violation in violations:
        by = [one for one, waiver in waivers if waiver.covers(violation)]
        if not by:
            return []
        found += [one for one in by if one not in found]
    return found


def names_of(deviation: Deviation) -> set[str]:
    """Return the faults that a deviation names as its quirks."""
    return {one.partition(":")[0] for one in deviation.quirks}
