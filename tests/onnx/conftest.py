"""Models made once for all tests of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.onnx.build import create_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each kind, by kind."""
    folder = tmp_path_factory.mktemp("models")
    return {kind: create_model(kind, folder / f"{kind}.onnx") for kind in ("matmul", "mlp", "sigmoid", "add")}
