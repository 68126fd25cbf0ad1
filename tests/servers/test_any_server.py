"""The suites against a small server of a user's own: what it lacks is skipped, and nothing else is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from inner_suites import InnerRun, run_inner
from servers.small_server import SmallServer

SUITES = Path(__file__).resolve().parents[2] / "robot" / "integration"
SMALL = Path(__file__).with_name("small_server.py")
MISSING = "There is no such path"
ALL = (
    "api", "streaming", "errors", "error_categories", "messages", "responses", "embeddings", "rerank", "tokens",
    "tools", "structured_output", "validation", "metrics", "lora", "cancellation", "load", "retry", "broken_streams",
)  # fmt: skip
ABSENT = {"messages", "responses", "embeddings", "rerank", "tokens", "tools", "metrics", "lora"}
"""Suites of which no test may pass: their routes and features are not there."""


@pytest.fixture(scope="module")
def small() -> Iterator[SmallServer]:
    server = SmallServer().begin()
    yield server
    server.close()


def run(folder: Path, suites: tuple[str, ...], *options: str) -> InnerRun:
    chosen = [part for name in suites for part in ("--suite", name)]
    return run_inner(SUITES, folder, *options, "--exclude", "pabot:exclusive", *chosen)


def judge(done: InnerRun) -> None:
    failed = {name: outcome.first_line for name, outcome in done.tests.items() if outcome.status == "FAIL"}
    assert failed == {}
    passed = [name for name, outcome in done.tests.items() if outcome.status == "PASS"]
    assert len(passed) > 10, "nothing was tested"
    for name in passed:
        # What a probe was told is no call of the test.
        own = [line for line in done.tests[name].log if MISSING in line and not line.startswith("Asked for '")]
        assert own == [] or name == "An Unknown Path Is Not Found", f"{name} passed on a route that is not there"


def test_by_its_url_nothing_fails_and_no_other_server_is_touched(small: SmallServer, tmp_path: Path) -> None:
    done = run(tmp_path, ALL, "--variable", f"TARGET:{small.url}")
    judge(done)
    output = (tmp_path / "output.xml").read_text(encoding="utf-8")
    said = "\n".join(line for outcome in done.tests.values() for line in outcome.log)
    assert set(re.findall(r"http://127\.0\.0\.1:\d+", said)) == {small.url}
    assert not (tmp_path / "inference" / "servers").exists(), "a server was started"
    table = output[output.index('name="Capabilities"') :]
    assert "| chat | offered | server | status 200, application/json |" in table
    assert f"| embeddings | not offered | server | status 404: {MISSING} |" in table
    asked = [path for path, _ in small.requests]
    for suite in ElementTree.parse(tmp_path / "output.xml").iter("suite"):
        if str(suite.get("name")).lower() in ABSENT:
            assert {str(one.get("status")) for one in suite.iterfind("test/status")} == {"SKIP"}, suite.get("name")
    assert asked.count("/v1/embeddings") == asked.count("/tokenize") == 1, "one question decides"


@pytest.mark.slow
def test_by_a_file_it_is_started_and_under_a_shipped_name_it_is_asked(small: SmallServer, tmp_path: Path) -> None:
    profile = tmp_path / "small.yaml"
    profile.write_text(
        f"""title: Small
start:
  command: ["{{python}}", "{SMALL}", --port, "{{port}}"]
ready: {{health: {{bodies: [status]}}, model_list: /v1/models, first_token: chat}}
""",
        encoding="utf-8",
    )
    suites = ("api", "streaming", "embeddings", "validation")
    judge(run(tmp_path / "file", suites, "--variable", f"TARGET:{profile}"))
    named = run(
        tmp_path / "named", (*suites, "metrics"), "--variable", f"TARGET:{small.url}", "--variable", "PROFILE:vllm"
    )
    judge(named)
    table = (tmp_path / "named" / "output.xml").read_text(encoding="utf-8")
    assert "| metrics | not offered | server | status 404" in table
    assert "| top_k | offered | profile | its profile offers it; asked: a field that does not exist" in table
