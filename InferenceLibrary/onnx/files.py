"""Model files before they are loaded: what stands in place of a model is named."""

from __future__ import annotations

from pathlib import Path

from InferenceLibrary.errors import ModelError, describe

_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html")


def existing_model(path: Path) -> Path:
    """Return the path of a file that may be a model.

    Raises:
        ModelError: It does not exist, is a folder, is empty, or holds a Git LFS pointer or a web page.
    """
    if not path.exists():
        raise ModelError(describe(f"ONNX model '{path}' does not exist", hint="Create Onnx Model makes one"))
    if path.is_dir():
        raise ModelError(describe(f"ONNX model '{path}' is a folder", expected="a .onnx file"))
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise ModelError(describe(f"ONNX model '{path}' cannot be read", got=error.strerror or str(error))) from None
    if not start:
        raise ModelError(describe(f"ONNX model '{path}' is empty", expected="a .onnx file", got="0 bytes"))
    if start.startswith(_POINTER):
        raise ModelError(
            describe(
                f"ONNX model '{path}' is a Git LFS pointer",
                expected="the model itself",
                got=f"a text of {path.stat().st_size} bytes that names it",
                hint="git lfs pull fetches it",
            )
        )
    if start.lstrip().lower().startswith(_PAGES):
        raise ModelError(
            describe(
                f"ONNX model '{path}' is a web page",
                expected="the model itself",
                got="HTML",
                hint="download the file, not the page that shows it",
            )
        )
    return path
