"""`rfinference profiles`: lists, shows, checks one by starting it, prints the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from InferenceLibrary import cli
from InferenceLibrary.servers import by_hand


def test_a_profile_is_checked_by_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "check", "simulator", "seed=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "simulator: valid"
    assert lines[1].startswith("Starting simulator: ")
    assert "--seed 3" in lines[1]
    assert [line.split(": ")[1].split(" after")[0] for line in lines if line.startswith("Server ")] == [
        "spawned", "listening", "healthy"
    ]  # fmt: skip
    assert lines[-2].startswith("simulator: ready at http://127.0.0.1:")
    assert re.fullmatch(r"simulator: stopped \d+ ms after TERM, exit code 0", lines[-1])


def test_what_lacks_a_required_option_is_not_called_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: x\nstart: {command: [/bin/true], options: {file: {flag: --f, required: true}}}\n")
    assert cli.main(["profiles", "check", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "needs the option 'file'" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check"], "check which profile? Give its name"),
        (["check", "simulator", "seed"], "expected options as NAME=VALUE, got: seed"),
    ],
)
def test_what_a_check_needs_is_told(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["profiles", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_stop_where_nothing_runs_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(by_hand, "runs", list)
    monkeypatch.setattr(by_hand, "open_engine", lambda: (None, "none"))
    assert cli.main(["servers", "stop", "1"]) == 1
    assert "rfinference: no server with process id 1: no server runs\n" in capsys.readouterr().err


def test_servers_alone_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "list_servers", lambda: 7)
    assert cli.main(["servers"]) == 7


def test_what_is_not_started_is_only_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "check", "openai"]) == 0
    assert capsys.readouterr().out == "openai: valid\nopenai: is connected to, not started\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nready: {budget: 3s}\n", "key 'ready.budget': unknown key. Allowed here: budgets,"),
        ("title: x\nready: {budgets: {healthy: 3}}\n", "key 'ready.budgets.healthy': 3 has no unit: write 3s or 3min."),
        (
            "title: x\nready: {budgets: {healthy: soon}}\n",
            "key 'ready.budgets.healthy': expected a duration with a unit",
        ),
        ("title: x\nready: {health: {bodies: [okay]}}\n", "key 'ready.health.bodies[0]'"),
        ("title: x\nready: {model_list: models}\n", "key 'ready.model_list': expected a path such as /v1/models, got"),
        ("title: x\nstop: {signal: KILL}\n", "key 'stop.signal'"),
        ("title: x\nstart: {command: [a], gpu: {most_used: 1000}}\n", "key 'start.gpu.most_used': expected"),
        ("title: x\nstart: {command: [a], gpu: {most_used: much}}\n", "key 'start.gpu.most_used': expected a size"),
        ("title: x\nstart: {command: [/bin/false]}\n", "Server 'mine' ended before it was ready: "),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert cli.main(["profiles", "check", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("rfinference: ")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("words", [["simulator", "openai"], ["schema", "x"]])
def test_words_that_make_no_sense_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["profiles", *words])
    assert ended.value.code == 2
    assert f"expected one profile, got: {' '.join(words)}" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$ref"] == "#/$defs/Profile"


@pytest.mark.parametrize("words", [["servers", "stop"], ["servers", "halt"], ["servers", "stop", "1", "--all"]])
def test_servers_takes_what_it_knows(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: rfinference servers" in capsys.readouterr().err
