"""`rfinference doctor`: what is installed, what is missing, and what to do about each gap."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from InferenceLibrary.extras import EXTRAS, gpu_command, install_command
from InferenceLibrary.version import __version__

CORE = (
    "robotframework",
    "robotframework-assertion-engine",
    "robotframework-requests",
    "jinja2",
    "jsonschema",
    "referencing",
    "certifi",
    "h11",
    "httpx",
    "httptools",
    "markdown",
    "markupsafe",
    "msgspec",
    "PyYAML",
    "regex",
)

_PROBE_TIMEOUT = 20


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    state: str
    """`ok`, `absent` (something optional: what needs it is skipped) or `broken` (the library cannot do without it)."""
    detail: str
    remedy: str = ""


def examine(write: Callable[[str], None]) -> int:
    """Write one line a finding; return 0 when nothing that is needed is broken, else 1."""
    findings = [_python(), *_core(), *_extras(), _engine(), _gpu(), _cuda(), _real_server()]
    width = max(len(finding.what) for finding in findings)
    write(f"InferenceLibrary {__version__}")
    for finding in findings:
        write(f"[{finding.state:^7}] {finding.what:<{width}}  {finding.detail}")
        if finding.remedy:
            write(f"{'':{width + 12}}do: {finding.remedy}")
    broken = sum(finding.state == "broken" for finding in findings)
    absent = sum(finding.state == "absent" for finding in findings)
    write(f"{len(findings) - broken - absent} ok, {absent} optional and absent, {broken} broken")
    return 1 if broken else 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _core() -> list[Finding]:
    findings = []
    for package in CORE:
        version = _version(package)
        if version is None:
            findings.append(Finding(package, "broken", "not installed", f"pip install {package}"))
        else:
            findings.append(Finding(package, "ok", version))
    return findings


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in EXTRAS.items():
        versions = {package: _version(package) for package in packages}
        absent = [package for package, version in versions.items() if version is None]
        detail = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        if not absent:
            findings.append(Finding(f"extra '{extra}'", "ok", detail))
            continue
        remedy = install_command(extra)
        if extra == "onnx-gpu":
            remedy = f"on a machine with an NVIDIA GPU: {gpu_command()}"
        elif extra == "onnx" and _version("onnxruntime-gpu"):
            findings.append(Finding("extra 'onnx'", "ok", "onnxruntime-gpu stands in for onnxruntime"))
            continue
        findings.append(Finding(f"extra '{extra}'", "absent", f"lacks {', '.join(absent)}", remedy))
    return findings


def _engine() -> Finding:
    what = "container engine"
    if shutil.which("docker") is None and shutil.which("podman") is None:
        return Finding(what, "absent", "neither docker nor podman is on the PATH", "install Docker or Podman")
    program = "docker" if shutil.which("docker") else "podman"
    done = _run([program, "version", "--format", "{{.Server.Version}}"])
    version = done.stdout.strip()
    if done.returncode != 0 or not version:
        where = os.environ.get("DOCKER_HOST", "the default socket")
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        remedy = "start the engine, or set DOCKER_HOST to its socket"
        return Finding(what, "absent", f"{program} is there, its engine at {where} is not: {reason}", remedy)
    return Finding(what, "ok", f"{program} {version}")


def _gpu() -> Finding:
    try:
        import pynvml
    except ImportError:
        remedy = install_command("performance")
        return Finding("GPU", "absent", "cannot look: nvidia-ml-py is not installed", remedy)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Finding("GPU", "absent", f"no NVIDIA driver answers ({error})", "GPU tests skip; run them where one is")
    try:
        count = pynvml.nvmlDeviceGetCount()
        names = [str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))) for index in range(count)]
        driver = pynvml.nvmlSystemGetDriverVersion()
    finally:
        pynvml.nvmlShutdown()
    return Finding("GPU", "ok", f"{', '.join(names)}, driver {driver}")


def _cuda() -> Finding:
    what = "ONNX on CUDA"
    try:
        import onnxruntime
    except ImportError:
        return Finding(what, "absent", "onnxruntime is not installed", "see extra 'onnx' or 'onnx-gpu'")
    providers = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in providers:
        detail = f"onnxruntime {onnxruntime.__version__} is built for {', '.join(providers)}"
        return Finding(what, "absent", detail, "see extra 'onnx-gpu'")
    return Finding(what, "ok", f"onnxruntime {onnxruntime.__version__} offers {', '.join(providers)}")


def _real_server() -> Finding:
    what = "llama-server"
    path = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    if path is None:
        return Finding(
            what, "absent", "not on the PATH", "set LLAMA_SERVER to its path; in a checkout make test-real builds it"
        )
    done = _run([path, "--version"])
    lines = (done.stderr + done.stdout).strip().splitlines()
    if done.returncode != 0:
        return Finding(what, "absent", f"{path} does not run: {lines[-1:]}", "in a checkout make test-real builds it")
    return Finding(what, "ok", f"{path}: {next((line for line in lines if 'version' in line), '')}")


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a probe; a program that cannot be run or hangs counts as failed, with the reason on stderr."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=_PROBE_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))
