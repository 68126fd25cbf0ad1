"""A comparison with a baseline: what cannot be compared is refused, each for its own reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, MonitorError
from InferenceLibrary.load.summaries import KIND, SCHEMA


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def test_a_file_that_is_not_a_baseline(lib: InferenceLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib, "load", lambda _: SimpleNamespace(name="now", doubts=()))
    (tmp_path / "summary.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(MonitorError, match=r"summary\.json"):
        lib.compare_with_baseline(tmp_path)


def test_a_load_that_cannot_be_trusted(lib: InferenceLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doubted = SimpleNamespace(plan=SimpleNamespace(name="now"), doubts=("the client was busy",))
    monkeypatch.setattr(lib, "load", lambda _: doubted)
    whole = {"load": "1 user", "machine": {}, "totals": {"requests": 1, "failures": 0}, "samples": {}, "doubts": []}
    baseline = json.dumps({"kind": KIND, "schema": SCHEMA, **whole})
    (tmp_path / "summary.json").write_text(baseline, encoding="utf-8")
    with pytest.raises(CheckFailure, match=r"cannot be trusted: .*, got the client was busy"):
        lib.compare_with_baseline(tmp_path)
