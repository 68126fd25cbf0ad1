"""A model that should exist and does not is a failure, never a skip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, ModelError


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def test_a_model_that_should_exist(lib: InferenceLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEST_MODEL_PATH", "TEST_MODEL_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CheckFailure, match="No model is named"):
        lib.model_should_exist()
    with pytest.raises(CheckFailure, match=r"Model '.*none\.gguf' is not there"):
        lib.model_should_exist(tmp_path / "none.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError):
        lib.model_should_exist(tmp_path / "broken.gguf")
    made: Any = lib.create_tiny_model(tmp_path / "whole.gguf")
    assert lib.model_should_exist(made.path) == str(made.path)
