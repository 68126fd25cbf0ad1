"""From options to a command line: every type, where values come from, and what is refused."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary.errors import ProfileError, ProgramError, ServerError
from InferenceLibrary.servers.command import build_command
from InferenceLibrary.servers.sections import Option

PYTHON = str(Path(sys.executable).absolute())


def command(option: Option, *given: Any, environment: dict[str, str] | None = None, name: str = "opt") -> list[str]:
    """The words behind the program for one option, given or not."""
    argv = build_command(
        ["{python}"],
        {name: option},
        {name: given[0]} if given else {},
        source="mine",
        placeholders={},
        environment=environment or {},
    )
    assert argv[0] == PYTHON
    return argv[1:]


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        (Option(flag="--o"), "a b", ["--o", "a b"]),
        (Option(flag="--o"), 5, ["--o", "5"]),
        (Option(flag="--o", format="x={value}"), "a", ["--o", "x=a"]),
        (Option(flag="--o", type="integer"), "7", ["--o", "7"]),
        (Option(flag="--o", type="integer"), " 7 ", ["--o", "7"]),
        (Option(flag="--o", type="integer"), -7, ["--o", "-7"]),
        (Option(flag="--o", type="number"), "0.50", ["--o", "0.5"]),
        (Option(flag="--o", type="number"), "1e3", ["--o", "1000"]),
        (Option(flag="--o", type="duration"), "200 ms", ["--o", "200 ms"]),
        (Option(flag="--o", type="duration", format="{milliseconds}ms"), "0.2 s", ["--o", "200ms"]),
        (Option(flag="--o", type="duration", format="{seconds}"), "1 min", ["--o", "60"]),
        (Option(flag="--o", type="duration", format="{seconds}"), timedelta(seconds=2.5), ["--o", "2.5"]),
        (Option(flag="--o", type="duration", format="{milliseconds}"), 1.5, ["--o", "1500"]),
        (Option(flag="--o", type="switch"), "true", ["--o"]),
        (Option(flag="--o", type="switch"), True, ["--o"]),
        (Option(flag="--o", type="switch"), "Yes", ["--o"]),
        (Option(flag="--o", type="switch"), "off", []),
        (Option(flag="--o", type="switch"), False, []),
        (Option(flag="--o", type="list"), "a", ["--o", "a"]),
        (Option(flag="--o", type="list"), ["a", "b"], ["--o", "a", "--o", "b"]),
        (Option(flag="--o", type="list"), '["a", "b"]', ["--o", "a", "--o", "b"]),
        (Option(flag="--o", type="list"), "[::1]:80", ["--o", "[::1]:80"]),
        (Option(flag="--o", type="list"), (), []),
    ],
)
def test_a_value_of_every_type(option: Option, given: Any, words: list[str]) -> None:
    assert command(option, given) == words


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", "many", "a whole number"),
        ("integer", "1.5", "a whole number"),
        ("number", "much", "a number"),
        ("duration", "soon", "a duration such as 200 ms"),
        ("duration", "5", "a duration such as 200 ms"),
        ("switch", "maybe", "true or false"),
    ],
)
def test_a_value_of_the_wrong_type(kind: Any, value: str, expected: str) -> None:
    with pytest.raises(ProfileError) as caught:
        command(Option(flag="--o", type=kind), value)
    assert str(caught.value) == f"Option 'opt' of profile 'mine': expected {expected}, got '{value}'."


def test_given_goes_before_environment_before_default() -> None:
    option = Option(flag="--o", default="default", environment="MY_VAR")
    assert command(option, "given", environment={"MY_VAR": "env"}) == ["--o", "given"]
    assert command(option, environment={"MY_VAR": "env"}) == ["--o", "env"]
    assert command(option, environment={"MY_VAR": ""}) == ["--o", "default"]
    assert command(option) == ["--o", "default"]
    assert command(Option(flag="--o")) == []


def test_given_as_empty_leaves_the_option_out() -> None:
    option = Option(flag="--o", default="default", environment="MY_VAR")
    assert command(option, "", environment={"MY_VAR": "env"}) == []


def test_the_own_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_VAR", "from outside")
    argv = build_command(
        [sys.executable], {"o": Option(flag="--o", environment="MY_VAR")}, {}, source="mine", placeholders={}
    )
    assert argv[1:] == ["--o", "from outside"]


@pytest.mark.parametrize("given", [(), ("",)])
def test_what_is_required_must_be_there(given: tuple[str, ...]) -> None:
    option = Option(flag="--m", required=True, environment="MY_VAR", help="a model", hint="make one.")
    with pytest.raises(ProfileError) as caught:
        command(option, *given, name="model_file")
    assert str(caught.value) == (
        "Profile 'mine' needs the option 'model_file' (a model): give model_file=... or the environment variable "
        "MY_VAR. Hint: make one."
    )


def test_an_unknown_option_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ProfileError) as caught:
        build_command(
            ["x"], {"seed": Option()}, {"sede": 1}, source="mine", placeholders={}, also_allowed=("port", "alias")
        )
    assert str(caught.value) == (
        "Profile 'mine' has no option 'sede': expected one of seed, port, alias. Did you mean 'seed'?"
    )


def test_placeholders_are_filled_also_inside_of_words() -> None:
    argv = build_command(
        ["{python}", "--listen={host}:{port}", "{opt}", "{other}"],
        {"opt": Option(default="value"), "other": Option(), "unused": Option(required=True)},
        {},
        source="mine",
        placeholders={"host": "127.0.0.1", "port": "80"},
        arguments=["--more", "{port}"],
    )
    assert argv == [PYTHON, "--listen=127.0.0.1:80", "value", "", "--more", "{port}"]


def test_without_flags_options_only_fill_placeholders() -> None:
    argv = build_command(
        ["{python}", "{a}"],
        {"a": Option(flag="--a"), "b": Option(flag="--b")},
        {"a": "1", "b": "2"},
        source="mine",
        placeholders={},
        flags=False,
    )
    assert argv == [PYTHON, "1"]


def test_a_path_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "there.txt"
    file.touch()
    option = Option(flag="--o", type="path", hint="make it.")
    assert command(option, str(file)) == ["--o", str(file)]
    with pytest.raises(ServerError) as caught:
        command(option, str(tmp_path / "gone"), name="config_file")
    assert str(caught.value) == f"The config file '{tmp_path}/gone' does not exist. Hint: make it."


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may get another working directory."""
    (tmp_path / "there.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert command(Option(flag="--o", type="path"), "there.txt") == ["--o", str(tmp_path / "there.txt")]


def test_a_model_file_is_looked_up_below_the_model_folder(tmp_path: Path) -> None:
    model = tmp_path / "sub" / "model.gguf"
    model.parent.mkdir()
    model.touch()
    option = Option(flag="--m", type="model-file", environment="TEST_MODEL_FILE")
    environment = {"TEST_MODEL_PATH": str(tmp_path)}
    assert command(option, "sub/model.gguf", environment=environment) == ["--m", str(model)]
    assert command(option, environment=environment | {"TEST_MODEL_FILE": "sub/model.gguf"}) == ["--m", str(model)]
    assert command(option, str(model), environment={"TEST_MODEL_PATH": "/no/such"}) == ["--m", str(model)]
    hint = r"does not exist\. Hint: set TEST_MODEL_PATH or give a full path"
    with pytest.raises(ServerError, match=rf"The opt '{tmp_path}/gone.gguf' {hint}\."):
        command(option, "gone.gguf", environment=environment)
    with pytest.raises(ServerError, match=rf"The opt '{Path.cwd()}/sub/model.gguf' does not exist\.$"):
        command(Option(flag="--m", type="path"), "sub/model.gguf", environment=environment)
    with pytest.raises(ServerError, match=rf"The opt '{Path.cwd()}/gone.gguf' {hint}; make it"):
        command(Option(flag="--m", type="model-file", hint="make it."), "gone.gguf", environment={})


def test_a_program_is_looked_up(tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    option = Option(type="program", default="no-such-program-anywhere", hint="build it.")
    argv = build_command(["{opt}"], {"opt": option}, {"opt": str(program)}, source="mine", placeholders={})
    assert argv == [str(program)]
    with pytest.raises(ProgramError, match=r"'no-such-program-anywhere' does not exist: .* Hint: build it\."):
        build_command(["{opt}"], {"opt": option}, {}, source="mine", placeholders={})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("nothing", "cannot be run: expected a file, got nothing at that path. Hint: build it."),
        ("folder", "cannot be run: expected an executable file, got a directory."),
        ("text", "got mode -rw-r--r-- without the right to execute. Hint: chmod +x {path}"),
        ("empty", "cannot be run: expected a program, got an empty file."),
    ],
)
def test_what_is_not_a_program_is_told_as_by_its_keywords(tmp_path: Path, made: str, message: str) -> None:
    path = tmp_path / "thing"
    if made == "folder":
        path.mkdir()
    elif made != "nothing":
        path.touch()
        path.chmod(0o644 if made == "text" else 0o755)
    option = Option(type="program", hint="build it.")
    with pytest.raises(ProgramError) as caught:
        build_command(["{opt}"], {"opt": option}, {"opt": str(path)}, source="mine", placeholders={})
    assert str(caught.value).startswith(f"Program '{path}' ")
    assert message.format(path=path) in str(caught.value)


def test_a_program_beside_the_running_python_goes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("beside", "path"):
        program = tmp_path / folder / "serve"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}")
    assert build_command(["serve"], {}, {}, source="mine", placeholders={}) == [str(tmp_path / "path" / "serve")]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    assert build_command(["serve"], {}, {}, source="mine", placeholders={}) == [str(tmp_path / "beside" / "serve")]


EITHER = {
    "path": Option(flag="-m", environment="MY_PATH", hint="Name a folder."),
    "file": Option(flag="-f", environment="MY_FILE", help="a file"),
}


def either(given: dict[str, Any], environment: dict[str, str], options: dict[str, Option] | None = None) -> list[str]:
    return build_command(
        ["{python}"], options or EITHER, given, source="mine", placeholders={}, environment=environment,
        alternatives=[("path", "file")],
    )[1:]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "environment", "words"),
    [
        ({"path": "a"}, {}, ["-m", "a"]),
        ({"file": "b"}, {"MY_PATH": "a"}, ["-f", "b"]),
        ({"path": "", "file": "b"}, {}, ["-f", "b"]),
        ({}, {"MY_FILE": "b"}, ["-f", "b"]),
        ({}, {"MY_PATH": "a", "MY_FILE": "b"}, ["-m", "a"]),
    ],
)
def test_one_of_two_options_displaces_the_other(
    given: dict[str, Any], environment: dict[str, str], words: list[str]
) -> None:
    assert either(given, environment) == words


def test_a_default_counts_where_nothing_is_given() -> None:
    options = EITHER | {"file": Option(flag="-f", default="d")}
    assert either({}, {}, options) == ["-f", "d"]
    assert either({"path": "a"}, {}, options) == ["-m", "a"]


def test_both_of_two_options_or_none_are_refused() -> None:
    with pytest.raises(
        ProfileError, match=r"'mine' takes one of the options 'path' or 'file', got 'path' and 'file'\."
    ):
        either({"path": "a", "file": "b"}, {})
    with pytest.raises(ProfileError) as refused:
        either({}, {})
    assert str(refused.value) == (
        "Profile 'mine' needs one of the options 'path' or 'file': give path=... or the environment variable MY_PATH "
        "or file=... or the environment variable MY_FILE. Hint: Name a folder."
    )
