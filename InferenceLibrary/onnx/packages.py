"""The optional packages behind the ONNX part, and one clear error when one is missing."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.errors import MissingExtraError


def numpy(purpose: str) -> Any:
    """Return the module numpy.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import numpy
    except ModuleNotFoundError as error:
        raise MissingExtraError("numpy", "onnx", purpose) from error
    return numpy


def onnx(purpose: str) -> Any:
    """Return the module onnx of the package of that name.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnx", "onnx", purpose) from error
    return onnx


def onnxruntime(purpose: str) -> Any:
    """Return the module onnxruntime, of either the CPU or the GPU package.

    Raises:
        MissingExtraError: Neither is installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "onnx", purpose) from error
    return onnxruntime
