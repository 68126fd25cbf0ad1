"""A planted key shows up in no file of a run and not on its console, whichever way it is given."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner
from own_server import write_own_server

KEY = "sk-planted-7f3a9c2e51"
TRACE = ("--loglevel", "TRACE")


def written(run: InnerRun) -> str:
    """All that the run wrote, with what log.html holds compressed unpacked."""
    texts = [run.everything()]
    for part in (run.output_dir / "log.html").read_text("utf-8").split('"'):
        # Robot Framework packs long texts as base64 of zlib.
        if part.startswith(("eJ", "eN")):
            try:
                texts.append(zlib.decompress(base64.b64decode(part, validate=True)).decode())
            except (ValueError, zlib.error):
                continue
    return "\n".join(texts)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    folder = tmp_path_factory.mktemp("secrets")
    profile = write_own_server(folder)
    return run_inner("secrets_given.robot", folder / "out", *TRACE, env={"PLANTED": KEY, "OWN_PROFILE": str(profile)})


@pytest.mark.parametrize("test", ["A Server That Demands The Key", "A Server That Says The Key", "It Does Arrive"])
def test_the_key_is_used(given: InnerRun, test: str) -> None:
    assert (given[test].status, given[test].message) == ("PASS", "")


@pytest.mark.parametrize(
    ("test", "masked"),
    [
        ("A Call That Fails", "got 401: Incorrect key *** (type ***)"),
        ("A Check That Fails", "got 'key ***'"),
        ("A Check Of Another Library That Fails", "key *** != something else"),
        ("A Start That Fails", "error: died of"),
        ("A Stream That Stops", "expected a stream with a proper end"),
    ],
)
def test_a_failure_masks_the_key(given: InnerRun, test: str, masked: str) -> None:
    assert given[test].status == "FAIL"
    assert masked in given[test].message
    assert KEY not in given[test].message


def test_the_key_is_nowhere(given: InnerRun) -> None:
    text = written(given)
    assert "asked with ***" in text, "the server's log is among what was read"
    assert KEY not in text
    assert given.leftovers == []


@pytest.mark.parametrize("way", ["variable", "environment"])
def test_the_key_of_the_target_is_nowhere(tmp_path: Path, way: str) -> None:
    profile = write_own_server(tmp_path)
    # The variable is set where Robot does not log it: in a file of variables.
    variables = tmp_path / "variables.yaml"
    variables.write_text(f"API_KEY: {KEY}\n" if way == "variable" else "OTHER: 1\n")
    env = {"PLANTED": KEY, "INFERENCE_TARGET": str(profile)} | (
        {"INFERENCE_API_KEY": KEY} if way == "environment" else {}
    )
    run = run_inner("secrets_target.robot", tmp_path / "out", *TRACE, "--variablefile", str(variables), env=env)
    assert run["It Does Arrive"].status == "PASS", run["It Does Arrive"].message
    assert "Incorrect key Bearer ***" in run["A Call That Fails"].message
    assert KEY not in written(run)


def test_a_key_in_what_is_packed_would_be_found(tmp_path: Path) -> None:
    """The search itself can fail."""
    packed = base64.b64encode(zlib.compress(f"{KEY}".encode() * 20)).decode()
    (tmp_path / "log.html").write_text(f'window.output["strings"].concat(["{packed}"])')
    assert KEY in written(InnerRun(tmp_path, 0, "", {}, []))
