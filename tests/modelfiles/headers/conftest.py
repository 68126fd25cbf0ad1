"""Whole files to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.modelfiles.tiny import create_tiny_model


@pytest.fixture(scope="session")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One whole file of each format."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        "gguf": create_tiny_model(folder / "m.gguf", context_length=128, name="tiny").path,
        "safetensors": create_tiny_safetensors(folder / "hf" / "model.safetensors", context_length=512).path,
        "ggml": create_tiny_ggml(folder / "m.ggml").path,
    }
