"""The results of a run as a document: summary, timeline, failures with evidence, figures, rules, an earlier run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from InferenceLibrary.foreign_text import limited
from InferenceLibrary.report.document import Cell, Document, Image, Section, Tone, row, table
from InferenceLibrary.report.figure_sections import figure_sections
from InferenceLibrary.report.log_messages import to_the_second
from InferenceLibrary.report.run_comparison import compare, comparison_sections
from InferenceLibrary.report.run_results import RunResults, TestResult
from InferenceLibrary.report.timeline import timeline

TONES = {"passed": Tone.GOOD, "failed": Tone.BAD, "skipped": Tone.OPEN}
_RULE_TONES = {"kept": Tone.GOOD, "waived": Tone.ODD, "broken": Tone.ODD}
_OFFER_TONES = {"offered": Tone.GOOD, "not offered": Tone.PLAIN, "refused": Tone.ODD}
_MOST_FAILURES = 50
_MOST_ROWS = 2_000
_MOST_FILES = 12
_MOST_IMAGES = 80
_LARGEST_IMAGE = 400_000
_ALL_IMAGES = 8_000_000
"""Bytes of all pictures together, which base64 makes a third larger."""
_MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


class Beside:
    """The files that tests link to: it knows which are there, and reads pictures as long as there is room for them.

    Args:
        folder: The output folder of the run; None has no files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder is not None else None
        self._left = _MOST_IMAGES
        self._bytes = _ALL_IMAGES
        self.left_out = 0

    def files(self, test: TestResult) -> tuple[Cell, ...]:
        """Return the first files of a test, each with a link relative to the folder; what is not there is told."""
        found = []
        for artifact in test.artifacts[:_MOST_FILES]:
            # A link is that of a browser, which may have quoted it.
            path = next(filter(self._path, (artifact.path, unquote(artifact.path))), None)
            found.append(
                Cell(f"{artifact.path} (not there)") if path is None else Cell(artifact.path, link=quote(path))
            )
        return tuple(found)

    def pictures(self, test: TestResult, most: int) -> tuple[Image, ...]:
        """Return the first pictures of a test that are there and fit."""
        found: list[Image] = []
        for artifact in test.artifacts:
            media = _MEDIA.get(PurePosixPath(artifact.path).suffix)
            path = self._path(artifact.path) if media is not None else None
            if media is None or path is None:
                continue
            size = path.stat().st_size
            if len(found) == most or not self._left or size > min(_LARGEST_IMAGE, self._bytes):
                self.left_out += 1
                continue
            self._left -= 1
            self._bytes -= size
            found.append(Image(f"{test.name}: {artifact.caption or path.name}", media, path.read_bytes()))
        return tuple(found)

    def _path(self, name: str) -> Path | None:
        """The file of that name, if it is there and below the folder."""
        if self._folder is None:
            return None
        try:
            path = (self._folder / name).resolve()
            return path if path.is_relative_to(self._folder) and path.is_file() else None
        except (OSError, ValueError):
            # Text that is not a path: too long, or with a zero byte.
            return None


def run_document(results: RunResults, *, earlier: RunResults | None = None, folder: Path | None = None) -> Document:
    """Return the report of a run.

    Args:
        results: The run.
        earlier: A run to compare it with.
        folder: Its output folder, whose pictures are taken into the report, and to whose files it links.
    """
    beside = Beside(folder)
    failed = [test for test in results.tests if test.status == "failed"]
    sections = [*_problems(results), *_failures(failed, beside)]
    if earlier is not None:
        sections += comparison_sections(compare(results, earlier))
    sections += [
        _suites(results),
        *_timeline(results),
        *figure_sections(results.measurements),
        *_figures(results, beside),
    ]
    sections += [*_rules(results), *_capabilities(results), *_skips(results), _every_test(results)]
    return Document(f"Run of {results.suite}", headline(results), tuple(_facts(results)), tuple(sections))


def headline(results: RunResults) -> Cell:
    """Return the verdict on a run."""
    counts = results.summary
    text = f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"
    if results.incomplete:
        return Cell(f"incomplete: {text}", Tone.BAD, results.incomplete)
    if counts.failed:
        return Cell(f"failed: {text}", Tone.BAD)
    if not counts.passed:
        return Cell(f"nothing was tested: {text}", Tone.OPEN, "no test passed or failed")
    return Cell(f"passed: {text}", Tone.GOOD)


def _facts(results: RunResults) -> list[tuple[str, str]]:
    counts = results.summary
    rate = f"{100 * counts.passed / (counts.passed + counts.failed):.4g} %" if counts.passed + counts.failed else "-"
    facts = [
        ("Began", to_the_second(results.timestamp) or "unknown"),
        ("Took", f"{results.duration:.4g} s"),
        ("Pass rate", f"{rate} of the tests that were not skipped"),
    ]
    facts += [(f"{name[:1].upper()}{name[1:]}", version) for name, version in results.versions.items()]
    for name, words in (
        ("Servers", _distinct(test.server for test in results.tests)),
        ("Versions of servers", _distinct(test.version for test in results.tests)),
        ("Models", _distinct(test.model for test in results.tests)),
    ):
        if words:
            facts.append((name, limited(", ".join(words), 600)))
    workers = _distinct(test.worker for test in results.tests)
    if workers:
        facts.append(("Workers of pabot", str(len(workers))))
    return facts


def _problems(results: RunResults) -> list[Section]:
    if not results.problems:
        return []
    lines = [limited(" ".join(text.split()), 400) for text in results.problems[:50]]
    worse = [line for line in lines if not line.startswith("WARN")]
    return [Section(f"Errors and warnings of the run ({len(results.problems)})", tuple(lines), folded=not worse)]


def _failures(failed: Sequence[TestResult], beside: Beside) -> list[Section]:
    found = [_failure(test, beside) for test in failed[:_MOST_FAILURES]]
    if len(failed) > _MOST_FAILURES:
        rest = [row(_place(test), test.name, limited(test.error, 300)) for test in failed[_MOST_FAILURES:_MOST_ROWS]]
        found.append(Section(f"{len(rest)} further failures", table=table(("suite", "test", "why"), rest)))
    return found


def _failure(test: TestResult, beside: Beside) -> Section:
    rest = test.error.partition("\n")[2]
    steps = [
        row(str(at), step.name, limited("    ".join(step.arguments), 300)) for at, step in enumerate(test.trace, 1)
    ]
    evidence = "\n\n".join(f"{one.time.partition('T')[2][:12]} {one.level}  {one.text}" for one in test.evidence)
    block = "\n\n".join(text for text in (rest, evidence) if text)
    lines = [test.reason, f"In {_place(test)}. Began at {to_the_second(test.started)}, took {test.duration:.3g} s."]
    return Section(
        f"Failed: {test.name}",
        tuple(lines),
        table(("", "keyword", "arguments"), steps) if steps else None,
        block=block,
        images=beside.pictures(test, 6),
        files=beside.files(test),
    )


def _suites(results: RunResults) -> Section:
    groups: dict[str, list[TestResult]] = {}
    for test in results.tests:
        groups.setdefault(_place(test), []).append(test)

    def line(name: str, tests: list[TestResult]) -> tuple[Cell, ...]:
        ends = [test.status for test in tests]
        return row(
            name,
            Cell(str(ends.count("passed")), Tone.GOOD if "passed" in ends else Tone.PLAIN),
            Cell(str(ends.count("failed")), Tone.BAD if "failed" in ends else Tone.PLAIN),
            Cell(str(ends.count("skipped")), Tone.OPEN if "skipped" in ends else Tone.PLAIN),
            f"{sum(test.duration for test in tests):.3g} s",
            str(sum(test.calls for test in tests)),
        )

    rows = [line(name, tests) for name, tests in groups.items()]
    return Section("Summary", table=table(("suite", "passed", "failed", "skipped", "time in tests", "calls"), rows))


def _timeline(results: RunResults) -> list[Section]:
    picture = timeline(results)
    return [Section("Timeline", picture=picture)] if picture else []


def _figures(results: RunResults, beside: Beside) -> list[Section]:
    measured = [test for test in results.tests if test.figures is not None]
    charts = [
        image
        for test in results.tests
        if test.status == "passed" and _is_measuring(test)
        for image in beside.pictures(test, 4)
    ]
    rows = []
    for test in measured[:_MOST_ROWS]:
        figures = test.figures
        assert figures is not None
        first = "-" if figures.ttft is None else f"{figures.ttft * 1000:.4g} ms"
        rate = "-" if figures.tokens_per_second is None else f"{figures.tokens_per_second:.4g}"
        rows.append(row(_place(test), test.name, test.model, first, rate, str(figures.streams)))
    found = []
    if charts:
        text = (f"{beside.left_out} further pictures are left out.",) if beside.left_out else ()
        found.append(Section("Performance: charts and curves", text, images=tuple(charts)))
    if rows:
        head = ("suite", "test", "model", "TTFT (median)", "tokens/s (median)", "streams")
        found.append(Section("Performance: figures of each test", table=table(head, rows), folded=True))
    return found


def _is_measuring(test: TestResult) -> bool:
    """Whether a test measures: its charts are figures, those of others are evidence of single calls."""
    return bool({"performance", "load", "gpu", "memory"} & set(test.tags))


def _rules(results: RunResults) -> list[Section]:
    from InferenceLibrary.protocol.rules.book import rules_of

    calls = sum(test.calls for test in results.tests)
    if not calls and not results.rules:
        return [Section("Rules of the wire", ("The run tells of no call that was judged.",), folded=True)]
    book = {rule.id: rule for rule in rules_of()}
    rows: dict[str, list[tuple[Cell, ...]]] = {"broken": [], "waived": [], "kept": []}
    for one in sorted(results.rules, key=lambda one: -len(one.tests)):
        rule = book.get(one.rule)
        level, sentence = (str(rule.level), rule.sentence) if rule else ("", "not a rule of this version")
        tone = Tone.BAD if one.state == "broken" and level == "must" else _RULE_TONES[one.state]
        names = [name.partition(".")[2] for name in one.tests]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        found = row(one.rule, level, Cell(one.state, tone), sentence, str(len(names) or ""), shown)
        rows[one.state].append(found)
    counts = ", ".join(f"{len(some)} {state}" for state, some in rows.items())
    # Of a measurement each generation is a call, which the rules are not asked of.
    made = "1 call was made" if calls == 1 else f"{calls} calls were made"
    text = [f"{made}; rules: {counts}." if results.rules else f"{made}; the run tells of none that was judged."]
    if rows["broken"]:
        text.append("A test that breaks a rule on purpose is listed, too.")
    head = ("rule", "level", "state", "what must hold", "tests", "where")
    seen = rows["broken"] + rows["waived"]
    found_sections = [Section("Rules of the wire", tuple(text), table(head, seen) if seen else None)]
    if rows["kept"]:
        kept = table(head[:4], [cells[:4] for cells in rows["kept"]])
        found_sections.append(Section("Rules that hold in every call", table=kept, folded=True))
    return found_sections


def _capabilities(results: RunResults) -> list[Section]:
    if not results.capabilities:
        return []
    states = [one.state for one in results.capabilities]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    rows = [
        row(one.server, one.capability, Cell(one.state, _OFFER_TONES.get(one.state, Tone.OPEN)), one.source,
            limited(one.evidence, 300))
        for one in results.capabilities[:_MOST_ROWS]
    ]  # fmt: skip
    head = ("server", "capability", "state", "who says so", "evidence")
    return [Section("Capabilities", (f"As far as the run asked: {counts}.",), table(head, rows), folded=True)]


def _skips(results: RunResults) -> list[Section]:
    reasons: dict[str, list[str]] = {}
    for test in results.tests:
        if test.status == "skipped":
            reasons.setdefault(test.reason, []).append(test.name)
    if not reasons:
        return []
    rows = [row(limited(why, 300), str(len(tests)), limited(", ".join(tests), 300)) for why, tests in reasons.items()]
    return [Section("Skipped, by reason", table=table(("reason", "tests", "names"), rows), folded=True)]


def _every_test(results: RunResults) -> Section:
    rows = [
        row(
            _place(test),
            test.name,
            Cell(test.status, TONES[test.status]),
            f"{test.duration:.3g} s",
            limited(test.output or test.reason, 200),
        )
        for test in results.tests[:_MOST_ROWS]
    ]
    more = len(results.tests) - len(rows)
    text = (f"{more} further tests are in the JSON.",) if more else ()
    return Section(
        f"All {len(results.tests)} tests", text, table(("suite", "test", "status", "took", "what"), rows), folded=True
    )


def _place(test: TestResult) -> str:
    """The suite of a test without the name of the whole run, which stands over the report."""
    return test.suite.partition(".")[2] or test.suite


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for word in words if word))
