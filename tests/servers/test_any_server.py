"""The suites and `check` against a small server of a user's own: what it lacks is skipped, no other is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from inner_suites import run_inner
from servers.runs_by_url import judge
from servers.small_server import SmallServer

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.cli import main
from InferenceLibrary.report.check_results import TargetCheck, read_results

SUITES = Path(__file__).resolve().parents[2] / "robot" / "integration"
SMALL = Path(__file__).with_name("small_server.py")
MISSING = "There is no such path"
OF_THE_TARGET = ("--exclude", "simulatorORonnx")
"""What needs a simulator of its own, or no server at all, is no test of a target."""
ABSENT = {
    "broken models", "cancellation", "containers", "embeddings", "gateway", "lifecycle", "lora", "messages", "metrics",
    "model loading", "orchestration", "program", "rerank", "responses", "router", "router keys", "terminal", "tokens",
    "tools", "worker", "worker limits",
}  # fmt: skip
"""Suites of which no test may pass by URL: what they test is not there."""
OFFERED = {"models", "model details", "chat", "streams", "usage in streams"}
NOT_THERE = {"completions", "embeddings", "messages", "responses", "rerank", "tokenize"}
DEVIATIONS = {
    "N2": "takes n and gives one choice",
    "C20": "takes stop and goes on",
    "N8": "takes a format and gives another",
    "R6": "does not look at the content type",
    "L1": "takes logprobs and gives none",
    "T7": "takes tools and calls none",
}


@pytest.fixture(scope="module")
def small() -> Iterator[SmallServer]:
    server = SmallServer().begin()
    yield server
    server.close()


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(
        f"""title: Small
start:
  command: ["{{python}}", "{SMALL}", --port, "{{port}}"]
ready: {{health: {{bodies: [status]}}, model_list: /v1/models, first_token: chat}}
waives: [{", ".join(f"{{rule: {name}, reason: {reason}}}" for name, reason in DEVIATIONS.items())}]
""",
        encoding="utf-8",
    )
    return path


def passed_suites(folder: Path) -> set[str]:
    return {
        str(suite.get("name")).lower()
        for suite in ElementTree.parse(folder / "output.xml").iter("suite")
        if any(one.get("status") == "PASS" for one in suite.iterfind("test/status"))
    }


def ends_by_tag(output: Path, tag: str) -> set[str]:
    """How the tests with a tag ended."""
    tests = [one for one in ElementTree.parse(output).iter("test") if tag in [part.text for part in one.iter("tag")]]
    return {str(status.get("status")) for one in tests for status in one.iterfind("status")}


def test_by_its_url_nothing_fails_and_no_other_server_is_touched(small: SmallServer, tmp_path: Path) -> None:
    small.requests.clear()
    done = run_inner(SUITES, tmp_path, "--variable", f"TARGET:{small.url}")
    judge(done.tests, small.url, MISSING, least=25)
    assert not (tmp_path / "inference" / "servers").exists(), "a server was started"
    assert passed_suites(tmp_path) & ABSENT == set()
    output = (tmp_path / "output.xml").read_text(encoding="utf-8")
    table = output[output.index('name="Capabilities"') :]
    assert "| chat | offered | server | status 200, application/json |" in table
    assert f"| embeddings | not offered | server | status 404: {MISSING} |" in table
    asked = [path for path, _ in small.requests]
    assert ends_by_tag(tmp_path / "output.xml", "simulator") == {"SKIP"}, "a simulator counts for the target"
    assert asked.count("/v1/embeddings") == asked.count("/tokenize") == 1, "one question decides"


@pytest.mark.slow
def test_under_a_shipped_name_it_is_asked_and_its_program_is_not_ours(small: SmallServer, tmp_path: Path) -> None:
    done = run_inner(
        SUITES, tmp_path, *OF_THE_TARGET, "--variable", f"TARGET:{small.url}", "--variable", "PROFILE:llama.cpp"
    )
    judge(done.tests, small.url, MISSING, least=25)
    # What the profile could start or run here, `llama-server`, is not the target.
    assert passed_suites(tmp_path) & ABSENT == set()
    table = (tmp_path / "output.xml").read_text(encoding="utf-8")
    assert f"| embeddings | not offered | server | status 404: {MISSING}" in table


@pytest.mark.slow
def test_health_is_asked_with_the_key(tmp_path: Path) -> None:
    # By its URL alone a server is asked for its model list, which wants the key.
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    key = "key-of-the-house"
    try:
        url = library.start_server("simulator", arguments=["--api-key", key]).base_url
        given = ("--variable", f"TARGET:{url}", "--variable", f"API_KEY:{key}", "--test", "Health Is Answered")
        done = run_inner(SUITES / "api.robot", tmp_path / "out", *given)
    finally:
        library.close()
    assert {name: (one.status, one.message) for name, one in done.tests.items()} == {"Health Is Answered": ("PASS", "")}
    assert key not in (tmp_path / "out" / "output.xml").read_text(encoding="utf-8")


def test_by_a_file_it_is_started_and_started_again_for_its_life(
    small: SmallServer, profile: Path, tmp_path: Path
) -> None:
    small.requests.clear()
    suites = ("api", "lifecycle", "program", "terminal", "embeddings", "worker")
    chosen = [part for name in suites for part in ("--suite", name)]
    done = run_inner(SUITES, tmp_path / "out", *OF_THE_TARGET, "--variable", f"TARGET:{profile}", *chosen)
    judge(done.tests, None, MISSING, least=25)
    assert passed_suites(tmp_path / "out") & ABSENT == {"lifecycle"}
    logs = [path.name for path in (tmp_path / "out" / "inference" / "servers").iterdir()]
    assert len(logs) > 10
    others = [name for name in logs if not re.search(r"(small|first|second)-\d+\.log$", name)]
    assert others == [], "another kind was started"
    assert small.requests == []


def checked(folder: Path, *words: str) -> tuple[int, TargetCheck]:
    code = main(["check", *words, "--json", str(folder / "check.json")])
    (target,) = read_results(folder / "check.json").targets
    return code, target


def states(target: TargetCheck, state: str) -> set[str]:
    first = {one.capability: one.state for one in reversed(target.coverage)}
    return {name for name, found in first.items() if found == state}


def rules(target: TargetCheck, state: str) -> set[str]:
    return {one.rule for one in target.rules if one.state == state}


def test_check_finds_out_the_same_by_url_by_file_and_under_a_shipped_name(
    small: SmallServer, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.requests.clear()
    code, by_url = checked(tmp_path, small.url)
    assert (code, by_url.compat, by_url.strict) == (1, "fail", "fail")
    assert by_url.requests == len(small.requests)
    assert rules(by_url, "broken") == set(DEVIATIONS), "what it ignores, and nothing else"
    named_code, by_name = checked(tmp_path, small.url, "--dialect", "vllm")
    assert (named_code, rules(by_name, "broken")) == (1, set(DEVIATIONS))
    before = len(small.requests)
    file_code, by_file = checked(tmp_path, str(profile))
    assert len(small.requests) == before, "the started one is asked"
    assert (file_code, by_file.compat, by_file.strict) == (0, "pass", "fail")
    assert rules(by_file, "waived") == set(DEVIATIONS)
    assert by_file.stale == []
    for target in (by_url, by_name, by_file):
        assert states(target, "offered") == OFFERED
        assert states(target, "not offered") >= NOT_THERE
    capsys.readouterr()
