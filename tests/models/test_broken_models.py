"""The broken model files: each is refused by the format's own reader, and each for its own reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader

from InferenceLibrary.errors import ModelError
from InferenceLibrary.models import BROKEN_KINDS, create_broken_model, create_tiny_model


@pytest.mark.parametrize("kind", BROKEN_KINDS)
def test_the_reader_refuses_it(tmp_path: Path, kind: str) -> None:
    made = create_broken_model(tmp_path / "m.gguf", kind)
    assert made.size == made.path.stat().st_size
    with pytest.raises((ValueError, IndexError, KeyError, OverflowError, MemoryError)):
        GGUFReader(made.path)


def test_the_reader_takes_the_whole_one(tmp_path: Path) -> None:
    whole = create_tiny_model(tmp_path / "m.gguf", context_length=128)
    assert GGUFReader(whole.path).tensors


def test_each_is_broken_in_one_place(tmp_path: Path) -> None:
    whole = create_tiny_model(tmp_path / "m.gguf", context_length=128).path.read_bytes()
    made = {kind: create_broken_model(tmp_path / kind, kind).path.read_bytes() for kind in BROKEN_KINDS}
    assert len(set(made.values())) == len(BROKEN_KINDS)
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
