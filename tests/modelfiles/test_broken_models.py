"""The broken model files: each is refused by the format's own reader, and each for its own reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFReader

from InferenceLibrary.errors import ModelError
from InferenceLibrary.modelfiles.broken import BROKEN_KINDS, broken_kinds, create_broken_model
from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.modelfiles.tiny import ModelFile, create_tiny_model

BYTE_KINDS = [kind for kind in BROKEN_KINDS if kind not in {"directory", "unreadable"}]


@pytest.mark.parametrize("kind", BYTE_KINDS)
def test_the_reader_refuses_it(tmp_path: Path, kind: str) -> None:
    made = create_broken_model(tmp_path / "m.gguf", kind)
    assert made.size == made.path.stat().st_size
    with pytest.raises((ValueError, IndexError, KeyError, OverflowError, MemoryError)):
        GGUFReader(made.path)


def test_the_reader_takes_the_whole_one(tmp_path: Path) -> None:
    whole = create_tiny_model(tmp_path / "m.gguf", context_length=128)
    assert GGUFReader(whole.path).tensors


@pytest.mark.parametrize("file_format", ["safetensors", "ggml"])
@pytest.mark.parametrize("kind", ["truncated", "empty", "directory", "lfs-pointer"])
def test_only_the_weights_of_a_folder_are_broken(tmp_path: Path, kind: str, file_format: str) -> None:
    whole = create_tiny_safetensors(tmp_path / "whole" / "model.safetensors", context_length=2048)
    made = create_broken_model(tmp_path / "broken" / "model", kind, file_format)
    beside = {path.name: path.read_bytes() for path in made.path.parent.iterdir() if path != made.path}
    assert beside == {path.name: path.read_bytes() for path in whole.path.parent.iterdir() if path != whole.path}
    assert set(beside) == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    gguf = create_broken_model(tmp_path / "gguf" / "model", kind)
    assert list(gguf.path.parent.iterdir()) == [gguf.path]


def test_each_is_broken_in_one_place(tmp_path: Path) -> None:
    whole = create_tiny_model(tmp_path / "m.gguf", context_length=128).path.read_bytes()
    made = {kind: create_broken_model(tmp_path / kind, kind).path.read_bytes() for kind in BYTE_KINDS}
    assert len(set(made.values())) == len(BYTE_KINDS)
    assert made["truncated"] == whole[: len(made["truncated"])]
    assert made["truncated-header"] == whole[:200]
    assert made["bad-magic"][4:] == whole[4:]
    assert (made["wrong-version"][:4], made["wrong-version"][8:]) == (b"GGUF", whole[8:])
    assert (made["huge-count"][:8], made["huge-count"][16:]) == (whole[:8], whole[16:])
    assert made["empty"] == b""


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"kind to be one of truncated, .*, got 'rotten'"):
        create_broken_model(tmp_path / "m.gguf", "rotten")
    assert list(tmp_path.iterdir()) == []


def test_a_format_without_a_version_has_no_wrong_one(tmp_path: Path) -> None:
    assert "wrong-version" not in broken_kinds("safetensors")
    with pytest.raises(ModelError, match=r"kind to be one of truncated, .*, got 'wrong-version'"):
        create_broken_model(tmp_path / "m", "wrong-version", "safetensors")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a format of gguf, safetensors, ggml, got 'onnx'"):
        create_broken_model(tmp_path / "m", "empty", "onnx")


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    made = create_broken_model(tmp_path / "m.gguf", "directory")
    assert made.path.is_dir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="is a file there"):
        create_broken_model(tmp_path / "file", "directory")


def test_unreadable_is_made_or_its_absence_told(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    if os.geteuid() == 0:
        with pytest.raises(ModelError, match="run as another user than root"):
            create_broken_model(path, "unreadable")
        assert not path.exists()
    else:
        create_broken_model(path, "unreadable")
        with pytest.raises(PermissionError):
            path.read_bytes()


@pytest.mark.parametrize("make", [create_tiny_ggml, create_tiny_safetensors])
def test_the_same_seed_gives_the_same_file(tmp_path: Path, make: Callable[..., ModelFile]) -> None:
    first, second, other = (
        make(tmp_path / name, seed=seed).path.read_bytes() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other
    assert list(tmp_path.glob(".*")) == []


def test_safetensors_bring_their_config_and_tokenizer(tmp_path: Path) -> None:
    create_tiny_safetensors(tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert (config["model_type"], config["vocab_size"]) == ("llama", len(vocabulary))
    assert sorted(vocabulary.values()) == list(range(259))
