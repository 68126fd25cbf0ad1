"""The variables that choose the target, in real runs: what they do, what their errors say, and the loud skip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from inner_suites import InnerRun, run_inner
from robot.api.types import Secret

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, ProgramError, ServerError
from InferenceLibrary.processes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that runs outside of the inner runs."""
    library = InferenceLibrary()
    library.context.output_dir = tmp_path_factory.mktemp("simulator")
    yield library.start_server("simulator", arguments=["--served-model-name", "first", "second"])
    library.close()


def run(folder: Path, *options: str, **environment: str) -> InnerRun:
    return run_inner("target_use.robot", folder, *options, env=environment)


def facts(run: InnerRun) -> dict[str, str]:
    outcome = run["Use It"]
    assert outcome.status == "PASS", outcome.message
    return dict(re.findall(r"\b(\w+)=(\S+)", "\n".join(outcome.log)))


def test_the_default_is_the_simulator(tmp_path: Path) -> None:
    found = facts(run(tmp_path, "--exclude", "limits"))
    assert (found["name"], found["model"], found["started"]) == ("simulator", "fake-model", "True")
    assert (found["call"], found["stream"]) == ("60.0", "60.0")
    assert found["metadata"] == "simulator"


def test_a_url_is_connected_to(tmp_path: Path, simulator: Any) -> None:
    found = facts(run(tmp_path, "--exclude", "limits", INFERENCE_TARGET=simulator.base_url))
    assert (found["url"], found["started"]) == (simulator.base_url, "False")
    assert found["model"] == found["asked"] == "first", "the first of the model list"
    assert simulator.process is not None
    assert simulator.process.running, "it was only let go"


def test_a_profile_goes_with_a_url_and_a_file_without_a_start_has_one(tmp_path: Path, simulator: Any) -> None:
    options = ("--exclude", "limits", "--variable", f"TARGET:{simulator.base_url}", "--variable", "PROFILE:vllm")
    assert facts(run(tmp_path / "profile", *options))["profile"] == "vllm"
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"title: mine\nurl: {simulator.base_url}\nready: {{first_token: none}}\n", encoding="utf-8")
    options = ("--exclude", "limits", "--variable", f"TARGET:{mine}", "--variable", "DIALECT:vllm")
    found = facts(run(tmp_path / "file", *options))
    assert (found["profile"], found["url"], found["started"]) == ("mine", simulator.base_url, "False")
    assert found["dialect"] == "vllm"


def test_options_go_with_a_start(tmp_path: Path) -> None:
    environment = {"INFERENCE_TARGET_OPTIONS": '{"model": "other"}'}
    refused = run(tmp_path / "refused", "--exclude", "limits", **environment)["Use It"]
    assert "'model'" in refused.first_line
    options = ("--exclude", "limits", "--variable", 'TARGET_OPTIONS:{"seed": 3, "max_model_len": 500}')
    assert run(tmp_path / "taken", *options)["Use It"].status == "PASS"


def test_another_of_its_kind_is_started_and_its_programs_are_run_as_the_run_says(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    shipped = ROOT / "InferenceLibrary" / "servers" / "profiles" / "simulator.yaml"
    text = shipped.read_text(encoding="utf-8").replace("[inference-simulator,", '["{python}", -m, "{module}",')
    text = text.replace("command: [inference-simulator]", 'command: ["{python}", -m, "{module}"]')
    options = "  options:\n    module: {default: no_such_module}\n"
    mine.write_text(text.replace("  options:\n", options, 1), encoding="utf-8")
    given = '{"module": "InferenceLibrary.simulator", "scenario": "capitals", "mode": "echo"}'
    variables = (f"TARGET:{mine}", "MODEL:other", f"TARGET_OPTIONS:{given}")
    done = run(tmp_path / "out", "--include", "kind", *(part for one in variables for part in ("--variable", one)))
    outcome = done["Another Of Its Kind"]
    assert outcome.status == "PASS", outcome.message
    said = "\n".join(outcome.log)
    assert "other=mine model=other apart=True" in said
    assert "'mode': 'echo'" in said
    assert "'time_to_first_token': '1 ms'" in said
    assert re.search(r"program=\S*python", said)
    assert "terminal=The capital of France is Paris." in said
    assert done["Only Of The Simulator"].status == "PASS"
    assert done["A Server In The Place Of Its Name"].status == "PASS", done["A Server In The Place Of Its Name"].message


def test_a_profile_says_what_its_terminal_finds_in_its_environment_and_how_long_its_program_may_take(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        """title: mine
name: simulator
program: {command: ["{python}", -c, "import time; time.sleep(60)"], timeout: 100ms}
terminal:
  command: [sh, -c, 'echo "shown $SHOWN"; printf "> "; read end']
  prompt: '^> '
  environment: {SHOWN: "{host} {model}"}
start: {command: ["{python}"]}
""",
        encoding="utf-8",
    )
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    try:
        library.start_server("simulator", model="other")
        library.start_chat_terminal(profile=str(file))
        library.terminal_should_contain("shown 127.0.0.1 other")
        library.use_program(profile=str(file))
        with pytest.raises(ProgramError, match=r"expected its end within 0\.1 s"):
            library.run_program()
        with pytest.raises(ProgramError, match=r"expected its end within 0\.2 s"):
            library.run_program(timeout=timedelta(seconds=0.2))
    finally:
        library.close()


def test_nothing_of_a_simulator_runs_for_another_target(tmp_path: Path, simulator: Any) -> None:
    done = run(tmp_path, "--include", "kind", "--variable", f"TARGET:{simulator.base_url}")
    outcome = done["Only Of The Simulator"]
    assert (outcome.status, outcome.first_line) == (
        "SKIP",
        f"The target is {simulator.base_url}, and this test says nothing of it: it uses a simulator of its own, or no "
        "server. Leave out TARGET to run it.",
    )


def test_vllm_url_and_model(tmp_path: Path, simulator: Any) -> None:
    environment = {"VLLM_BACKEND_URL": f"{simulator.base_url}/v1", "VLLM_MODEL_NAME": "second"}
    found = facts(run(tmp_path, "--exclude", "limits", **environment))
    assert (found["url"], found["model"], found["asked"]) == (simulator.base_url, "second", "first")
    assert found["profile"] == "vllm"


@pytest.mark.parametrize("variable", ["INFERENCE_SERVICE_URL", "LLM_GATEWAY_URL"])
def test_other_urls_of_the_field(tmp_path: Path, simulator: Any, variable: str) -> None:
    found = facts(run(tmp_path, "--exclude", "limits", **{variable: simulator.base_url}))
    profile = {"INFERENCE_SERVICE_URL": "inference-service", "LLM_GATEWAY_URL": "llm-gateway"}[variable]
    assert (found["url"], found["profile"]) == (simulator.base_url, profile)


def test_variables_of_the_run_go_before_the_environment(tmp_path: Path, simulator: Any) -> None:
    options = ("--exclude", "limits", "--variable", f"TARGET:{simulator.base_url}", "--variable", "MODEL:second")
    found = facts(run(tmp_path, *options, INFERENCE_TARGET="no-such-target"))
    assert (found["url"], found["model"]) == (simulator.base_url, "second")


def test_port_and_limits_take_effect(tmp_path: Path) -> None:
    port = free_port()
    environment = {"TEST_PORT": str(port), "INTEGRATION_TEST_TIMEOUT": "700ms", "STREAM_TEST_TIMEOUT": "0.5"}
    done = run(tmp_path, "--exclude", "kind", **environment)
    found = facts(done)
    assert found["url"] == f"http://127.0.0.1:{port}"
    assert (found["call"], found["stream"]) == ("0.7", "0.5")
    call, stream = done["A Call Keeps Its Limit"], done["A Stream Keeps Its Limit"]
    assert "no answer within the total time limit of 0.7 s" in call.first_line
    assert "no end within the total time limit of 0.5 s" in stream.first_line
    assert done.leftovers == []


def test_the_limit_of_calls_is_that_of_streams_too(tmp_path: Path) -> None:
    found = facts(run(tmp_path, "--exclude", "limits", INTEGRATION_TEST_TIMEOUT="9"))
    assert (found["call"], found["stream"]) == ("9.0", "9.0")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TEST_PORT": "http"}, r"TEST_PORT: expected a port from 1 to 65535, got 'http'\."),
        (
            {"STREAM_TEST_TIMEOUT": "soon"},
            r"STREAM_TEST_TIMEOUT: expected a duration with a unit, .*, got 'soon'; a number alone is seconds\.",
        ),
        ({"SKIP_INTEGRATION_TESTS": "ture"}, r"SKIP_INTEGRATION_TESTS: expected true or false, got 'ture'\."),
        ({"INFERENCE_DIALECT": "vlm"}, r"No dialect 'vlm': .* Did you mean 'vllm'\?"),
        ({"INFERENCE_TARGET": "simulatr"}, r"No profile 'simulatr': .* Did you mean 'simulator'\?.*"),
        ({"INFERENCE_TARGET": "http://127.0.0.1:99999"}, r"'http://127.0.0.1:99999' is not the URL of a server: .*"),
        ({"VLLM_BACKEND_URL": "localhost:8000"}, r"'localhost:8000' is not a profile\. .* write http://localhost:8000"),
        ({"LLM_GATEWAY_URL": "http://127.0.0.1:9"}, r"Nobody answers as expected: .* got connection refused .*"),
        (
            {"INFERENCE_TARGET": "openai"},
            r"The target 'openai' is not started, but connected to: expected its URL as TARGET, .*",
        ),
        (
            {"INFERENCE_PROFILE": "vllm"},
            r"PROFILE: 'vllm' says what answers at a URL, and the target is 'simulator'\. .*",
        ),
        (
            {"INFERENCE_TARGET": "http://127.0.0.1:9", "INFERENCE_TARGET_OPTIONS": '{"seed": 1}'},
            r"TARGET_OPTIONS: the options of a start, and http://127.0.0.1:9 is connected to\. .*",
        ),
        ({"INFERENCE_TARGET_OPTIONS": "seed=1"}, r"TARGET_OPTIONS: expected a JSON object such as .*, got 'seed=1'\."),
        (
            {"INFERENCE_TARGET_OPTIONS": '{"sed": 1}'},
            r"Profile 'simulator' has no option 'sed': .* Did you mean 'seed'\?",
        ),
    ],
)
def test_a_variable_that_cannot_be_used_is_told(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    outcome = run(tmp_path, "--exclude", "limits", **environment)["Use It"]
    assert outcome.status == "FAIL"
    assert re.fullmatch(message, outcome.first_line), outcome.message
    assert "Traceback" not in outcome.message


SUITES = sorted(path.name for path in (ROOT / "robot" / "integration").glob("*.robot"))


def test_skipping_is_loud_in_every_suite(tmp_path: Path) -> None:
    done = run_inner(ROOT / "robot" / "integration", tmp_path, env={"SKIP_INTEGRATION_TESTS": "true"})
    assert len(done.tests) > 3 * len(SUITES)
    for name, outcome in done.tests.items():
        assert outcome.status == "SKIP", f"{name}: {outcome.status} {outcome.message}"
        assert "SKIP_INTEGRATION_TESTS=true skips all integration tests. Unset it to run them." in outcome.message
    assert done.return_code == 0
    assert not (tmp_path / "inference").exists(), "nothing was started"


def test_another_server_of_the_same_kind_is_started_as_the_first_was(simulator: Any, tmp_path: Path) -> None:
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    own = tmp_path / "own.yaml"
    own.write_text(
        "title: Own\nmodel: none\nstart:\n"
        "  command: [inference-simulator, --port, '{port}', --served-model-name, '{model}']\n"
        "  options: {seed: {flag: --seed}, key: {flag: --api-key}}\n",
        encoding="utf-8",
    )
    try:
        first = library.start_server(str(own), model="first", key="k-1", api_key=Secret("k-1"), seed=1)
        other = library.start_server(first, seed=2)
        assert other.base_url != first.base_url
        assert (other.profile, other.model) == (first.profile, "first")
        assert (other.asked.options, other.client.api_key) == ({"key": "k-1", "seed": 2}, "k-1")
        assert library.list_models(server=other) == ["first"]
        connected = library.connect_to_server(simulator.base_url)
        with pytest.raises(ServerError, match=r"expected a profile, or a server that was started here, got "):
            library.start_server(connected)
    finally:
        library.close()


def test_a_waived_rule_alone_is_enough_to_judge_an_answer(simulator: Any, tmp_path: Path) -> None:
    library = InferenceLibrary()
    library.context.output_dir = tmp_path
    mine = tmp_path / "mine.yaml"
    try:
        for waives in ("", "waives: [{rule: C18, reason: it takes them}]\n"):
            mine.write_text(f"title: Mine\n{waives}ready: {{first_token: none}}\n", encoding="utf-8")
            server = library.connect_to_server(simulator.base_url, profile=str(mine))
            right = {"model": "first", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 16}
            headers = {"x-inference-fault": "accepts-stream-options"}
            body = {**right, "stream_options": {"include_usage": True}}
            reply = library.send_request("POST", "/v1/chat/completions", body, headers=headers, server=server)
            assert reply.status == 200
            if waives:
                library.answer_should_keep_the_rules(reply, only="C18")
            else:
                with pytest.raises(CheckFailure, match="C18"):
                    library.answer_should_keep_the_rules(reply, only="C18")
    finally:
        library.close()
