"""Profiles: those that are shipped load; everything that could not work is refused when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.servers.command import build_command, filled
from InferenceLibrary.servers.profile import SHIPPED, load_profile, profile_names
from InferenceLibrary.types import ProfileName


def test_the_shipped_profiles_are_found() -> None:
    assert {"simulator", "llama.cpp", "openai"} <= set(profile_names())
    assert len(profile_names()) == len(list(SHIPPED.iterdir()))


def test_editors_complete_every_shipped_profile() -> None:
    assert list(get_args(ProfileName)) == profile_names()


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_loads(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.title
    assert profile.start is not None or "URL" in profile.title or "container" in profile.title


def test_a_profile_of_a_file_is_called_as_the_file_or_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: x")
    assert load_profile(str(path)).name == "mine"
    path.write_text("title: x\nname: worker")
    assert load_profile(str(path)).name == "worker"


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("lama.cpp")
    assert str(caught.value) == (
        f"No profile 'lama.cpp': expected the path of a YAML file or one of {', '.join(profile_names())}. "
        "Did you mean 'llama.cpp'? Hint: rfinference profiles lists them."
    )
    with pytest.raises(ProfileError) as caught:
        load_profile("/no/such/file.yaml")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"title: \xe9"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=rf"Profile {path} cannot be read: .*codec can't decode"):
        load_profile(str(path))


START = "title: x\nstart:\n  command: [a]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml is empty: expected keys and values."),
        ("title: x\nmodle: y", "key 'modle': unknown key. Allowed here: "),
        ("title: x\nstart: {command: []}", "key 'start.command': expected `array` of length >= 1."),
        ("title: x\nready: {timeout: soon}", "key 'ready.timeout': expected a duration with a unit, such as 200ms"),
        ("title: x\nstop: {grace: '5'}", "key 'stop.grace': expected a duration"),
        (
            "title: x\nready: {first_token: maybe}",
            "key 'ready.first_token': expected one of chat, completion, none, got 'maybe'",
        ),
        ("title: x\nready: {health: {path: health}}", "key 'ready.health.path': expected a path such as /health, got"),
        ("title: x\nhints: [{pattern: '(', hint: h}]", "key 'hints[0].pattern': not a regular expression: missing )"),
        (START + "  announcement: '['", "key 'start.announcement': not a regular expression"),
        (
            START + "  options: {file: {}}\n  alternatives: [[file, foldr]]",
            "key 'start.alternatives[0]': 'foldr' is not one of the options of the start.",
        ),
        (
            START + "  options: {file: {}, folder: {required: true}}\n  alternatives: [[file, folder]]",
            "key 'start.alternatives[0]': the option 'folder' is required, so that no other can stand in its place.",
        ),
        (
            START + "  options: {file: {}}\n  alternatives: [[file]]",
            "key 'start.alternatives[0]': expected `array` of length >= 2.",
        ),
        ("title: x\nprogram: {command: [a], timeout: '5'}", "key 'program.timeout': expected a duration"),
        (START + "  announcement: 'on (.*)'", "key 'start.announcement': expected a group that holds the address"),
        ("title: x\nterminal: {command: [a], prompt: '*'}", "key 'terminal.prompt': not a regular expression"),
        ("title: x\nterminal: {command: [a], prompt: a, answer_end: '*'}", "key 'terminal.answer_end': not a regular"),
        (
            "title: x\nprogram: {command: [a], help: {arguments: [-h], pattern: '('}}",
            "key 'program.help.pattern': not a",
        ),
        (
            "title: x\nstart: {command: [a, '{prot}']}",
            "key 'start.command[1]': nothing fills the placeholder '{prot}'.",
        ),
        (
            "title: x\nprogram: {command: ['{modle}']}",
            "key 'program.command[0]': nothing fills the placeholder '{modle}'.",
        ),
        (
            "title: x\nterminal: {command: ['{x}'], prompt: a}",
            "key 'terminal.command[0]': nothing fills the placeholder '{x}'. Allowed: host, model, port, python.",
        ),
        (
            "title: x\nmodel_routes: {load: '/load/{name}'}",
            "key 'model_routes.load': expected a path that names the model",
        ),
        (
            "title: x\nmodel_routes: {unload: /unload}",
            "key 'model_routes.unload': expected a path that names the model",
        ),
        (
            "title: x\nmodel_routes: {body_key: model}",
            "or one without it and a body_key, got '/v1/models/{model}/load'.",
        ),
        (
            START + "  options: {a: {type: strange}}",
            "key 'start.options.a.type': expected one of text, integer, number, duration, switch, list, path, ",
        ),
        ("title: x\nready: {timeout: 2}", ":2: key 'ready.timeout': 2 has no unit: write 2s or 2min."),
        (
            "title: x\nready: {health: {statuses: 200}}",
            "key 'ready.health.statuses': expected a list, such as [200], got a whole number (200).",
        ),
        ("title: x\nstart:\n  command:\n  - a\n  - '{prot}'", ":5: key 'start.command[1]': nothing fills"),
        ("title: x\nstart: {command: ['{prot}']}", "Did you mean {port}?"),
        (START + "  options: {a: {falg: --a}}", "key 'start.options.a.falg': unknown key."),
        (
            START + "  options: {a: {flag: --a, format: '{millis}'}}",
            "key 'start.options.a.format': expected text with one of {value}, got '{millis}'.",
        ),
        (
            START + "  options: {a: {flag: --a, type: duration, format: '{'}}",
            "key 'start.options.a.format': expected text with one of {value}, {milliseconds}, {seconds}, got '{'.",
        ),
        (START + "  options: {a: {format: '{value.real}'}}", "key 'start.options.a.format': expected text with"),
    ],
)
def test_what_could_not_work_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(str(path))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_of_the_start_fill_the_terminal_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(START + "  options: {file: {type: path}}\nterminal: {command: [chat, '{file}'], prompt: '>'}")
    assert load_profile(str(path)).terminal is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./mine.yaml", "There is no profile file {folder}/mine.yaml: nothing at that path."),
        ("mine.yml", "There is no profile file {folder}/mine.yml: nothing at that path."),
        ("{folder}", "There is no profile file {folder}: it is a folder."),
        (
            "127.0.0.1:8123",
            "'127.0.0.1:8123' is not a profile. Hint: is it a server's address? Then write http://127.0",
        ),
        ("simulatr", "Did you mean 'simulator'?"),
    ],
)
def test_what_is_no_profile_is_told_by_what_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError) as caught:
        load_profile(name.format(folder=tmp_path))
    assert message.format(folder=tmp_path) in str(caught.value)
    assert ("expected the path of a YAML file or one of" in str(caught.value)) == (name == "simulatr")


def test_a_name_far_from_all_is_not_guessed_at() -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("nope")
    assert "Did you mean" not in str(caught.value)


def test_commands_may_name_what_lies_beside_the_profile(tmp_path: Path) -> None:
    folder = tmp_path / "it's here: my folder"
    folder.mkdir()
    file = folder / "mine.yaml"
    file.write_text(
        """title: mine
start: {command: ["{python}", "{profile_dir}/server.py"], environment: {CONFIG: "{profile_dir}/x.json"}}
program: {command: ["{profile_dir}/tool"]}
terminal: {command: ["{profile_dir}/chat", "{profile_dir}"], prompt: '>'}
""",
        encoding="utf-8",
    )
    profile = load_profile(str(file))
    assert profile.start is not None
    assert profile.start.command == ["{python}", f"{folder}/server.py"]
    assert profile.start.environment == {"CONFIG": f"{folder}/x.json"}
    assert profile.program is not None
    assert profile.program.command == [f"{folder}/tool"]
    assert profile.terminal is not None
    assert profile.terminal.command == [f"{folder}/chat", str(folder)]


def test_braces_in_the_folder_of_a_profile_are_not_placeholders(tmp_path: Path) -> None:
    folder = tmp_path / "a {port} and {model}"
    folder.mkdir()
    file = folder / "mine.yaml"
    text = """title: mine
start: {command: ["{python}", "{profile_dir}/{model}.py"], environment: {CONFIG: "{profile_dir}/{port}.json"}}
"""
    file.write_text(text, encoding="utf-8")
    start = load_profile(str(file)).start
    assert start is not None
    filling = {"port": "80", "model": "m"}
    argv = build_command(start.command, {}, {}, source="mine", placeholders=filling)
    assert argv[1:] == [f"{folder}/m.py"]
    assert filled(start.environment["CONFIG"], filling) == f"{folder}/80.json"
