"""Small model files of our own making, whole and broken, so that a real server can be tested without a download."""

from __future__ import annotations

from InferenceLibrary.models.broken import BROKEN_KINDS, create_broken_model
from InferenceLibrary.models.tiny import TINY_KINDS, ModelFile, create_tiny_model

__all__ = ["BROKEN_KINDS", "TINY_KINDS", "ModelFile", "create_broken_model", "create_tiny_model"]
