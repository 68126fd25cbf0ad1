"""Small model files of our own making, whole and broken, so that a real server can be tested without a download."""

from __future__ import annotations

from InferenceLibrary.models.broken import BROKEN_FORMATS, BROKEN_KINDS, broken_kinds, create_broken_model
from InferenceLibrary.models.ggml_file import create_tiny_ggml
from InferenceLibrary.models.safetensors_file import create_tiny_safetensors
from InferenceLibrary.models.tiny import TINY_KINDS, ModelFile, create_tiny_model

__all__ = [
    "BROKEN_FORMATS",
    "BROKEN_KINDS",
    "TINY_KINDS",
    "ModelFile",
    "broken_kinds",
    "create_broken_model",
    "create_tiny_ggml",
    "create_tiny_model",
    "create_tiny_safetensors",
]
