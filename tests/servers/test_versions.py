"""The waivers of a server are those of its version, which it is asked for where the versions differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from likeness import served

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import ANY_STATUS, Sending
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.capabilities import State
from InferenceLibrary.servers.probing.shared import KnownServers
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server
from InferenceLibrary.servers.versions import known_of


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
        assert server.known.waivers == load_dialect(f"llama.cpp@{version}").waivers
        assert server.known.waivers
        assert asked == ["/props"]


@pytest.mark.parametrize(("version", "lacking"), [("0.8.1", {"continued prompts"}), ("0.9.2", set[str]())])
def test_what_a_server_lacks_is_what_its_version_lacks(version: str, lacking: set[str]) -> None:
    with served(["--as", f"mistralrs@{version}", "serve", "-m", "MODEL", "-p", "{port}"], {}) as port:
        server = server_at(port, "mistralrs")
        offers = {word: KnownServers().offer(server, word, Path(), print) for word in ("continued prompts", "sleep")}
        own, chosen = server.known
        checked = known_of(server.client, server.profile, ask=True)
    assert {word for word, offer in offers.items() if offer.state is State.NOT_OFFERED} == {"sleep", *lacking}
    assert chosen is not None
    assert (chosen.dialect.version, own.offers) == (version, load_profile("mistralrs").offers)
    assert own == load_profile("mistralrs", f"mistralrs@{version}")
    assert checked == server.known, "as `rfinference check` does"


def test_who_tells_no_version_is_taken_for_the_newest() -> None:
    assert server_at(9, "llama.cpp").known.waivers == load_dialect("llama.cpp").waivers


def test_a_dialect_of_one_version_asks_nothing() -> None:
    server = server_at(9, "vllm")
    assert server.known.waivers == load_dialect("vllm").waivers
    # Another dialect in place of that of the profile, whose own words stay.
    other = load_profile("vllm", "llama.cpp@b0")
    server.profile = other
    assert server.known.waivers == load_dialect("llama.cpp@b0").waivers
    assert other.lacks["terminal"] == load_profile("vllm").lacks["terminal"]
    assert other.lacks["rerank v2"] == "llama-server has no /v2/rerank"
    assert "incomplete responses" in other.lacks


def test_a_dialect_that_does_not_exist_is_told() -> None:
    with pytest.raises(ProfileError, match="No dialect 'vlm'"):
        load_profile("simulator", "vlm")
