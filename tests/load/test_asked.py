"""What a load asks and how it reaches its server: conversations, mixes, exact lengths, TLS."""

# ruff: noqa: E501 - answers and messages are quoted whole

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from wire_server import DONE, END_OF_BODY, STREAM_HEAD, WireServer, delta, piece

from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import InferenceError, MonitorError
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import WORDS, Kind, Prompts
from InferenceLibrary.load.run import run
from InferenceLibrary.load.wording import Wording

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")


def write_tokenizer(folder: Path, words: tuple[str, ...] = WORDS) -> Path:
    """A `tokenizer.json` that knows some words and takes all others as one."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(("[UNK]", *words))}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


def test_a_conversation_sends_all_that_was_said(wire: Callable[..., WireServer]) -> None:
    answer = [STREAM_HEAD, piece(delta(role="assistant")), piece(delta("Well, ")), piece(delta('"no".')), piece(delta(finish="stop")), piece(DONE), END_OF_BODY]  # fmt: skip
    server = wire(answer)
    found = run(
        LoadPlan(
            server.url,
            Users(1),
            (Kind.chat(system="Be brief."),),
            Prompts(("Hi",), vary=False),
            requests=5,
            turns=3,
            judged=0,
        )
    )
    assert found.failures == 0, found.errors
    assert [one.turn for one in found.records] == [1, 2, 3, 1, 2]
    # The server closes after each answer, so a request may have come twice.
    seen = {len(messages): messages for messages in map(_messages, server.requests)}
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": 'Well, "no".'}]
    system = {"role": "system", "content": "Be brief."}
    assert seen == {2: [system, said[0]], 4: [system, *said, said[0]], 6: [system, *said, *said, said[0]]}


def _messages(request: bytes) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(request.partition(b"\r\n\r\n")[2])["messages"]
    return found


def test_a_conversation_ends_with_an_answer_that_failed(wire: Callable[..., WireServer]) -> None:
    server = wire([b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}"])
    found = run(LoadPlan(server.url, Users(1), requests=3, turns=3))
    assert found.errors == {"status 500": 3}
    assert [one.turn for one in found.records] == [1, 1, 1]


def test_kinds_have_prompts_of_their_own() -> None:
    kinds = (
        Kind.chat(name="long", prompts=Prompts(tokens=50)),
        Kind("embed", "/v1/embeddings", '{"input": "{prompt}"}', weight=3, prompts=Prompts(tokens=5)),
        Kind("health", "/health", method="GET", weight=0),
    )
    wording = Wording(LoadPlan("http://x", Users(1), kinds, requests=1))
    found = [wording.request(number) for number in range(400)]
    counts = Counter(kind for kind, _, _ in found)
    assert set(counts) == {0, 1}
    assert 250 < counts[1] < 350
    assert {(kind, len(prompt.split())) for kind, prompt, _ in found} == {(0, 50), (1, 5)}


def test_a_tokenizer_makes_prompts_of_an_exact_length(tmp_path: Path) -> None:
    path = write_tokenizer(tmp_path, tuple(word for word in WORDS if word != "people"))
    found = Prompts(tokens=40, shared_prefix=10).counted_by(tmp_path)
    assert found.tokenizer == path
    # A word that is not in the vocabulary is one token too here: [UNK].
    assert all(len(Tokenizer.from_file(str(path)).encode(found.text(number)).ids) == 40 for number in range(20))


def _letters(folder: Path) -> None:
    """A tokenizer of single letters."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = Split(Regex("."), "isolated")
    made.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "The tokenizer '.*/tokenizer.json' does not exist: expected the tokenizer.json of a model"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "The tokenizer '.*' cannot be read: expected a tokenizer.json, got"),
        (_letters, "cannot make prompts of a length: expected 16 common words or more that are one token each, got 0"),
    ],
)  # fmt: skip
def test_what_is_not_a_tokenizer_is_refused(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    make(tmp_path)
    folder = tmp_path if (tmp_path / "tokenizer.json").exists() else tmp_path / "tokenizer.json"
    with pytest.raises(MonitorError, match=message):
        Prompts().counted_by(folder)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InferenceError, match=r"Counting tokens needs the package 'tokenizers'.*pip install psutil"):
        Prompts().counted_by(write_tokenizer_file(tmp_path))


def write_tokenizer_file(folder: Path) -> Path:
    path = folder / "tokenizer.json"
    path.write_text("{}")
    return path


def test_tokens_are_counted_by_the_tokenizer_where_no_usage_is_told(
    wire: Callable[..., WireServer], tmp_path: Path
) -> None:
    answer = [STREAM_HEAD, piece(delta(role="assistant")), piece(delta("time year way ")), piece(delta("day man")), piece(delta(finish="stop")), piece(DONE), END_OF_BODY]  # fmt: skip
    prompts = Prompts(tokens=8).counted_by(write_tokenizer(tmp_path))
    found = run(LoadPlan(wire(answer).url, Users(1), prompts=prompts, requests=1, judged=0))
    assert [(one.output_tokens, one.token_source) for one in found.records] == [(5, "tokenizer")]
    assert "tokens were counted by tokenizer: not every answer had a usage" in found.remarks
    found = run(LoadPlan(wire(answer).url, Users(1), requests=1, judged=0))
    assert [(one.output_tokens, one.token_source) for one in found.records] == [(2, "chunks")]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "k.pem", folder / "c.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--host", "localhost"]
    command += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--inter-token-latency", "2ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield f"https://localhost:{int(line.rpartition(b':')[2])}", certificate
        process.kill()


@needs_openssl
def test_a_load_goes_by_tls(secure: tuple[str, Path]) -> None:
    url, certificate = secure
    kinds = (
        Kind.chat(model="fake-model", max_tokens=6),
        Kind.chat(model="fake-model", name="whole", stream=False, max_tokens=6),
    )
    found = run(LoadPlan(url, Users(4), kinds, requests=40, route=Route(ca_file=certificate)))
    assert found.failures == 0, found.errors
    assert all(one.broken == [] for one in found.records)
    assert 1 <= sum(one.connect is not None for one in found.records) <= 4
    first = next(one for one in found.records if one.connect is not None)
    assert 0 < (first.connect or 0) < first.latency
    assert found.get("ttft_min") > 0


@needs_openssl
@pytest.mark.parametrize(
    ("host", "trusted", "detail"),
    [
        ("localhost", False, "self-signed certificate"),
        ("127.0.0.1", True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_is_not_trusted_fails_each_request(
    secure: tuple[str, Path], host: str, trusted: bool, detail: str
) -> None:
    url, certificate = secure
    route = Route(ca_file=certificate) if trusted else Route()
    found = run(LoadPlan(url.replace("localhost", host), Users(1), requests=2, route=route))
    assert found.errors == {"tls": 2}
    assert detail in found.records[0].detail
    assert found.records[0].connect is None


def test_a_server_that_does_not_speak_tls_is_told(wire: Callable[..., WireServer]) -> None:
    server = wire([b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n"])
    found = run(LoadPlan(server.url.replace("http:", "https:"), Users(1), requests=1, timeout=2.0))
    assert set(found.errors) <= {"tls", "timeout", "connection"}
    assert found.failures == 1
