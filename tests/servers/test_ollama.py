"""The real Ollama with a tiny model of ours: what it does otherwise its dialect names, and nothing else fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from inner_suites import read_tests
from servers.runs_by_url import judge

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.cli import main
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.report.check_results import read_results

pytestmark = pytest.mark.real

MODELFILE = '''
TEMPLATE """{{- if .Tools }}<|system|>You may call these functions:
{{ range .Tools }}{{ . }}
{{ end }}<|end|>{{ end }}
{{- range .Messages }}<|{{ .Role }}|>{{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>{{ end }}<|end|>{{ end }}<|assistant|>"""
PARAMETER seed 1
PARAMETER num_thread 1
PARAMETER stop <|end|>
'''
"""Ollama finds out from the template, in Go's language, how the model calls a tool."""
PROFILE = """\
title: Ollama without a model
start:
  command: ["{program}", serve]
  environment: {{OLLAMA_HOST: "{{host}}:{{port}}"}}
ready: {{health: {{path: /api/version}}, first_token: none, timeout: 60s}}
"""


DIALECT = """\
name: ollama-with-the-tiny-model
title: Ollama with the tiny model
version: 0.17.4
extends: ollama
lacks:
  distinct vectors: it takes the vector of the end of the text, which is the same for all texts in this model
"""


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that has the model `tiny`, which calls tools."""
    program = os.environ.get("OLLAMA")
    if not program:
        pytest.skip("Ollama is not here. Build it once (minutes; needs Go): make test-ollama")
    folder = tmp_path_factory.mktemp("ollama")
    # Filled up with zeros: as fast as it is without, no time of a token could be measured.
    create_tiny_model(folder / "tools.gguf", "tools", size=20_000_000)
    (folder / "Modelfile").write_text(f"FROM {folder / 'tools.gguf'}{MODELFILE}", encoding="utf-8")
    (folder / "empty.yaml").write_text(PROFILE.format(program=program), encoding="utf-8")
    library = InferenceLibrary()
    library.context.output_dir = folder
    with pytest.MonkeyPatch.context() as patch:
        # Its key and its history go where the user's are not.
        for name, value in {
            "HOME": folder,
            "OLLAMA_MODELS": folder / "models",
            "OLLAMA_NUM_PARALLEL": 1,
            "OLLAMA_CONTEXT_LENGTH": 1024,
        }.items():
            patch.setenv(name, str(value))
        try:
            server = library.start_server(str(folder / "empty.yaml"), model="tiny")
            made = library.run_program(
                program, "create", "tiny", "-f", str(folder / "Modelfile"),
                environment={"OLLAMA_HOST": server.base_url}, timeout=timedelta(minutes=5),
            )  # fmt: skip
            assert made.exit_code == 0, made.stderr
            yield server
        finally:
            library.close()


def test_without_its_dialect_only_what_its_dialect_names_is_broken(ollama: Any, tmp_path: Path) -> None:
    assert main(["check", ollama.base_url, "--model", "tiny", "--json", str(tmp_path / "check.json")]) == 1
    (target,) = read_results(tmp_path / "check.json").targets
    named = {one.rule for one in load_dialect("ollama").dialect.deviations}
    assert {one.rule for one in target.rules if one.state == "broken"} <= named
    assert len([one for one in target.rules if one.state == "kept"]) > 70


def test_with_its_dialect_it_is_green_and_nobody_else_is_asked(ollama: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(DIALECT, encoding="utf-8")
    words = ["--suites", "--model", "tiny", "--dialect", str(own), "--output", str(tmp_path)]
    code = main(["check", ollama.base_url, *words])
    results = read_results(tmp_path / "check.json")
    (suites,), (target,) = results.suites, results.targets
    judge(
        read_tests(tmp_path / suites.log.replace("log.html", "output.xml")), ollama.base_url, "404 page not found", 70
    )
    assert (code, target.compat, suites.error) == (0, "pass", ""), target.reason


@pytest.mark.usefixtures("ollama")
def test_its_profile_starts_it_with_the_models_of_the_user(tmp_path: Path) -> None:
    assert main(["check", "ollama", "--model", "tiny", "--json", str(tmp_path / "check.json")]) == 0
    (target,) = read_results(tmp_path / "check.json").targets
    assert (target.compat, target.dialect) == ("pass", "ollama 0.17.4")
