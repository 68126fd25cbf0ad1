"""The real LiteLLM proxy before two simulators: what it does otherwise its dialect names, and nothing else fails."""

from __future__ import annotations

import os
import shutil
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
from InferenceLibrary.report.check_results import read_results
from InferenceLibrary.simulator import scenario

pytestmark = pytest.mark.real

LONG = """\
  - match: {prompt: "(?i)explain to a new colleague", free_form: true}
    answer: {text: "There is much to say of it, and so it is said at some length here, word after word, until it ends."}
"""
"""Beside the answers that the simulator ships: nothing hangs on the luck of a random answer."""
CONFIG = """\
model_list:
- {{model_name: one, litellm_params: {{model: openai/one, api_base: "{one}/v1", api_key: none}}}}
- {{model_name: two, litellm_params: {{model: openai/two, api_base: "{two}/v1", api_key: none}}}}
litellm_settings: {{num_retries: 0}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not (os.environ.get("LITELLM") or shutil.which("litellm")):
        pytest.skip("LiteLLM is not here. Install it: export LITELLM=$(python scripts/install_program.py litellm)")
    folder = tmp_path_factory.mktemp("litellm")
    library = InferenceLibrary()
    library.context.output_dir = folder
    shipped = (Path(scenario.__file__).parent / "scenarios" / "capitals.yaml").read_text(encoding="utf-8")
    (folder / "backend.yaml").write_text(shipped + LONG, encoding="utf-8")
    try:
        backends = {
            name: library.start_server(
                "simulator", model=name, scenario=str(folder / "backend.yaml"), seed=1, inter_token_latency="5ms"
            ).base_url
            for name in ("one", "two")
        }
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(**backends), encoding="utf-8")
        # Without a key of its own it refuses to start, unless it is told that this is meant.
        told = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        # On a busy machine it takes more than a minute to import what it is made of.
        slow = timedelta(minutes=5)
        yield library.start_server("litellm", model="one", config=str(config), environment=told, timeout=slow)
    finally:
        library.close()


def test_without_its_dialect_only_what_its_dialect_names_is_broken(proxy: Any, tmp_path: Path) -> None:
    assert main(["check", proxy.base_url, "--json", str(tmp_path / "check.json")]) == 1
    (target,) = read_results(tmp_path / "check.json").targets
    named = {one.rule for one in load_dialect("litellm").dialect.deviations}
    assert {one.rule for one in target.rules if one.state == "broken"} <= named
    assert len([one for one in target.rules if one.state == "kept"]) > 90


def test_with_its_dialect_it_is_green_and_nobody_else_is_asked(proxy: Any, tmp_path: Path) -> None:
    code = main(["check", proxy.base_url, "--suites", "--dialect", "litellm", "--output", str(tmp_path)])
    results = read_results(tmp_path / "check.json")
    (suites,) = results.suites
    (target,) = results.targets
    judge(
        read_tests(tmp_path / suites.log.replace("log.html", "output.xml")), proxy.base_url, " ms: Not Found", least=90
    )
    assert (code, target.compat, suites.error) == (0, "pass", "")
    assert target.dialect == "litellm 1.106.2"
    assert not [one for one in target.notices if "version" in one], "it is found out which version runs"
