"""Prove on an NVIDIA GPU what is only faked elsewhere: `make test-gpu`. Ten minutes at most, no network.

    python scripts/test_gpu.py [--results results/gpu] [--wheels FOLDER] [--docs docs/gpu.md]

1. Without a GPU it says so, in a file SKIPPED.txt too, and ends with 0: nothing was tested.
2. With one, onnxruntime must be able to use it. Where it cannot and `--wheels` (or GPU_WHEELS) names a folder, the
   wheels in it are installed into an environment of their own beside the results, without an index. Wheels may lie in
   parts, `NAME.whl.part-00`, `-01` ..., which are joined first. It sees the packages of this Python: where torch for
   the same CUDA is installed, its libraries serve.
3. The tests and suites tagged gpu run. One that skips counts as a failure: there is a GPU.
4. `scripts/gpu_figures.py` measures: agreement with the CPU, the benchmark, memory after unloading, memory that cannot
   be had. Its figures are kept as JSON and as docs/gpu.md, with the date.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 600.0
"""Seconds for everything."""
SUITES = ("robot/integration/onnx.robot", "robot/integration/inference.robot", "robot/performance/onnx.robot")


def gpus() -> tuple[list[str], str]:
    """Return the GPUs that the driver lists, or the reason why there is none."""
    if shutil.which("nvidia-smi") is None:
        return [], "nvidia-smi is not installed: there is no NVIDIA driver"
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=60)
    found = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return found, "" if found else f"nvidia-smi lists no GPU: {(done.stdout + done.stderr).strip() or 'no word'}"


def join_parts(folder: Path, into: Path) -> list[Path]:
    """Return the wheels of a folder, those in parts joined into another folder.

    Raises:
        FileNotFoundError: There is none, or a part is missing.
    """
    into.mkdir(parents=True, exist_ok=True)
    wheels = sorted(folder.glob("*.whl"))
    by_name: dict[str, list[Path]] = {}
    for part in sorted(folder.glob("*.whl.part-*")):
        by_name.setdefault(part.name.rpartition(".part-")[0], []).append(part)
    for name, parts in by_name.items():
        numbers = [int(part.name.rpartition("-")[2]) for part in parts]
        if numbers != list(range(len(parts))):
            raise FileNotFoundError(f"{name}: parts {numbers} of a wheel, expected 0 to {max(numbers)} without a gap")
        with (into / name).open("wb") as whole:
            for part in parts:
                whole.write(part.read_bytes())
        wheels.append(into / name)
    if not wheels:
        raise FileNotFoundError(f"{folder} holds no wheel: expected onnxruntime_gpu-*.whl, whole or in parts")
    return wheels


def environment(results: Path, wheels: Path) -> Path:
    """Make an environment with the wheels and return its Python; packages of this Python are seen from it."""
    folder = results / "venv"
    venv.create(folder, clear=True, with_pip=True, system_site_packages=True, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    files = list(map(str, join_parts(wheels, results / "wheels")))
    # This environment's packages are found last, so what the wheels bring wins.
    own = folder / "own-packages.pth"
    own.write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n", encoding="utf-8")
    site = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    shutil.copyfile(own, Path(site) / "zz-own-packages.pth")
    install = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", *files]
    subprocess.run([str(item) for item in install], check=True)
    return python


def missing(python: Path | str) -> str:
    """Return why onnxruntime cannot use the GPU in an environment; empty when it can."""
    code = "from InferenceLibrary.onnx.environment import gpu_inference; print(gpu_inference().reason)"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def judge(output: Path) -> list[str]:
    """Return what is wrong with a run of Robot: tests that failed, that skipped, or that there was none."""
    tests = list(ET.parse(output).iter("test"))
    if not tests:
        return [f"{output}: no test was run"]
    wrong = []
    for test in tests:
        status = test.findall("status")[-1]
        if status.get("status") != "PASS":
            said = " ".join((status.text or "").split())[:200]
            wrong.append(f"{test.get('name')}: {status.get('status')} {said}".rstrip())
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Test on an NVIDIA GPU.")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "gpu")
    parser.add_argument("--wheels", type=Path, default=os.environ.get("GPU_WHEELS"))
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "gpu.md")
    options = parser.parse_args(arguments)
    results: Path = options.results.absolute()
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    until = time.monotonic() + LIMIT
    found, reason = gpus()
    if not found:
        text = f"SKIPPED: nothing was tested on a GPU: {reason}. Hint: run it on a machine with an NVIDIA GPU"
        (results / "SKIPPED.txt").write_text(text + "\n", encoding="utf-8")
        print(text, file=sys.stderr)
        return 0
    print("\n".join(found), flush=True)
    python: Path | str = sys.executable
    lack = missing(python)
    if lack and options.wheels is not None:
        python = environment(results, Path(options.wheels))
        lack = missing(python)
    if lack:
        print(f"FAILED: there is a GPU, and onnxruntime cannot use it: {lack}", file=sys.stderr)
        return 1

    def left() -> float:
        return max(1.0, until - time.monotonic())

    wrong: list[str] = []

    def run(name: str, *command: str) -> None:
        print(f"--- {name}", flush=True)
        try:
            done = subprocess.run([str(python), *command], check=False, cwd=ROOT, timeout=left())
        except subprocess.TimeoutExpired:
            wrong.append(f"{name}: not done within the ten minutes")
            return
        if done.returncode:
            wrong.append(f"{name}: exit code {done.returncode}")

    junit = results / "junit.xml"
    run("tests", "-m", "pytest", "-q", "-n", "0", "-m", "gpu", "--junitxml", str(junit), "tests/onnx")
    skipped = (
        [case.get("name") for case in ET.parse(junit).iter("testcase") if case.find("skipped") is not None]
        if junit.exists()
        else []
    )
    wrong += [f"{name}: skipped, though there is a GPU" for name in skipped]
    robot = ["-m", "robot", "--include", "gpu", "--outputdir", str(results)]
    run("suites", *robot, *SUITES)
    output = results / "output.xml"
    wrong += judge(output) if output.exists() else ["the suites left no output.xml"]
    run("figures", "scripts/gpu_figures.py", "--json", str(results / "figures.json"), "--docs", str(options.docs))
    for line in wrong:
        print(f"FAILED: {line}", file=sys.stderr)
    print(f"{'FAILED' if wrong else 'passed'} in {LIMIT - left():.0f} s; figures in {results / 'figures.json'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
