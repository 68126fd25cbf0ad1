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


def ml_dtypes(purpose: str) -> Any:
    """Return the module ml_dtypes, which has bfloat16 and the float8 types for numpy; the package onnx brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import ml_dtypes
    except ModuleNotFoundError as error:
        raise MissingExtraError("ml_dtypes", "onnx", purpose) from error
    return ml_dtypes


def pillow(purpose: str) -> Any:
    """Return the module Image of the package Pillow.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow", "onnx", purpose) from error
    return Image
