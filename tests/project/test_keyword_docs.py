"""The documentation of the keywords: complete, linked, and its examples run."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from pathlib import Path

import pytest
from inner_suites import INNER, InnerRun, finish_inner, run_text, start_inner
from robot.libdocpkg import LibraryDocumentation
from robot.running.arguments.typeinfo import TypeInfo

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.library import DOC_FORMAT

CONVERTERS = InferenceLibrary.ROBOT_LIBRARY_CONVERTERS
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

METHODS = {
    method.robot_name or name.replace("_", " ").title(): method
    for name, method in inspect.getmembers(InferenceLibrary, inspect.isfunction)
    if hasattr(method, "robot_name")
}
EXAMPLE = re.compile(r"```robotframework\n(.*?)```", re.DOTALL)


def prefix_of(name: str) -> str:
    """Words of a keyword's name that a test may bear."""
    return " ".join(re.sub(r"[^A-Za-z ]", "", name).split())


def example_of(name: str) -> str:
    examples = EXAMPLE.findall(inspect.getdoc(METHODS[name]) or "")
    assert len(examples) == 1, f"{name} has {len(examples)} examples: expected one"
    return examples[0]


def test_there_are_keywords() -> None:
    assert len(METHODS) > 30


@pytest.mark.parametrize("name", METHODS)
def test_a_keyword_documents_all_its_arguments(name: str) -> None:
    doc = inspect.getdoc(METHODS[name]) or ""
    first = doc.splitlines()[0]
    assert first.endswith("."), first
    section = re.search(r"^Args:\n((?:    .*\n|\n)+)", doc + "\n", re.MULTILINE)
    documented = set(re.findall(r"^    \*{0,2}(\w+):", section[1], re.MULTILINE)) if section else set()
    assert documented == set(inspect.signature(METHODS[name]).parameters) - {"self"}


@pytest.mark.parametrize("name", METHODS)
def test_a_keyword_uses_its_own_name_in_its_example(name: str) -> None:
    words = re.sub(r"\$\{.*?\}", r"\\S+", name)
    assert re.search(rf"\b{words}\b", example_of(name), re.IGNORECASE), example_of(name)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[InnerRun]:
    """All examples, one suite each, in two runs at once: most of them wait for a server."""
    folder = tmp_path_factory.mktemp("examples")
    halves = [folder / "suites_1", folder / "suites_2"]
    for half in halves:
        half.mkdir()
    for number, name in enumerate(METHODS):
        text = example_of(name)
        settings, _, rest = text.partition("*** Test Cases ***")
        head = settings or "*** Settings ***\n"
        body = re.sub(r"^(\S.*)$", rf"{prefix_of(name)} - \1", rest, flags=re.MULTILINE)
        needed = "Library    InferenceLibrary\nLibrary    Collections\n"
        file = halves[number % 2] / (re.sub(r"\W+", "_", name).lower() + ".robot")
        file.write_text(f"{head.rstrip()}\n{needed}\n*** Test Cases ***{body}", encoding="utf-8")
    outputs = [folder / f"out_{half.name}" for half in halves]
    started = [
        start_inner(half, output, "--listener", str(INNER / "trusting.py"))
        for half, output in zip(halves, outputs, strict=True)
    ]
    return [finish_inner(*run, output) for run, output in zip(started, outputs, strict=True)]


@pytest.mark.parametrize("name", METHODS)
def test_the_example_of_a_keyword_runs(examples: list[InnerRun], name: str) -> None:
    prefix = prefix_of(name)
    tests = {test: outcome for run in examples for test, outcome in run.tests.items()}
    outcomes = {test: outcome for test, outcome in tests.items() if test.startswith(f"{prefix} - ")}
    assert outcomes, f"the example of {name} has no test"
    for test, outcome in outcomes.items():
        assert outcome.status in {"PASS", "SKIP"}, f"{test}: {outcome.message}"


def test_examples_leave_nothing_running(examples: list[InnerRun]) -> None:
    assert [run.leftovers for run in examples] == [[], []]


def is_convertible(option: type) -> bool:
    try:
        TypeInfo.from_type_hint(option).get_converter()
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("name", METHODS)
def test_robot_can_convert_every_argument(name: str) -> None:
    """A class without a converter would silently arrive as text."""
    hints = typing.get_type_hints(METHODS[name])
    hints.pop("return", None)
    for argument, hint in hints.items():
        for option in typing.get_args(hint) or (hint,):
            if option in {typing.Any, type(None)} or option in CONVERTERS or typing.get_origin(option):
                continue
            if not isinstance(option, type):
                continue
            assert is_convertible(option), f"{name}: nothing converts '{argument}' to {option}"


def test_a_type_that_robot_cannot_convert_is_seen() -> None:
    class Mine:
        pass

    assert not is_convertible(Mine)
    assert is_convertible(int)


def test_libdoc_builds_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    spec = LibraryDocumentation("InferenceLibrary")
    assert {keyword.name for keyword in spec.keywords} == set(METHODS)
    assert spec.doc_format == DOC_FORMAT
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(DOC_FORMAT != "MARKDOWN", reason="Robot Framework 7.4 makes no links; install 7.5 or later")
def test_links_lead_somewhere(tmp_path: Path) -> None:
    import keyword_docs

    assert keyword_docs.main(tmp_path) == 0


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    import keyword_docs

    spec = tmp_path / "spec.json"
    spec.write_text('{"doc": "<p>see [Chat Wiht A Typo]</p>", "keywords": []}', encoding="utf-8")
    assert keyword_docs.broken_links(spec) == ["introduction: [Chat Wiht A Typo] leads nowhere"]


def test_the_example_of_the_introduction_runs(tmp_path: Path) -> None:
    (text,) = EXAMPLE.findall(inspect.getdoc(InferenceLibrary) or "")
    run = run_text(text, tmp_path)
    assert [outcome.status for outcome in run.tests.values()] == ["PASS"]
