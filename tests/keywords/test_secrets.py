"""A planted key shows up in no file of a run and not on its console, whichever way it is given."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
import zlib
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner
from own_server import write_own_server

KEY = 'sk-planted-7f3a"/+&9c2e51'
"""With characters that each way of writing escapes."""
WRITTEN = "written-in-the-profile-8841"
COOKIE = "cookie-value-5581"
USED = [
    "A Server That Demands The Key",
    "A Server That Says The Key",
    "A Server That Spells The Key",
    "It Does Arrive",
]
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


def found_in(text: str, secret: str) -> list[str]:
    """Return the ways in which a secret stands in a text."""
    raw = secret.encode()
    ways = [secret, urllib.parse.quote(secret, ""), "".join(f"%{byte:02x}" for byte in raw), raw.hex()]
    ways += [html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1], repr(raw)[2:-1]]
    ways += [base64.b64encode(b"x" * at + raw + b"y").decode()[4:-4] for at in range(3)]
    return [way for way in ways if way in text]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    folder = tmp_path_factory.mktemp("secrets")
    profile = write_own_server(folder, WRITTEN)
    return run_inner("secrets_given.robot", folder / "out", *TRACE, env={"PLANTED": KEY, "OWN_PROFILE": str(profile)})


@pytest.mark.parametrize(
    "test",
    USED,
)
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
    for secret in (KEY, WRITTEN, COOKIE):
        assert found_in(text, secret) == []
    assert KEY[:12] not in text, "nor where it is cut"
    assert given.leftovers == []


def test_pieces_of_the_key_are_nowhere(given: InnerRun) -> None:
    """The server says it five characters an event; a reader could join them."""
    (recording,) = given.output_dir.rglob("streams/*spells*.json")
    data = json.loads(recording.read_text("utf-8"))
    said = data["body"]
    chunks = [line for line in given["A Server That Spells The Key"].log if " ms: {" in line]
    assert len(chunks) > 5
    for text in (said, "".join(chunks)):
        assert "***" in text
        for at in range(0, len(KEY + WRITTEN), 5):
            assert json.dumps((KEY + WRITTEN)[at : at + 5])[1:-1] not in text


@pytest.mark.parametrize(
    ("test", "where"),
    [
        ("An Embedded Key In An Argument", "An argument holds the text <secret>: expected the secret itself, "),
        ("An Embedded Key In A Header", "An argument holds the text <secret>: expected the secret itself, "),
        ("An Embedded Key In A Header Of A Connection", "An argument holds the text <secret>: expected the secret "),
        (
            "An Embedded Key In A Prompt",
            "An argument holds the text <secret>: expected the secret itself, got 'The ",
        ),
        ("An Embedded Key In A Body", "An argument holds the text <secret>: expected the secret itself, got "),
        ("An Embedded Key In Extra", "An argument holds the text <secret>: expected the secret itself, got "),
        ("An Embedded Key In The Environment", "An argument holds the text <secret>: expected the secret itself, "),
        ("An Embedded Key In A Command Line", "An argument holds the text <secret>: expected the secret itself, "),
        (
            "An Embedded Key In One Of Several Prompts",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        (
            "An Embedded Key In The Login Of An Address",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        ("An Embedded Key In A Path", "An argument holds the text <secret>: expected the secret itself, "),
        (
            "An Embedded Key In What A Program Reads",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        (
            "An Embedded Key In The Words Of A Terminal",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        (
            "An Embedded Key In An Option Of The Start",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        ("An Embedded Key In An Identifier", "An argument holds the text <secret>: expected the secret itself, "),
        (
            "An Embedded Key In What Must Not Be Said",
            "An argument holds the text <secret>: expected the secret itself, ",
        ),
        ("An Embedded Key Deep In A Variable", "An argument holds the text <secret>: expected the secret itself, "),
    ],
)
def test_an_embedded_key_is_refused(given: InnerRun, test: str, where: str) -> None:
    assert given[test].status == "FAIL"
    assert where in given[test].message
    assert "Hint: Robot Framework embeds no secret in other text" in given[test].message


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
    assert found_in(written(run), KEY) == []


def test_a_key_in_what_is_packed_would_be_found(tmp_path: Path) -> None:
    """The search itself can fail."""
    for said in (KEY, urllib.parse.quote(KEY, ""), base64.b64encode(f"x{KEY}y".encode()).decode(), json.dumps(KEY)):
        packed = base64.b64encode(zlib.compress(f"{said}".encode() * 20)).decode()
        (tmp_path / "log.html").write_text(f'window.output["strings"].concat(["{packed}"])')
        assert found_in(written(InnerRun(tmp_path, 0, "", {}, [])), KEY)
