"""The command line of a chat in the terminal: one of the options that stand for each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from InferenceLibrary.context import Context
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.keywords.shared.arguments import command_of
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.servers.profile import load_profile


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A GGUF file, which TEST_MODEL_FILE names beside the folder that MISTRALRS_MODEL names."""
    path = create_tiny_model(tmp_path / "m.gguf", context_length=128).path
    monkeypatch.setenv("MISTRALRS", sys.executable)
    monkeypatch.setenv("MISTRALRS_MODEL", "folder")
    monkeypatch.setenv("TEST_MODEL_FILE", str(path))
    return str(path)


def command(**options: str) -> list[str]:
    """Return the words after the program."""
    return list(command_of(Context(), load_profile("mistralrs"), "terminal", options))[1:]


def test_a_model_of_the_environment_is_a_folder_or_a_file(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command() == ["run", "-m", "folder"]
    monkeypatch.delenv("MISTRALRS_MODEL")
    assert command() == ["run", "-f", model]


def test_a_model_that_is_given_takes_the_place_of_that_of_the_environment(model: str) -> None:
    assert command(model_file=model) == ["run", "-f", model]
    assert command(model_path="other") == ["run", "-m", "other"]
    with pytest.raises(ProfileError, match="takes one of the options"):
        command(model_path="other", model_file=model)
