"""What the tests of llama.cpp's server ask of keys, of a router of several models, of sleep, and of streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simulator.public_scenarios import NOT_PLAYED, Reply, StandIn, at_once, played, wait_for
from simulator.scenarios_llama_cpp import BOOK, LIFE, SECRET, STORY, client

A, B, C = MODELS = ("tinygemma3:Q8_0", "stories260K:F32", "stories260K-infill:F32")


def commands(folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    presets, story = folder / "presets.ini", folder / "fable.yaml"
    presets.write_text("".join(f"[{name}]\nhf-repo = ggml-org/test\n" for name in MODELS))
    (folder / "again.ini").write_text("[a]\nhf-repo = x/a\n[b]\nhf-repo = x/b\n")
    story.write_text(f"rules:\n  - answer: {{text: '{STORY}'}}\n")
    (folder / "media" / "mtmd").mkdir(parents=True)
    (folder / "media" / "mtmd" / "test-1.jpeg").write_bytes(b"\xff\xd8\xff")
    (folder / "secret.jpeg").write_bytes(b"\xff\xd8\xff")
    router = ["--as", "llama.cpp", "--models-preset", str(presets), "--scenario", str(story), "-np", "4"]
    found: dict[str, list[str]] = {
        "router": [*router, "--models-max", "2", "--startup-duration", "30ms"],
        "two": [*router, "--models-max", "2"],
        "one at once": [*router, "--models-max", "1", "--inter-token-latency", "10ms"],
        "unasked": [*router, "--no-models-autoload", "--models-max", "2"],
        "keyed": [*router, "--models-max", "2", "--api-key", SECRET],
        "presets": ["--as", "llama.cpp", "--models-preset", str(folder / "again.ini")],
        "idle": [*router, "--models-max", "2", "--stop-idle-seconds", "1"],
        "sleeper": ["--as", "llama.cpp", "--sleep-idle-seconds", "1", "--metrics"],
        "locked": ["--as", "llama.cpp", "--api-key", SECRET, "--webui"],
        "media": ["--as", "llama.cpp", "--mmproj", "mmproj.gguf", "--media-path", str(folder / "media")],
        "proxy": ["--as", "llama.cpp", "--ui-mcp-proxy"],
    }
    return {name: (words, {}) for name, words in found.items()}


# Keys and other sites


@played("LS1", "paths that need no key", "locked")
def _(server: StandIn) -> None:
    assert [server.get(path).status for path in ("/health", "/v1/health", "/")] == [200, 200, 200]


@played("LS2", "no key, and a wrong one", "locked")
def _(server: StandIn) -> None:
    for key in ("", "Bearer invalid-key"):
        reply = server.post("/completions", {"prompt": LIFE}, authorization=key)
        assert (reply.status, reply.json["error"]["type"]) == (401, "authentication_error")


@played("LS3", "the right key, as a bearer and as Anthropic's clients send it", "locked")
def _(server: StandIn) -> None:
    for headers in ({"authorization": f"Bearer {SECRET}"}, {"x_api_key": SECRET}):
        reply = server.post("/completions", {"prompt": LIFE}, **headers)
        assert (reply.status, "content" in reply.json) == (200, True)


@played("LS4", "a page of another site may ask", "locked")
def _(server: StandIn) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "Authorization"}
    headers = server.ask("OPTIONS", "/completions", None, {"origin": "web.mydomain.fr", **asked}).headers
    assert headers["access-control-allow-origin"] == "web.mydomain.fr"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-methods"].startswith("GET, POST")
    assert headers["access-control-allow-headers"] == "*"


@played("LS5", "files of the server's machine: where they are allowed, and no others", "media")
def _(server: StandIn) -> None:
    def status(url: str, server: StandIn = server) -> int:
        parts = [{"type": "text", "text": "test"}, {"type": "image_url", "image_url": {"url": url}}]
        return server.post(
            "/chat/completions", {"messages": [{"role": "user", "content": parts}], "max_tokens": 1}
        ).status

    assert [status("file://mtmd/test-1.jpeg"), status("file:////mtmd//test-1.jpeg")] == [200, 200]
    assert [status("file://mtmd/notfound.jpeg"), status("file://../secret.jpeg")] == [400, 400]
    other = StandIn(["--as", "llama.cpp", "--mmproj", "mmproj.gguf"])
    without = status("file://mtmd/test-1.jpeg", other)
    other.close()
    assert without == 400


@played("LS6", "OpenAI's client with the key, without /v1", "locked")
def _(server: StandIn) -> None:
    reply = client(server, SECRET, "").chat.completions.create(model="gpt-3.5-turbo", messages=BOOK)  # type: ignore[arg-type]
    assert len(reply.choices) == 1


# Several models


def _states(server: StandIn, query: str = "", **headers: str) -> dict[str, str]:
    data = server.get(f"/models{query}", **headers).json["data"]
    return {one["id"]: one["status"]["value"] for one in data}


def _load(server: StandIn, name: str, **headers: str) -> None:
    reply = server.post("/models/load", {"model": name}, **headers)
    assert reply.json == {"success": True}, reply.text
    wait_for(lambda: _states(server, **headers)[name] == "loaded")


def _chat(server: StandIn, name: str, count: int = 8, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
    body = {"model": name, "max_tokens": count, "messages": [{"role": "user", "content": "hello"}], **more}
    return server.ask("POST", "/v1/chat/completions", body, headers)


@played("LR1", "a router tells what it is, loads a model that is asked for, and knows no others", "router")
def _(server: StandIn) -> None:
    props = server.get("/props").json
    assert (props["role"], props["max_instances"], props["models_autoload"]) == ("router", 2, True)
    assert props["build_info"].startswith("b")
    reply = _chat(server, A, stream=True)
    assert (reply.status, reply.content != "") == (200, True)
    assert _states(server)[A] == "loaded"
    assert _chat(server, "non-existent/model", stream=True).status == 400


@played("LR2", "a model is unloaded", "two")
def _(server: StandIn) -> None:
    _load(server, A)
    assert server.post("/models/unload", {"model": A}).json == {"success": True}
    assert _states(server)[A] == "unloaded"
    assert server.post("/models/unload", {"model": A}).status == 400
    assert server.post("/models/load", {"model": "none"}).status == 404


@played("LR3", "the model that was used longest ago makes room", "two")
def _(server: StandIn) -> None:
    for name in MODELS:
        if _states(server)[name] == "loaded":
            server.post("/models/unload", {"model": name})
    for name in MODELS:
        _load(server, name)
    assert _states(server) == {A: "unloaded", B: "loaded", C: "loaded"}


@played("LR4", "several requests wait for one load, and cost one model only", "router")
def _(server: StandIn) -> None:
    for name in (A, B):
        if _states(server)[name] == "unloaded":
            _load(server, name)
    _chat(server, A)
    replies = at_once(*[partial(_chat, server, C)] * 3)
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert _states(server) == {A: "loaded", B: "unloaded", C: "loaded"}


@played(
    "LR5",
    "a model that is busy is not unloaded; who leaves the queue takes nothing; first come, first served",
    "one at once",
)
def _(server: StandIn) -> None:
    _load(server, A)
    busy, queued = at_once(
        partial(_chat, server, A, 60),
        lambda: (wait_for(lambda: server.app.running > 0), _chat(server, B, 1))[1],
    )
    assert (busy.status, queued.status) == (200, 200)
    assert _states(server) == {A: "unloaded", B: "loaded", C: "unloaded"}

    def come_and_go() -> None:
        wait_for(lambda: server.app.running > 0)
        server.leave(
            "/v1/chat/completions", {"model": C, "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]}
        )

    at_once(partial(_chat, server, B, 60), come_and_go)
    assert _states(server)[B] == "loaded"


@played("LR6", "a model is loaded by hand only", "unasked")
def _(server: StandIn) -> None:
    assert server.get("/props").json["models_autoload"] is False
    reply = _chat(server, A)
    assert (reply.status, "error" in reply.json) == (400, True)
    _load(server, A)
    assert _chat(server, A).status == 200


@played("LR7", "a router asks for the key", "keyed")
def _(server: StandIn) -> None:
    right = {"authorization": f"Bearer {SECRET}"}
    reply = _chat(server, A)
    assert (reply.status, reply.json["error"]["type"]) == (401, "authentication_error")
    _load(server, A, **right)
    assert _chat(server, A, headers=right).status == 200


@played("LR8", "the presets are read again", "presets")
def _(server: StandIn) -> None:
    file = Path(str(server.app.settings.models_preset))  # type: ignore[attr-defined]
    assert set(_states(server)) == {"a", "b"}
    file.write_text("[b]\nhf-repo = x/b\n[c]\nhf-repo = x/c\n")
    assert set(_states(server)) == {"a", "b"}
    assert set(_states(server, "?reload=1")) == {"b", "c"}


@played("LR9", "a model that nobody uses is stopped, and comes back", "idle")
def _(server: StandIn) -> None:
    _load(server, A)
    wait_for(lambda: _states(server)[A] == "unloaded")
    assert _chat(server, A).status == 200
    assert _states(server)[A] == "loaded"


@played("LR10", "a server that sleeps tells so, still answers what costs nothing, and wakes", "sleeper")
def _(server: StandIn) -> None:
    server.complete(LIFE)
    metrics = server.get("/metrics").text
    wait_for(lambda: bool(server.get("/props").json["is_sleeping"]))
    assert [server.get(path).status for path in ("/health", "/models")] == [200, 200]
    assert server.get("/metrics").text == metrics
    assert server.get("/props").json["is_sleeping"] is True
    server.complete(LIFE)
    assert server.get("/props").json["is_sleeping"] is False


NOT_PLAYED["LR11"] = "a model is downloaded, with events, and deleted: a stand-in downloads nothing"
NOT_PLAYED["LM1"] = "metric families of newer builds, with ratios and sizes: those of the recorded builds are told"


@played("LM2", "a proxy asks no private address, and none that is malformed", "proxy")
def _(server: StandIn) -> None:
    private = ("10.0.0.1:1", "127.0.0.1:1", "169.254.169.254", "[::1]:1", "[::ffff:127.0.0.1]:1", "metadata.goog.")
    wrong = ("not-a-url", "ftp://example.com/", "http://@example.com/", "http://example.com:65536/", "http://[::1",
             "http://[::1]suffix/", "http://example.com?query", "http://user:password@example.com/")  # fmt: skip
    for target in (*(f"http://{host}/" for host in private), *wrong):
        reply = server.get(f"/cors-proxy?url={quote(target, safe='')}")
        assert (reply.status, "error" in reply.json) == (400, True), target
    other = StandIn(["--as", "llama.cpp"])
    status = other.get("/cors-proxy").status
    other.close()
    assert status == 403


@played("LM3", "a stream of a conversation is taken up again, and stopped", "two")
def _(server: StandIn) -> None:
    name = f"conversation::{A}"
    path = f"/v1/stream?conv_id={quote(name, safe='')}"
    reply = _chat(server, A, stream=True, headers={"x-conversation-id": name})
    again = server.get(f"{path}&from=0")
    assert again.content == reply.content != ""
    assert len(server.get(f"{path}&from=3").chunks) == len(reply.chunks) - 3
    assert server.ask("DELETE", path).status == 204
    assert server.get(path).status == 404
