"""The extras of the library: the packages of each, and the command that installs them."""

from __future__ import annotations

EXTRAS: dict[str, tuple[str, ...]] = {
    "onnx": ("onnxruntime", "onnx", "numpy", "ml_dtypes", "pillow", "protobuf"),
    "onnx-gpu": ("onnxruntime-gpu", "onnx", "numpy", "ml_dtypes", "pillow", "protobuf"),
    "onnx-genai": ("onnxruntime-genai",),
    "terminal": ("tui-test",),
    "performance": ("psutil", "nvidia-ml-py", "tokenizers"),
    "containers": ("docker", "requests"),
    "grpc": ("grpcio", "grpcio-health-checking"),
    "compression": ("brotli",),
    "models": ("gguf", "numpy"),
}
"""Extra to the packages that it brings."""


def install_command(extra: str) -> str:
    """Return a command that installs an extra wherever the library itself came from.

    It names the packages: the library is installed from a clone, a wheel or an address, which pip cannot find by name.
    """
    return f"pip install {' '.join(EXTRAS[extra])}"


def gpu_command() -> str:
    """Return the commands that put the GPU build of onnxruntime in place of the other: they exclude each other."""
    return f"pip uninstall onnxruntime, then {install_command('onnx-gpu')}"
