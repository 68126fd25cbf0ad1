"""The profiles that come with the library: each is valid, complete, and builds the command line that it means."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
from recordings import recording

from InferenceLibrary.causes import find_cause
from InferenceLibrary.dialects.files import load_dialect, shipped_dialects
from InferenceLibrary.protocol.capabilities import CAPABILITIES, CapabilityKind
from InferenceLibrary.servers.command import build_command
from InferenceLibrary.servers.profile import SHIPPED, load_profile, profile_names
from InferenceLibrary.servers.schema import key_descriptions, profile_schema

NAMES = profile_names()
IN_PROFILES = {"api-router": ["streams"]}
"""What the stand-in has, in another era, and the server does not."""
EXPECTED = {
    "simulator", "llama.cpp", "vllm", "mistralrs", "mistralrs-server", "tgi", "sglang", "ollama", "llm-d-inference-sim",
    "litellm", "transformers", "llama-cpp-python", "worker-orcd", "kubectl-port-forward", "openai",
}  # fmt: skip

GIVEN = {
    "vllm": {"model_path": "org/model", "max_model_len": 1024},
    "tgi": {"model_path": "org/model"},
    "sglang": {"model_path": "org/model"},
    "litellm": {"config": "{file}"},
    "llama-cpp-python": {"model_file": "{file}"},
    "llama.cpp": {"model_file": "{file}"},
    "mistralrs": {"model_path": "org/model"},
    "mistralrs-server": {"model_folder": "{folder}", "model_filename": "m.gguf"},
    "worker-orcd": {"model_file": "{file}"},
    "kubectl-port-forward": {"resource": "svc/vllm", "namespace": "serving"},
}
LINES = {
    "vllm": "vllm serve org/model --host 127.0.0.1 --port 8123 --served-model-name served --max-model-len 1024",
    "tgi": "text-generation-launcher --model-id org/model --hostname 127.0.0.1 --port 8123",
    "sglang": "python3 -m sglang.launch_server --model-path org/model --host 127.0.0.1 --port 8123 "
    "--served-model-name served --enable-metrics",
    "ollama": "ollama serve",
    "litellm": "litellm --host 127.0.0.1 --port 8123 --config {file}",
    "transformers": "transformers serve --host 127.0.0.1 --port 8123",
    "llama-cpp-python": "python3 -m llama_cpp.server --host 127.0.0.1 --port 8123 --model_alias tiny --model {file} "
    "--n_ctx 4096 --n_threads 1",
    "mistralrs": "mistralrs serve --host 127.0.0.1 --port 8123 -m org/model",
    "mistralrs-server": "mistralrs-server --serve-ip 127.0.0.1 --port 8123 gguf -m {folder} -f m.gguf",
    "worker-orcd": "worker-orcd --worker-id worker-under-test --port 8123 --callback-url "
    "http://localhost:9999/callback --model {file} --gpu-device 0",
    "kubectl-port-forward": "kubectl port-forward svc/vllm 8123:8000 --address 127.0.0.1 --namespace serving",
}


def test_all_are_there() -> None:
    assert set(NAMES) >= EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_each_is_complete(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.title
    if name not in {"openai"} and "simulator" not in profile.title.lower():
        assert profile.homepage.startswith("https://")
    for feature, reason in profile.lacks.items():
        assert feature == feature.strip()
        assert len(reason) > 10, "a skip says why"
        assert not reason.endswith("."), "the keyword puts the full stop"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_server_offers_over_http_stands_in_its_dialect_alone(name: str) -> None:
    """The profile says what the program, its terminal and its files are like, and what tests may do to it."""
    profile = load_profile(name)
    own = msgspec.yaml.decode((SHIPPED / f"{name}.yaml").read_bytes())
    said = {*own.get("offers", []), *own.get("lacks", {})}
    if profile.dialect is not None:
        dialect = load_dialect(profile.dialect).dialect
        assert not said & {*dialect.offers, *dialect.lacks}
        if "inference-simulator" not in own.get("start", {}).get("command", []):
            http = [one for one in said if CAPABILITIES[one].kind is not CapabilityKind.CONTROL]
            assert [one for one in http if not one.endswith(" models")] == IN_PROFILES.get(name, [])


@pytest.mark.parametrize("name", LINES)
def test_the_command_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    file = tmp_path / "file.gguf"
    file.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    for program in {line.split()[0] for line in LINES.values()}:
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("sys.executable", str(programs / "python3"))
    profile = load_profile(name)
    assert profile.start is not None

    def filled(text: str) -> str:
        return text.replace("{file}", str(file)).replace("{folder}", str(folder))

    options = {key: filled(value) if isinstance(value, str) else value for key, value in GIVEN.get(name, {}).items()}
    argv = build_command(
        profile.start.command,
        profile.start.options,
        options,
        source=name,
        placeholders={"port": "8123", "host": "127.0.0.1", "model": profile.model or ""},
        environment={"PATH": str(programs)},
    )
    assert Path(argv[0]).parent == programs
    assert [Path(argv[0]).name, *argv[1:]] == filled(LINES[name]).split()


@pytest.mark.parametrize("name", ["vllm", "tgi", "sglang", "worker-orcd"])
def test_what_needs_a_gpu_looks_at_it_first(name: str) -> None:
    start = load_profile(name).start
    assert start is not None
    assert start.gpu is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mistralrs", 'Error: path: "m.gguf" invalid GGUF magic [58, 58, 58, 58]'),
        ("mistralrs", 'Error: path: "m.gguf" GGUF file is shorter than its magic'),
        ("mistralrs", "Error: GGUF tensor `T` needs 9 bytes at byte 7, but its storage ends at 8"),
        ("llama.cpp", "llama_model_load_from_file_impl: failed to load model"),
    ],
)
def test_what_servers_say_of_broken_models_has_a_hint(name: str, said: str) -> None:
    found = find_cause([said], None, load_profile(name).hints)
    assert found is not None
    assert "the model file is broken" in found


def test_the_schema_describes_every_key_that_has_a_text() -> None:
    schema = profile_schema()
    json.dumps(schema)
    parts = schema["$defs"]
    assert {"Profile", "Start", "Option", "Health", "Ready", "Budgets", "Stop", "Gpu"} <= set(parts)
    assert all(part.get("additionalProperties") is False for part in parts.values())
    assert parts["Ready"]["properties"]["budgets"]["$ref"] == "#/$defs/Budgets"
    assert "must name the model" in parts["Ready"]["properties"]["model_list"]["description"]
    described = key_descriptions()
    assert described["Stop"]["grace"] == "How long the signal may take."
    for part, keys in described.items():
        for key, text in keys.items():
            if part in parts:
                assert parts[part]["properties"][key]["description"] == text


def test_what_a_recorded_server_refuses_rightly_is_not_waived() -> None:
    waiving = [profile for profile in map(load_profile, NAMES) if "unparsable JSON is a 400" in profile.lacks]
    assert waiving
    for profile in waiving:
        recorded = [one.recording for one in shipped_dialects() if one.name == profile.dialect and one.recording]
        statuses = {
            record.answer["status"]
            for each in recorded
            for record in recording(each)
            if record.request.get("text") == "{" and record.request["path"] == "/v1/chat/completions"
        }
        assert statuses - {400, 401, 422}, profile.name
