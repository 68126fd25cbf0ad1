"""No false alarm at a stand-in: the suites, and the check, tell nothing of it but what its dialect names.

The check of one stand-in a day; all of them, and the suites, by ALL=1 (minutes).
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from likeness import served

from InferenceLibrary.check.command import check
from InferenceLibrary.check.suites import run_suites
from InferenceLibrary.check.targets import CheckTarget
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.report.check_results import TargetCheck

STAND_INS = [
    "litellm", "llama-cpp-python", "llama.cpp", "llama.cpp@b0", "llm-d", "llm-d, by chance", "mistralrs",
    "mistralrs@0.8.1", "ollama", "sglang-router", "transformers", "vllm",
]  # fmt: skip
"""What a recording or a real server at hand shows; after a comma, what is special."""
ALL = bool(os.environ.get("ALL"))


TODAYS = STAND_INS if ALL else [STAND_INS[date.today().toordinal() % len(STAND_INS)]]


FLAGS = {
    "mistralrs": ["serve", "-p", "{port}", "-m", "MODEL"],
    # Refusals tell the name of its model, which is a path.
    "mistralrs@0.8.1": ["serve", "-p", "{port}", "--format", "gguf", "-f", "model.gguf", "-m", "FOLDER"],
    "llm-d": ["--model", "tiny", "--mode", "echo"],
    # Its own default: each answer to a question is another.
    "llm-d, by chance": ["--model", "tiny"],
}
MODELS = {"transformers": "fake-model"}
"""What is asked for where the model list is empty until a model was asked for."""
FAILING = {"llama-cpp-python": {"chat in a format", "chat in a format, streamed", "two prompts"}}
"""Right calls that a server answers with 500, as recorded."""
OF_THE_MACHINE = {"F11"}
"""Rules that are broken where a machine is so busy that it reads a stream in one go."""


@pytest.mark.parametrize("case", TODAYS)
@pytest.mark.timeout(1800 if ALL else 300)
def test_nothing_fails_but_what_its_dialect_names(case: str, tmp_path: Path) -> None:
    stand_in = case.partition(",")[0]
    flags = [word.replace("FOLDER", str(tmp_path)) for word in FLAGS.get(case, [])]
    if flags != FLAGS.get(case, []):
        create_tiny_model(tmp_path / "model.gguf", "capitals")
    with served(["--as", stand_in, *flags], {}) as port:
        plain = CheckTarget(f"http://127.0.0.1:{port}", MODELS.get(stand_in))
        known = plain._replace(dialect=stand_in)
        without, with_it = (check(one, Redactor(), tell=lambda line: None).result for one in (plain, known))
        suites = [run_suites(known, tmp_path, [], Redactor(), lambda line: None)] if ALL else []
    named = {one.rule for one in load_dialect(stand_in).dialect.deviations}
    assert broken(without) - OF_THE_MACHINE <= named
    assert len([one for one in without.rules if one.state == "kept"]) > 50
    assert broken(with_it) <= OF_THE_MACHINE
    assert {one.name for one in with_it.calls if one.state == "failed"} == FAILING.get(stand_in, set())
    assert [(one.test, one.message) for run in suites for one in run.failures] == []
    assert all(run.passed > 50 for run in suites)


def broken(result: TargetCheck) -> set[str]:
    return {one.rule for one in result.rules if one.state == "broken"}
