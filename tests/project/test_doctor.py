"""What the doctor finds, and what it says to do about each gap."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from InferenceLibrary import doctor


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that seem not to be installed."""
    absent: set[str] = set()
    real = metadata.version

    def version(package: str) -> str:
        if package in absent:
            raise metadata.PackageNotFoundError(package)
        return "1.0" if package.endswith("-gpu") else real(package)

    monkeypatch.setattr(metadata, "version", version)
    return absent


def test_every_gap_comes_with_what_to_do() -> None:
    lines: list[str] = []
    code = doctor.examine(lines.append)
    assert code == 0, "\n".join(lines)
    for number, line in enumerate(lines):
        if line.startswith(("[absent", "[broken")):
            assert lines[number + 1].lstrip().startswith("do: "), line
    assert lines[-1].endswith(" 0 broken")
    found = sum(line.startswith("[") for line in lines)
    assert found == sum(int(part.split()[0]) for part in lines[-1].split(", "))


def test_a_missing_core_package_is_broken(lacking: set[str]) -> None:
    lacking.add("h11")
    lines: list[str] = []
    assert doctor.examine(lines.append) == 1
    index = next(index for index, line in enumerate(lines) if line.startswith("[broken ] h11"))
    assert "not installed" in lines[index]
    assert lines[index + 1].strip() == "do: pip install h11"
    assert lines[-1].endswith(" 1 broken")


def test_a_missing_extra_is_named_with_its_package(lacking: set[str]) -> None:
    lacking.add("tui-test")
    (finding,) = (found for found in doctor._extras() if found.what == "extra 'terminal'")
    assert (finding.state, finding.detail) == ("absent", "lacks tui-test")
    assert finding.remedy == "pip install tui-test"


def test_either_build_of_onnxruntime_will_do(lacking: set[str]) -> None:
    lacking.add("onnxruntime")
    found = {finding.what: finding for finding in doctor._extras()}
    assert found["extra 'onnx'"].detail == "onnxruntime-gpu stands in for onnxruntime"
    lacking.add("onnxruntime-gpu")
    found = {finding.what: finding for finding in doctor._extras()}
    assert found["extra 'onnx'"].state == "absent"
    assert "pip uninstall onnxruntime" in found["extra 'onnx-gpu'"].remedy


@pytest.mark.parametrize(
    ("programs", "state", "detail"),
    [
        ({}, "absent", "neither docker nor podman is on the PATH"),
        ({"docker": "echo 27.0.1"}, "ok", "docker 27.0.1"),
        ({"podman": "echo 5.1"}, "ok", "podman 5.1"),
        (
            {"docker": "echo 'Cannot connect' >&2; exit 1"},
            "absent",
            "docker is there, its engine at here is not: Cannot",
        ),
        ({"docker": "exit 1"}, "absent", "no answer"),
    ],
)
def test_the_container_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], state: str, detail: str
) -> None:
    for name, text in programs.items():
        script(tmp_path, name, text)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "here")
    finding = doctor._engine()
    assert finding.state == state
    assert detail in finding.detail
    assert finding.remedy or state == "ok"


def test_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LLAMA_SERVER", raising=False)
    assert doctor._real_server().state == "absent"
    server = script(tmp_path, "llama-server", "echo noise; echo 'version: 42 (abc)' >&2")
    assert doctor._real_server().detail == f"{server}: version: 42 (abc)"
    broken = script(tmp_path, "broken", "echo 'no library' >&2; exit 127")
    monkeypatch.setenv("LLAMA_SERVER", str(broken))
    finding = doctor._real_server()
    assert (finding.state, "no library" in finding.detail) == ("absent", True)
    monkeypatch.setenv("LLAMA_SERVER", "/no/such/server")
    assert "No such file" in doctor._real_server().detail


def test_a_probe_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROBE_TIMEOUT", 0.2)
    done = doctor._run([sys.executable, "-c", "import time; time.sleep(60)"])
    assert done.returncode == 127
    assert "timed out" in done.stderr


def test_the_gpu_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = doctor._gpu()
    assert finding.state in {"ok", "absent"}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert doctor._gpu().remedy == "pip install psutil nvidia-ml-py tokenizers"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert doctor._cuda().detail == "onnxruntime is not installed"


def test_the_sub_command() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("rfinference"), "doctor"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("InferenceLibrary ")
    assert done.stderr == ""
