"""What a load needs before its first request: modules that are imported then keep it waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LATER = {"msgspec", "InferenceLibrary.load.digest", "InferenceLibrary.protocol.rules.rule", "InferenceLibrary.stats"}


@pytest.mark.parametrize("module", ["worker", "run"])
def test_what_reads_and_judges_answers_is_imported_after_the_load(module: str) -> None:
    code = f"import sys, InferenceLibrary.load.{module}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    )
    assert f"InferenceLibrary.load.{module}" in loaded
    assert not _LATER & loaded
    # 130 of them on Python 3.11, the 60 of Python itself included; it was 160 with what is needed later.
    assert len(loaded) < 150
