"""Profiles: those that are shipped load; everything that could not work is refused when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.servers.profile import SHIPPED, load_profile, profile_names


def test_the_shipped_profiles_are_found() -> None:
    assert {"simulator", "llama.cpp", "openai"} <= set(profile_names())
    assert len(profile_names()) == len(list(SHIPPED.iterdir()))


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
        ("", "object missing required field `title`."),
        ("title: x\nmodle: y", "key 'modle': unknown key. Allowed here: "),
        ("title: x\nstart: {command: []}", "key 'start.command': expected `array` of length >= 1."),
        ("title: x\nready: {timeout: soon}", "key 'ready.timeout': expected a duration with a unit, such as 200ms"),
        ("title: x\nstop: {grace: '5'}", "key 'stop.grace': expected a duration"),
        ("title: x\nready: {first_token: maybe}", "key 'ready.first_token': invalid enum value 'maybe'."),
        ("title: x\nready: {health: {path: health}}", "key 'ready.health.path': expected a path such as /health, got"),
        ("title: x\nhints: [{pattern: '(', hint: h}]", "key 'hints[0].pattern': not a regular expression: missing )"),
        (START + "  announcement: '['", "key 'start.announcement': not a regular expression"),
        (START + "  announcement: 'on (.*)'", "key 'start.announcement': expected a group that holds the address"),
        ("title: x\nterminal: {command: [a], prompt: '*'}", "key 'terminal.prompt': not a regular expression"),
        ("title: x\nterminal: {command: [a], prompt: a, answer_end: '*'}", "key 'terminal.answer_end': not a regular"),
        ("title: x\nbinary: {command: [a], help: {arguments: [-h], pattern: '('}}", "key 'binary.help.pattern': not a"),
        ("title: x\nstart: {command: [a, '{prot}']}", "key 'start.command': nothing fills the placeholder '{prot}'."),
        ("title: x\nbinary: {command: ['{modle}']}", "key 'binary.command': nothing fills the placeholder '{modle}'."),
        (
            "title: x\nterminal: {command: ['{x}'], prompt: a}",
            "key 'terminal.command': nothing fills the placeholder '{x}'. Allowed: host, model, port, python.",
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
        (START + "  options: {a: {type: strange}}", "key 'start.options.a.type': invalid enum value 'strange'."),
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
