"""`make test-gpu` without a GPU: it says that nothing was tested; a skip or a broken wheel never passes for a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_gpu import FakeGpu

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import gpu_figures  # noqa: E402
import test_gpu  # noqa: E402


def test_without_a_driver_it_says_so_and_tests_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert test_gpu.main(["--results", str(tmp_path / "gpu")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("SKIPPED: nothing was tested on a GPU: nvidia-smi is not installed")
    assert (tmp_path / "gpu" / "SKIPPED.txt").read_text() == said


def nvidia_smi(folder: Path, words: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{words}'\n")
    program.chmod(0o755)


def test_a_driver_without_a_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, "No devices were found")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert test_gpu.gpus() == ([], "nvidia-smi lists no GPU: No devices were found")
    nvidia_smi(tmp_path, "GPU 0: Fake Card (UUID: x)")
    assert test_gpu.gpus() == (["GPU 0: Fake Card (UUID: x)"], "")


def test_a_gpu_that_onnxruntime_cannot_use_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(test_gpu, "gpus", lambda: (["GPU 0: Fake"], ""))
    monkeypatch.setattr(test_gpu, "missing", lambda _python: "a build without CUDA")
    assert test_gpu.main(["--results", str(tmp_path / "gpu")]) == 1
    assert "FAILED: there is a GPU, and onnxruntime cannot use it: a build without CUDA" in capsys.readouterr().err


def test_what_is_missing_is_found_by_the_library_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "GPU" in test_gpu.missing(sys.executable)


def test_wheels_in_parts_are_joined(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no wheel"):
        test_gpu.join_parts(source, target)
    for number, text in enumerate((b"one", b"two", b"three")):
        (source / f"a-1-py3-none-any.whl.part-{number:02d}").write_bytes(text)
    (source / "b-1-py3-none-any.whl").write_bytes(b"whole")
    found = {path.name: path.read_bytes() for path in test_gpu.join_parts(source, target)}
    assert found == {"a-1-py3-none-any.whl": b"onetwothree", "b-1-py3-none-any.whl": b"whole"}
    (source / "a-1-py3-none-any.whl.part-01").unlink()
    with pytest.raises(FileNotFoundError, match=r"parts \[0, 2\] of a wheel, expected 0 to 2 without a gap"):
        test_gpu.join_parts(source, target)


@pytest.mark.parametrize(
    ("tests", "wrong"),
    [
        ('<test name="A"><status status="PASS"/></test>', []),
        ('<test name="A"><status status="SKIP">no GPU</status></test>', ["A: SKIP no GPU"]),
        ('<test name="A"><kw><status status="PASS"/></kw><status status="FAIL">bad</status></test>', ["A: FAIL bad"]),
    ],
)
def test_a_skipped_test_is_no_pass(tests: str, wrong: list[str], tmp_path: Path) -> None:
    (tmp_path / "output.xml").write_text(f"<robot><suite>{tests}</suite></robot>")
    assert test_gpu.judge(tmp_path / "output.xml") == wrong
    (tmp_path / "none.xml").write_text("<robot/>")
    assert test_gpu.judge(tmp_path / "none.xml") == [f"{tmp_path / 'none.xml'}: no test was run"]


class FakeMemory:
    """Memory of the GPUs: what is in use grows by `leak` with each look."""

    def __init__(self, leak: int) -> None:
        self._leak = leak
        self._used = 500_000_000

    def used(self) -> int:
        self._used += self._leak
        return self._used

    def close(self) -> None:
        pass


def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu, leak: int = 0) -> tuple[int, Any]:
    gpu.install(monkeypatch)
    monkeypatch.setattr("InferenceLibrary.onnx.running._DEVICES", {})
    monkeypatch.setattr(gpu_figures, "open_gpus", lambda: (FakeMemory(leak), ""))
    monkeypatch.setattr(gpu_figures, "BATCHES", (1, 4))
    monkeypatch.setattr(gpu_figures, "ROWS", 1000)
    monkeypatch.setattr(gpu_figures, "TOO_MANY_ROWS", 10_000)
    # The fake computes on the host: its times say nothing on binding.
    monkeypatch.setattr(gpu_figures, "binding", lambda *_args: "not looked at")
    monkeypatch.setattr(gpu_figures, "Plan", lambda batches, *_rest: SimpleNamespace(**plan(batches)))
    arguments = ["gpu_figures.py", "--json", str(tmp_path / "f.json"), "--docs", str(tmp_path / "gpu.md")]
    monkeypatch.setattr(sys, "argv", arguments)
    code = gpu_figures.main()
    return code, json.loads((tmp_path / "f.json").read_text())


def plan(batches: Any) -> dict[str, Any]:
    from InferenceLibrary.onnx.benchmark import Plan

    made = Plan(tuple(batches), 5, 2, ("CUDA", "CPU"), (False, True))
    return {name: getattr(made, name) for name in made.__dataclass_fields__} | {"check": made.check}


def test_figures_are_judged_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, data = figures(tmp_path, monkeypatch, FakeGpu(room=50_000))
    assert [(one["name"], one["holds"]) for one in data["judged"] if not one["holds"]] == []
    assert code == 0
    assert len(data["rows"]) == 8
    assert data["language"]["CUDA"]["tokens_per_second"] > 0
    page = (tmp_path / "gpu.md").read_text()
    assert f"Measured on {data['date']}" in page
    assert "| CUDA, batch 4, bound |" in page
    assert "**no**" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "leak", "broken"),
    [
        (FakeGpu(room=50_000, wrong=1.0), 0, "outputs agree with those of the CPU"),
        (FakeGpu(room=50_000, left_on_cpu=("Gemm",)), 0, "every node of mlp is on the GPU"),
        (FakeGpu(room=50_000, left_on_cpu=("MatMul",)), 0, "the decoder is on the GPU, shapes apart"),
        (FakeGpu(room=50_000), 200_000_000, "memory of the device comes back"),
        (FakeGpu(), 0, "memory that cannot be had is told"),
    ],
)
def test_what_does_not_hold_is_a_failure(
    gpu: FakeGpu, leak: int, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, data = figures(tmp_path, monkeypatch, gpu, leak)
    assert code == 1
    assert broken in [one["name"] for one in data["judged"] if not one["holds"]]
    assert "**no**" in (tmp_path / "gpu.md").read_text()
