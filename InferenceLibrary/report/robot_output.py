"""Reads the output.xml of a Robot Framework run as a stream: its size is bounded by the disk, not by the memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.foreign_text import limited, readable
from InferenceLibrary.report import run_facts
from InferenceLibrary.report.log_messages import LONGEST, RawMessage, plain_text
from InferenceLibrary.report.run_results import (
    Artifact,
    Counts,
    Figures,
    KeywordStep,
    RunResults,
    TestResult,
    TestStatus,
)
from InferenceLibrary.report.suite_facts import SuiteFacts

_SCHEMA = 5
"""The form of output.xml since Robot Framework 7.0."""
_CHUNK = 1 << 18
_LONGEST_TABLE = 1_000_000
"""Characters of metadata that are kept: the table of capabilities is such."""
_MESSAGES = 40
"""Messages of a failed test that are kept: the last ones."""
_ARTIFACTS = 200
_PROBLEMS = 200
_STATUS: dict[str, TestStatus] = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
_ROOM = dict.fromkeys(("msg", "arg", "tag", "status"), LONGEST * 4) | {"meta": _LONGEST_TABLE}
"""Elements whose text is read, and how many characters of it; that of the others is white space."""
_BODY = {
    "kw",
    "for",
    "iter",
    "while",
    "if",
    "branch",
    "try",
    "return",
    "continue",
    "break",
    "group",
    "variable",
    "error",
}
_VERSIONS = re.compile(r"(?:Robot|Rebot) (\S+) \(Python (\S+) on (\S+)\)")


def find_output(place: Path) -> Path:
    """Return the output.xml that is meant: the file itself, or the one of a folder of results.

    Raises:
        InferenceError: There is none, or several and none at the top.
    """
    if not place.is_dir():
        return place
    if (place / "output.xml").is_file():
        return place / "output.xml"
    found = sorted(place.glob("**/output.xml"))
    if len(found) == 1:
        return found[0]
    expected = "a folder with the output.xml of a Robot Framework run, or the path of that file"
    if not found:
        raise InferenceError(describe(f"'{place}' holds no results", expected=expected, got="no output.xml in it"))
    names = ", ".join(str(path.relative_to(place)) for path in found[:5]) + (", ..." if len(found) > 5 else "")
    raise InferenceError(
        describe(
            f"'{place}' holds the results of {len(found)} runs",
            expected=expected,
            got=names,
            hint="name one of them, or join them by `rebot --output output.xml`.",
        )
    )


def read_output(path: Path) -> RunResults:
    """Return the results of a run. One that was cut, as by `kill -9`, is read as far as it goes, and says so.

    Raises:
        InferenceError: It cannot be read, or is not the output of Robot Framework 7 or later.
    """
    reader = _OutputReader(path)
    parser = ElementTree.XMLParser(target=reader)
    cut = ""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                parser.feed(chunk)
        parser.close()
    except OSError as error:
        raise InferenceError(
            describe(f"'{path}' cannot be read", expected="an output.xml", got=str(error.strerror).lower())
        ) from None
    except ElementTree.ParseError as error:
        if not reader.begun:
            reader.refuse(f"a file that is not XML ({error})" if path.stat().st_size else "an empty file")
        cut = f"{path.name} is cut or damaged: {error}"
    return reader.results(cut)


class _Suite:
    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.meta: dict[str, str] = {}
        self.first_test = 0
        self.lives: list[run_facts.Life] = []


class _Test:
    def __init__(self, name: str, suite: str) -> None:
        self.name = name
        self.suite = suite
        self.meta: dict[str, str] = {}
        self.tags: list[str] = []
        self.messages: deque[RawMessage] = deque(maxlen=_MESSAGES)
        self.artifacts: dict[str, Artifact] = {}
        self.trace: list[KeywordStep] = []
        self.trace_depth = 0
        self.last_info: RawMessage | None = None


class _BodyItem:
    """An element of a body that is being read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.arguments: list[str] = []


class _OutputReader:
    """A target of the XML parser: keeps what the results need, and nothing else of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.begun = False
        self._tags: list[str] = []
        self._attributes: list[dict[str, str]] = []
        self._text: list[str] = []
        self._room = 0
        """Characters of the present element that are still read."""
        self._suites: list[_Suite] = []
        self._steps: list[_BodyItem] = []
        self._test: _Test | None = None
        self._tests: list[TestResult] = []
        self._facts = SuiteFacts()
        self._problems: list[str] = []
        self._versions: dict[str, str] = {}
        self._title = ""
        self._span: tuple[str, float] = ("", 0.0)

    def refuse(self, got: str) -> NoReturn:
        raise InferenceError(
            describe(
                f"'{self._path}' is not the output of a Robot Framework run",
                expected="an output.xml of Robot Framework 7 or later",
                got=got,
            )
        )

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Robot writes none; entities of one could blow up the text."""
        self.refuse(f"a document type, '{limited(name, 60)}'")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.begun:
            self._open(tag, attributes)
        self._tags.append(tag)
        self._attributes.append(attributes)
        self._text.clear()
        self._room = _ROOM.get(tag, 0)
        if tag == "suite" and self._parent() in {"suite", "robot"}:
            above = self._suites[-1].path + "." if self._suites else ""
            suite = _Suite(readable(attributes.get("name", "")), above + readable(attributes.get("name", "")))
            suite.first_test = len(self._tests)
            self._title = self._title or suite.name
            self._suites.append(suite)
        elif tag == "test" and self._suites:
            self._test = _Test(readable(attributes.get("name", "")), self._suites[-1].path)
        elif tag in _BODY:
            owner = attributes.get("owner", "")
            name = attributes.get("name") or attributes.get("type") or tag.upper()
            self._steps.append(_BodyItem(readable(f"{owner}.{name}" if owner else name)))

    def data(self, text: str) -> None:
        if self._room > 0:
            self._text.append(text)
            self._room -= len(text)

    def end(self, tag: str) -> None:
        attributes = self._attributes.pop()
        self._tags.pop()
        text = readable("".join(self._text)) if tag in _ROOM else ""
        self._text.clear()
        self._room = 0
        handler: Callable[[dict[str, str], str], None] | None = getattr(self, f"_end_{tag}", None)
        if handler is not None:
            handler(attributes, text)
        elif tag in _BODY and self._steps:
            self._steps.pop()

    def close(self) -> None:
        """The file is whole."""

    def results(self, cut: str) -> RunResults:
        """Return what was read."""
        if cut:
            running = f", in the test '{self._test.name}'" if self._test else ""
            cut = f"{cut}; read are {len(self._tests)} tests{running}"
            for suite in reversed(self._suites):
                self._leave(suite)
        if not self._span[0] and self._tests:
            # Of a cut run, or one that rebot has taken tests from.
            began, lasted = _span_of(self._tests)
            self._span = (began, self._span[1] or lasted)
        ends = [test.status for test in self._tests]
        versions = self._versions | ({run_facts.LIBRARY: self._facts.library} if self._facts.library else {})
        counts = Counts(len(ends), ends.count("passed"), ends.count("failed"), ends.count("skipped"))
        return RunResults(
            suite=self._title,
            timestamp=self._span[0],
            duration=round(self._span[1], 3),
            summary=counts,
            tests=self._tests,
            versions=versions,
            servers=self._facts.servers,
            rules=self._facts.rules(self._tests),
            capabilities=self._facts.capabilities,
            problems=self._problems,
            incomplete=cut,
        )

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        if tag != "robot":
            self.refuse(f"XML whose root is '{limited(tag, 60)}'")
        generator = attributes.get("generator", "")
        schema = attributes.get("schemaversion", "")
        if not schema.isdecimal() or int(schema) < _SCHEMA:
            self.refuse(f"one of '{limited(generator or 'an unknown version', 80)}'")
        self.begun = True
        found = _VERSIONS.match(generator)
        if found:
            self._versions = dict(zip(("Robot Framework", "Python", "platform"), found.groups(), strict=True))

    def _parent(self) -> str:
        return self._tags[-2] if len(self._tags) > 1 else ""

    def _end_msg(self, attributes: dict[str, str], text: str) -> None:
        level = attributes.get("level", "")
        message = RawMessage(attributes.get("time", ""), level, text, attributes.get("html") in {"true", "yes"})
        if self._tags and self._tags[-1] == "errors":
            self._trouble(f"{level}: {message.read().text}")
        elif self._test is not None and level not in {"TRACE", "DEBUG"}:
            test = self._test
            test.messages.append(message)
            if message.may_link:
                text, files = plain_text(text)
                caption = text.partition("\n")[0].partition(": ")[0]
                for file in files:
                    if len(test.artifacts) < _ARTIFACTS:
                        test.artifacts.setdefault(file, Artifact(file, limited(caption, 120)))
                if files:
                    return
            if level == "INFO" and not text.startswith("${"):
                test.last_info = message

    def _end_arg(self, attributes: dict[str, str], text: str) -> None:
        if self._steps:
            self._steps[-1].arguments.append(limited(text, 300))

    def _end_tag(self, attributes: dict[str, str], text: str) -> None:
        if self._test is not None and self._tags and self._tags[-1] == "test":
            self._test.tags.append(text)

    def _end_meta(self, attributes: dict[str, str], text: str) -> None:
        if self._tags and self._tags[-1] == "test" and self._test is not None:
            self._test.meta[attributes.get("name", "")] = text
        elif self._tags and self._tags[-1] == "suite" and self._suites:
            self._suites[-1].meta[attributes.get("name", "")] = text

    def _end_status(self, attributes: dict[str, str], text: str) -> None:
        status = attributes.get("status", "")
        owner = self._tags[-1] if self._tags else ""
        if owner == "test" and self._test is not None:
            self._tests.append(self._finished(self._test, attributes, _without_markup(text)))
            self._test = None
        elif owner == "suite" and self._suites:
            if len(self._suites) == 1:
                self._span = (attributes.get("start", ""), _seconds(attributes.get("elapsed")))
            if text.strip() and status == "FAIL":
                self._trouble(f"Suite {self._suites[-1].path}: {_without_markup(text)}")
        elif owner in _BODY and self._steps and self._test is not None:
            self._trace(self._test, self._steps[-1], failed=status == "FAIL")

    def _end_suite(self, attributes: dict[str, str], text: str) -> None:
        # Statistics have elements of this name, too.
        if self._tags and self._tags[-1] in {"suite", "robot"} and self._suites:
            self._leave(self._suites.pop())

    def _leave(self, suite: _Suite) -> None:
        worker = suite.meta.get(run_facts.WORKER, "")
        self._facts.add(suite.path, suite.meta)
        if worker:
            for at in range(suite.first_test, len(self._tests)):
                test = self._tests[at]
                if not test.worker:
                    self._tests[at] = _changed(test, worker=worker)

    def _trace(self, test: _Test, step: _BodyItem, *, failed: bool) -> None:
        """Keep the way to the failure that counts: the last one that no keyword around it caught."""
        depth = len(self._steps)
        if not failed:
            if test.trace_depth > depth:
                test.trace, test.trace_depth = [], 0
            return
        own = KeywordStep(step.name, step.arguments)
        inner = test.trace if test.trace_depth == depth + 1 else []
        test.trace, test.trace_depth = [own, *inner], depth

    def _trouble(self, text: str) -> None:
        if len(self._problems) < _PROBLEMS:
            self._problems.append(limited(text, LONGEST))

    def _finished(self, test: _Test, attributes: dict[str, str], message: str) -> TestResult:
        status = _STATUS.get(attributes.get("status", ""), "failed")
        failed = status == "failed"
        meta = test.meta
        said = test.last_info.first_line() if test.last_info and not failed else ""
        return TestResult(
            name=test.name,
            status=status,
            duration=round(_seconds(attributes.get("elapsed")), 3),
            suite=test.suite,
            started=attributes.get("start", ""),
            output=limited(said, 300) if status == "passed" else "",
            error="" if status == "passed" else limited(message, LONGEST),
            tags=test.tags,
            server=meta.get(run_facts.SERVER, ""),
            version=meta.get(run_facts.VERSION, ""),
            model=meta.get(run_facts.MODEL, ""),
            calls=int(meta[run_facts.CALLS]) if meta.get(run_facts.CALLS, "").isdecimal() else 0,
            figures=_figures(meta),
            rules_broken=run_facts.listed_words(meta.get(run_facts.RULES, "")),
            artifacts=list(test.artifacts.values()),
            trace=test.trace if failed else [],
            evidence=[message.read() for message in test.messages] if failed else [],
        )


def _changed(test: TestResult, **changes: Any) -> TestResult:
    import msgspec

    return msgspec.structs.replace(test, **changes)


def _figures(meta: dict[str, str]) -> Figures | None:
    first = run_facts.figure(meta.get(run_facts.TTFT, ""))
    rate = run_facts.figure(meta.get(run_facts.RATE, ""))
    if first is None and rate is None:
        return None
    return Figures(
        ttft=first[0] / 1000 if first else None,
        tokens_per_second=rate[0] if rate else None,
        streams=(first or rate or (0, 0))[1],
    )


def _without_markup(message: str) -> str:
    return plain_text(message[len("*HTML*") :])[0].strip() if message.startswith("*HTML*") else message.strip()


def _seconds(text: str | None) -> float:
    """Seconds of an attribute; 0 for what is not a time."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if 0 <= value < float("inf") else 0.0


def moment(text: str) -> datetime | None:
    """Return a time of Robot Framework; None for other text."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _span_of(tests: list[TestResult]) -> tuple[str, float]:
    """When a run began whose end is not known, and for how long its tests tell of it."""
    known = [(began, test) for test in tests if (began := moment(test.started)) is not None]
    if not known:
        return "", 0.0
    first = min(began for began, _ in known)
    return first.isoformat(), max((began - first).total_seconds() + test.duration for began, test in known)
