"""The integration suites, whole, on the real llama-server in each of its manners: green with its dialect."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from inner_suites import Outcome, read_tests
from robot.api.types import Secret
from servers.runs_by_url import judge

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.cli import main
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.report.check_results import CheckResults, read_results

pytestmark = pytest.mark.real

KEY = "sk-of-this-test"
WAYS = {
    "key": ("capitals", {"api_key_required": KEY}, 90),
    "embeddings": ("capitals", {"embeddings": True, "pooling": "mean"}, 95),
    "tools": ("tools", {}, 95),
    "thinking": ("thinking", {}, 85),
}
"""Way to the model, options of the start, and more tests than so many must pass."""
CONFIG = """\
model_list:
- {{model_name: tiny, litellm_params: {{model: openai/tiny, api_base: "{url}/v1", api_key: none}}}}
litellm_settings: {{num_retries: 0}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceLibrary]:
    if not (os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")):
        pytest.skip("llama-server is not here. make test-real builds it once (minutes) and runs this test")
    monkeypatch.setenv("KEY_OF_THE_SERVER", KEY)
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    yield library
    library.close()


def begun(library: InferenceLibrary, kind: str, size: int = 100_000_000, **options: Any) -> str:
    """Start llama-server with a model of that kind; return its URL."""
    # Filled up with zeros: as fast as it is without, no time of a token could be measured.
    made = create_tiny_model(Path(library.context.output_dir) / f"{kind}.gguf", kind, size=size)
    key = Secret(KEY) if "api_key_required" in options else None
    return str(
        library.start_server("llama.cpp", model="tiny", model_file=str(made.path), api_key=key, **options).base_url
    )


def checked(url: str, dialect: str, folder: Path, *words: str) -> tuple[int, CheckResults, dict[str, Outcome]]:
    """Check a server by its URL, with the suites beside it."""
    code = main(["check", url, "--suites", "--dialect", dialect, "--output", str(folder), *words])
    results = read_results(folder / "check.json")
    (suites,) = results.suites
    assert suites.error == ""
    return code, results, read_tests(folder / suites.log.replace("log.html", "output.xml"))


@pytest.mark.parametrize("way", WAYS)
def test_the_suites_are_green_by_its_url(way: str, library: InferenceLibrary, tmp_path: Path) -> None:
    model, options, least = WAYS[way]
    url = begun(library, model, **options)
    words = ["--api-key-env", "KEY_OF_THE_SERVER"] if way == "key" else []
    code, results, tests = checked(url, "llama.cpp", tmp_path / "out", *words)
    judge(tests, url, "File Not Found", least)
    assert (code, results.targets[0].compat) == (0, "pass"), results.targets[0].reason
    assert found_anywhere(tmp_path / "out", KEY) == []


def test_a_gateway_with_a_key_before_it_is_green_with_both_dialects(library: InferenceLibrary, tmp_path: Path) -> None:
    if not (os.environ.get("LITELLM") or shutil.which("litellm")):
        pytest.skip("LiteLLM is not here. Install it: export LITELLM=$(python scripts/install_program.py litellm)")
    config = tmp_path / "config.yaml"
    # Tokens that come faster than a busy gateway wakes are sent in bursts.
    config.write_text(CONFIG.format(url=begun(library, "tools", size=300_000_000)), encoding="utf-8")
    # On a busy machine it takes more than a minute to import what it is made of.
    proxy = library.start_server(
        "litellm", model="tiny", config=str(config), environment={"LITELLM_MASTER_KEY": Secret(KEY)},
        api_key=Secret(KEY), timeout=timedelta(minutes=5),
    )  # fmt: skip
    words = ["--model", "tiny", "--api-key-env", "KEY_OF_THE_SERVER"]
    code, results, tests = checked(proxy.base_url, "litellm+llama.cpp@b0", tmp_path / "out", *words)
    judge(tests, proxy.base_url, " ms: Not Found", least=80)
    assert (code, results.targets[0].compat) == (0, "pass"), results.targets[0].reason
    assert found_anywhere(tmp_path / "out", KEY) == []


def found_anywhere(folder: Path, text: str) -> list[str]:
    """The files that hold a text."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
