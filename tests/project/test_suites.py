"""What holds of every suite, read from its text: it asks by capability, and a refusal is told from a missing route."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from robot import running

ROOT = Path(__file__).resolve().parents[2]
SUITES = sorted(path for path in (ROOT / "robot" / "integration").glob("*.robot") if path.stem != "__init__")
RESOURCES = sorted((ROOT / "resources").glob("*.resource"))
LEAST = 16
"""The least limit of tokens that the references take: below it a server may refuse."""
CALLS = (
    "Chat", "Stream Chat", "Complete", "Stream Completion", "Respond", "Stream Response", "Send Message",
    "Stream Message", "Create Embeddings", "Rerank", "Score", "Tokenize", "Detokenize", "Send Request", "Execute Job",
)  # fmt: skip
OWN_SIMULATOR = ("Use Shared Simulator", "Inject Fault", "Set Behaviour")
STAND_INS = re.compile(r"^(simulator|service|router|gateway|worker)")
NOT_OF_TARGETS = {"worker", "worker_limits", "inference", "onnx", "containers"}
"""Suites that send no limit to a target: jobs of workers have no least one, the others start their own."""


@dataclass
class Step:
    """One call of a keyword of the library."""

    name: str
    args: tuple[str, ...]

    @property
    def refuses(self) -> bool:
        """Whether it expects a refusal, or looks at one."""
        status = [arg.partition("=")[2] for arg in self.args if arg.startswith(("expected_status=", "status="))]
        wanted = any(re.match(r"4|failure", one) for one in status)
        return self.name in ("Body Should Be Refused", "Body Change Should Be Refused") or wanted

    @property
    def is_accepted(self) -> bool:
        """Whether it fails unless the server takes it."""
        status = [arg.partition("=")[2] for arg in self.args if arg.startswith("expected_status=")]
        return self.name == "Body Change Should Be Refused" or (
            self.name in CALLS and (status == ["200"] or (not status and self.name != "Send Request"))
        )


@dataclass
class Case:
    """A test with all that it does, the keywords of its suite and of the resources unfolded."""

    suite: str
    name: str
    tags: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)


def unfolded(body: Any, keywords: Mapping[str, Any], depth: int = 0) -> Iterator[Step]:
    for item in body:
        name = getattr(item, "name", None)
        args = tuple(str(arg) for arg in getattr(item, "args", ()) or ())
        if isinstance(name, str) and name:
            own = keywords.get(name.lower())
            yield Step(name, args)
            if name in ("Run Keywords", "Run Keyword And Expect Error", "Run Keyword And Ignore Error"):
                yield from (Step(arg, args) for arg in args)
            if own is not None and depth < 5:
                yield from unfolded(own.body, keywords, depth + 1)
        yield from unfolded(getattr(item, "body", ()) or (), keywords, depth)


def cases(path: Path) -> list[Case]:
    suite = running.TestSuite.from_file_system(path)
    sources = [suite.resource, *(running.ResourceFile.from_file_system(resource) for resource in RESOURCES)]
    keywords = {one.name.lower(): one for source in sources for one in source.keywords}
    found = []
    for test in suite.tests:
        case = Case(path.stem, test.name, tuple(test.tags), list(unfolded(test.body, keywords)))
        if test.template:
            case.steps = [
                step for one in [keywords.get(test.template.lower())] if one for step in unfolded(one.body, keywords)
            ]
        found.append(case)
    return found


def asks_for_a_name(text: str) -> list[str]:
    return re.findall(r".*profile\.(?:name|title)\s*(?:[!=]=|in\b|not in\b).*", text)


def low_limits(case: Case) -> list[str]:
    if case.suite in NOT_OF_TARGETS or "simulator" in case.tags:
        return []
    given = [arg for step in case.steps for arg in step.args if re.match(r"max_(?:output_)?tokens=\d", arg)]
    return [arg for arg in given if int(arg.partition("=")[2]) < LEAST]


def needs_a_simulator(case: Case) -> list[str]:
    """What a test does that only a simulator lets it do."""
    found = [step.name for step in case.steps if step.name in OWN_SIMULATOR]
    found += [
        f"Start Server {step.args[0]}"
        for step in case.steps
        if step.name == "Start Server" and STAND_INS.match(step.args[0])
    ]
    return found + [arg for step in case.steps for arg in step.args if "X-Inference-Fault" in arg]


def first_refusal_without_a_right_call(case: Case) -> str | None:
    """The first refusal of a test that no accepted call comes before: it may be refused for another reason."""
    for step in case.steps:
        if step.is_accepted:
            return None
        if step.refuses:
            return " ".join((step.name, *step.args))
    return None


@pytest.fixture(scope="module")
def all_cases() -> list[Case]:
    found = [case for path in SUITES for case in cases(path)]
    assert len(found) > 500
    return found


def test_no_suite_asks_for_the_name_of_a_profile() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*SUITES, *RESOURCES)}
    assert {name: asked for name, text in texts.items() if (asked := asks_for_a_name(text))} == {}
    assert asks_for_a_name("    IF    $server.profile.name == 'llama.cpp'")


def test_no_limit_is_below_what_servers_take_as_least(all_cases: list[Case]) -> None:
    assert {f"{case.suite}: {case.name}": low for case in all_cases if (low := low_limits(case))} == {}
    assert low_limits(Case("api", "x", (), [Step("Chat", ("Hi", "max_tokens=15"))]))


def test_what_needs_a_simulator_says_so(all_cases: list[Case]) -> None:
    untold = {
        f"{case.suite}: {case.name}": why
        for case in all_cases
        if "simulator" not in case.tags and (why := needs_a_simulator(case))
    }
    assert untold == {}
    marked = [case for case in all_cases if "simulator" in case.tags]
    assert len(marked) > 150


def test_a_refusal_comes_after_a_right_call(all_cases: list[Case]) -> None:
    """Also of a test that gives its suite's keyword the wrong body: the keyword is unfolded."""
    blind = {
        f"{case.suite}: {case.name}": why
        for case in all_cases
        if "simulator" not in case.tags and (why := first_refusal_without_a_right_call(case))
    }
    assert blind == {}
    told = [case for case in all_cases if any(step.refuses for step in case.steps) and "simulator" not in case.tags]
    assert len(told) > 40
    assert first_refusal_without_a_right_call(Case("api", "x", (), [Step("Chat", ("Hi", "expected_status=404"))]))
