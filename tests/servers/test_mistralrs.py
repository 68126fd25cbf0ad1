"""The real mistral.rs with a tiny model of ours: what it does otherwise its dialect names, and nothing else fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from inner_suites import read_tests
from servers.runs_by_url import judge

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.cli import main
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.report.check_results import read_results

pytestmark = pytest.mark.real

PROFILE = """\
title: mistral.rs of which nothing is known
model: default
start:
  command: ["{program}", serve, --host, "{{host}}", --port, "{{port}}",
            --format, gguf, -m, "{model.parent}", -f, "{model.name}"]
ready: {{health: {{path: /health}}, timeout: 120s}}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not os.environ.get("MISTRALRS"):
        pytest.skip("mistral.rs is not here. Build it once (25 minutes; needs Rust): make test-mistralrs")
    return create_tiny_model(tmp_path_factory.mktemp("mistralrs") / "capitals.gguf", "capitals").path


def test_without_its_dialect_only_what_its_dialect_names_is_broken(model: Path, tmp_path: Path) -> None:
    profile = tmp_path / "plain.yaml"
    profile.write_text(PROFILE.format(program=os.environ["MISTRALRS"], model=model), encoding="utf-8")
    assert main(["check", str(profile), "--json", str(tmp_path / "check.json")]) == 1
    (target,) = read_results(tmp_path / "check.json").targets
    named = {one.rule for one in load_dialect("mistralrs@0.8.1").dialect.deviations}
    assert {one.rule for one in target.rules if one.state == "broken"} <= named
    assert len([one for one in target.rules if one.state == "kept"]) > 70


def test_with_its_dialect_it_is_green(model: Path, tmp_path: Path) -> None:
    profile = tmp_path / "plain.yaml"
    profile.write_text(PROFILE.format(program=os.environ["MISTRALRS"], model=model), encoding="utf-8")
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    try:
        server = library.start_server(str(profile))
        words = ["--suites", "--dialect", "mistralrs", "--model", "default", "--output", str(tmp_path)]
        code = main(["check", server.base_url, *words])
    finally:
        library.close()
    results = read_results(tmp_path / "check.json")
    (suites,), (target,) = results.suites, results.targets
    assert target.dialect == "mistralrs 0.8.1", "it tells its version"
    assert [(one.test, one.message) for one in suites.failures] == []
    assert (code, target.compat, suites.error) == (0, "pass", ""), target.reason
    judge(read_tests(tmp_path / suites.log.replace("log.html", "output.xml")), server.base_url, " 404 ", 60)
