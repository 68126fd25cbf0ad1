"""The waivers of a server are those of its version, which it is asked for where the versions differ."""

from __future__ import annotations

from typing import Any

import pytest
from likeness import served

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import ANY_STATUS, Sending
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server


def server_at(port: int, profile: str, dialect: str | None = None) -> Server:
    url = f"http://127.0.0.1:{port}"
    return Server(profile, load_profile(profile, dialect), url, Client(url))


@pytest.mark.parametrize("version", ["b0", "b11434"])
def test_a_server_is_asked_for_its_version_once(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    send = Client.send

    def noted(self: Client, method: str, path: str, body: Any = None, sending: Sending = ANY_STATUS) -> Any:
        asked.append(path)
        return send(self, method, path, body, sending)

    monkeypatch.setattr(Client, "send", noted)
    with served(["--as", f"llama.cpp@{version}", "--model", "tiny"], {}) as port:
        server = server_at(port, "llama.cpp")
        assert server.waivers == load_dialect(f"llama.cpp@{version}").waivers
        assert server.waivers
        assert asked == ["/props"]


def test_who_tells_no_version_is_taken_for_the_newest() -> None:
    assert server_at(9, "llama.cpp").waivers == load_dialect("llama.cpp").waivers


def test_a_dialect_of_one_version_asks_nothing() -> None:
    server = server_at(9, "vllm")
    assert server.waivers == load_dialect("vllm").waivers
    # Another dialect in place of that of the profile, whose own words stay.
    other = load_profile("vllm", "llama.cpp@b0")
    server.profile = other
    assert server.waivers == load_dialect("llama.cpp@b0").waivers
    assert other.lacks["terminal"] == load_profile("vllm").lacks["terminal"]
    assert other.lacks["rerank v2"] == "llama-server has no /v2/rerank"
    assert "incomplete responses" in other.lacks


def test_a_dialect_that_does_not_exist_is_told() -> None:
    with pytest.raises(ProfileError, match="No dialect 'vlm'"):
        load_profile("simulator", "vlm")
