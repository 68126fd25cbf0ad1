"""Secrets are masked, and what only looks like one stays readable."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.redaction import MASK, Redactor, is_secret_name


def knowing(*secrets: str) -> Redactor:
    redact = Redactor()
    for secret in secrets:
        redact.add(secret)
    return redact


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-API-Key",
        "--api-key",
        "api_key",
        "HF_TOKEN",
        "PASSWORD",
        "passwd",
        "Set-Cookie",
        "AWS_SECRET",
        "Ocp-Apim-Subscription-Key",
        "x-functions-key",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "--max-tokens", "tokenizer", "time_to_first_token", "token_ids", "prefill-time-per-token", "model"],
)
def test_names_that_only_look_like_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_a_known_secret_is_masked_everywhere() -> None:
    redact = knowing("sk-abcdefgh")
    assert redact("key sk-abcdefgh, again:sk-abcdefghij") == "key ***, again:***ij"
    assert redact("nothing here") == "nothing here"


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    redact = knowing("test")
    assert redact("the latest test, 'test' and testing") == "the latest ***, '***' and testing"


def test_what_is_too_short_is_no_secret() -> None:
    redact = knowing("abc", "", "  ")
    assert not redact.knows_any
    assert redact("abc") == "abc"


def test_the_longer_of_two_secrets_wins() -> None:
    assert knowing("abcdefgh", "abcdefgh-and-more")("abcdefgh-and-more") == MASK


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=12, max_size=30).filter(lambda t: len(t.strip()) > 11)
)
def test_a_secret_is_masked_in_every_writing(secret: str) -> None:
    secret = secret.strip()
    redact = knowing(secret)
    for written in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        quote(secret, ""),
    ):
        shown = redact(f"<<{written}>>")
        assert secret not in shown or secret in MASK * 20
        assert MASK in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdef123", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic ***"),
        ("the bearer of news", "the bearer of news"),
        ("http://me:hunter2@host/v1", "http://me:***@host/v1"),
        ("http://host:8000/a@b", "http://host:8000/a@b"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


def test_headers_are_masked_by_name_and_by_value() -> None:
    headers = {"authorization": "x", "x-api-key": "y", "x-echo": "you sent sk-abcdefgh", "content-type": "text/plain"}
    assert knowing("sk-abcdefgh").headers(headers) == {
        "authorization": MASK,
        "x-api-key": MASK,
        "x-echo": "you sent ***",
        "content-type": "text/plain",
    }
    assert Redactor().environment({"HF_TOKEN": "x", "PATH": "/bin"}) == {"HF_TOKEN": MASK, "PATH": "/bin"}


def test_an_empty_command_line_holds_no_secret() -> None:
    redact = Redactor()
    redact.learn([])
    assert not redact.knows_any


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["serve", "--api-key", "x", "--port", "1"], ["serve", "--api-key", MASK, "--port", "1"]),
        (["serve", "--api-key=x"], ["serve", f"--api-key={MASK}"]),
        (["env", "HF_TOKEN=x", "serve"], ["env", f"HF_TOKEN={MASK}", "serve"]),
        (["serve", "--max-tokens", "5"], ["serve", "--max-tokens", "5"]),
        (["serve", "say sk-abcdefgh"], ["serve", f"say {MASK}"]),
        (["serve", "--password"], ["serve", "--password"]),
        (["ask", "is my token = x?"], ["ask", "is my token = x?"]),
    ],
)
def test_command_lines_are_masked(argv: list[str], shown: list[str]) -> None:
    assert knowing("sk-abcdefgh").argv(argv) == shown


KEY = 'sk-"äb&c/d+e\U0001f600fgh'


@pytest.mark.parametrize(
    "written",
    [
        quote(KEY, ""),
        quote(KEY, "").lower(),
        "".join(f"%{byte:02x}" for byte in KEY.encode()),
        "".join(f"\\u{ord(unit):04X}" for unit in "sk-planted-77"),
        json.dumps(json.dumps(json.dumps(KEY))),
        repr(KEY.encode()),
        html.escape(KEY),
        KEY.encode().decode("latin-1"),
        "".join(f"&#{ord(one)};" for one in KEY),
        "".join(f"&#x{ord(one):X};" for one in KEY),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
    ],
)
def test_a_secret_is_masked_however_it_is_spelled(written: str) -> None:
    redact = knowing(KEY, "sk-planted-77")
    shown = redact(f"a {written} b")
    assert MASK in shown
    assert len(shown) < len(f"a {MASK} b") + 20, "nothing of it is left"


@given(st.binary(max_size=5), st.binary(max_size=5), st.booleans())
def test_a_secret_is_masked_in_base64_wherever_it_stands(before: bytes, after: bytes, urlsafe: bool) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    shown = knowing(KEY)(f"<{encode(before + KEY.encode() + after).decode()}>")
    assert MASK in shown
    neighbours = len(encode(before)) + len(encode(after))
    assert len(shown) <= neighbours + len(f"<{MASK}>") + 4, "what is left is the neighbours'"


def test_text_without_the_secret_is_left_alone() -> None:
    redact = knowing(KEY, "short")
    for text in ("100 % of \\n &amp; c2stIsOk", "%73ho", "a cookie, please: take=one", "shorten %73horten"):
        assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("set-cookie: sid=abc; Path=/\nnext: 1", f"set-cookie: {MASK}\nnext: 1"),
        ("{'Set-Cookie': 'sid=abc; Path=/', 'a': 'b'}", f"{{'Set-Cookie': '{MASK}', 'a': 'b'}}"),
        ('{"set-cookie": "sid=abc"}', f'{{"set-cookie": "{MASK}"}}'),
        ("[(b'Set-Cookie', b'sid=1')]", f"[(b'Set-Cookie', b'{MASK}')]"),
        ("Cookie: a=b; c=d", f"Cookie: {MASK}"),
        ("SET-COOKIE: a=b", f"SET-COOKIE: {MASK}"),
    ],
)
def test_cookies_are_masked(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


def test_what_its_name_calls_secret_is_learnt() -> None:
    redact = Redactor()
    redact.learn(
        ["serve", "--api-key", "written-in-1", "--password=written-in-2", "--max-tokens", "12345678"],
        {"MY_API_KEY": "written-in-3", "HOME": "/home/somebody", "HF_TOKEN": "EMPTY"},
    )
    assert redact("written-in-1 written-in-2 written-in-3") == f"{MASK} {MASK} {MASK}"
    assert redact("12345678 /home/somebody EMPTY serve") == "12345678 /home/somebody EMPTY serve"
    redact.learn(["--api-key", "--other-option", "--token", "none", "--api-key"])
    assert redact("--other-option none") == "--other-option none"


@pytest.mark.parametrize(
    "argument",
    [
        "--env=MY_API_KEY=planted-in-it",
        "X-Api-Key: planted-in-it",
        "Authorization: Bearer planted-in-it",
        "HF_TOKEN=planted-in-it vllm serve; echo",
        "export HF_TOKEN='planted-in-it'; vllm serve",
        "vllm serve --api-key planted-in-it --port 1",
        "vllm serve --api-key=planted-in-it",
        "--headers=x-api-key=planted-in-it",
    ],
)
def test_what_an_argument_calls_secret_inside_is_learnt(argument: str) -> None:
    redact = Redactor()
    redact.learn(["sh", "-c", argument])
    assert redact("planted-in-it") == MASK
    assert "planted" not in " ".join(redact.argv(["sh", "-c", argument]))


@pytest.mark.parametrize(
    "argument",
    [
        "vllm serve --max-tokens 12345678 planted-in-it",
        "--env=HOME=planted-in-it",
        "Accept: planted-in-it",
        "print('planted-in-it'); token = 1",
        "the secret is planted-in-it",
        "--token",
    ],
)
def test_what_no_name_calls_secret_is_not(argument: str) -> None:
    redact = Redactor()
    redact.learn(["sh", argument])
    assert redact(argument) == argument


def test_what_a_request_calls_secret_is_learnt() -> None:
    redact = Redactor()
    url = "http://host/v1/models?api_key=in%2Bthe+query&page=planted-in-it&key=AIza-planted"
    redact.learn_request(url, {"X-Api-Key": "in-a-header", "Authorization": "Token in-a-login", "Accept": "text/plain"})
    assert redact(url) == f"http://host/v1/models?api_key={MASK}&page=planted-in-it&key={MASK}"
    assert redact("in+the query in-a-header in-a-login text/plain") == f"{MASK} {MASK} {MASK} text/plain"


@pytest.mark.parametrize("code", [str, quote, lambda key: key.encode().hex(), lambda key: json.dumps(key)[1:-1],
                                  lambda key: base64.b64encode(f"ab{key}".encode()).decode(),
                                  lambda key: base64.urlsafe_b64encode(key.encode()).decode()])  # fmt: skip
@pytest.mark.parametrize("mark", ["…", "...", "'…'", '"… (90 characters)', "\\u2026", '\\"…'])
def test_a_secret_that_is_cut_is_masked_up_to_the_mark(code: Callable[[str], str], mark: str) -> None:
    key = "sk-planted-abcd.efgh-77"
    redact = knowing(key)
    written = code(key)
    for length in range(len(written)):
        shown = redact(f"<{written[:length]}{mark}")
        assert shown.endswith(mark)
        assert len(shown) <= len(f"<{mark}") + 13, "most of it would be seen"


@pytest.mark.parametrize("between", ["\x1b[0m", "\x1b[38;5;1m", "\x1b[1m\x1b[31m", "\x1bM", "\x1b"])
def test_a_secret_is_masked_where_it_changes_its_colour(between: str) -> None:
    redact = knowing("sk-planted-77")
    for at in range(1, len("sk-planted-77")):
        shown = redact(f"{between}<{'sk-planted-77'[:at]}{between}{'sk-planted-77'[at:]}> sk-planted-77")
        assert shown == f"{between}<{MASK}{between}> {MASK}"
    assert redact(f"a{between}b") == f"a{between}b"


def test_each_line_of_a_secret_is_masked() -> None:
    """A private key or the credentials of an account, in a log that is read line by line."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\nshort\n-----END KEY-----\n"
    redact = knowing(key)
    assert redact(f"<{key}>") == f"<{MASK}\n>"
    assert [redact(f"    {line}, of it") for line in ("MIIEvQIBADAN", "BgkqhkiG9w0B", "short")] == [
        f"    {MASK}, of it", f"    {MASK}, of it", "    short, of it",
    ]  # fmt: skip
    assert "MIIE" not in redact(json.dumps(key))


def test_what_only_begins_like_a_secret_stays() -> None:
    redact = knowing("sk-planted-77")
    for text in ("sk-pl…", "sk-planned…", "sk-planted and more…", "planted-77…"):
        assert redact(text) == text


def test_spans_of_secrets_do_not_overlap() -> None:
    redact = knowing("sk-abcdefgh", "sk-ijklmnop")
    assert redact.spans("x sk-abcdefgh%73k-ijklmnop sk-ijklmnop") == [(2, 13), (13, 26), (27, 38)]
    assert redact.spans("nothing") == []
    assert Redactor().spans("sk-abcdefgh") == []


@pytest.mark.parametrize(
    "piece", ["\\", "%", "&#0", "\\u0073", "cookie:", "bearer ", "://a:", "sk-planted", "&amp;", "\x1b[0", "…"]
)
def test_no_text_takes_longer_than_its_length_explains(piece: str) -> None:
    """A model that repeats itself says such texts. Eight times the length: the square of it would be sixty-four."""
    redact = knowing("sk-planted-77", "short")

    def seconds(count: int) -> float:
        text = piece * count
        taken = []
        for _ in range(3):
            began = time.thread_time()
            redact(text)
            redact.spans(text)
            taken.append(time.thread_time() - began)
        return min(taken)

    assert seconds(32_000) < 32 * max(seconds(4_000), 1e-4)


def test_a_secret_is_masked_after_any_run_of_backslashes() -> None:
    redact = knowing("sk-planted-77")
    for spelled in ("sk-planted-77", "%73k-planted-77", "&#115;k-planted-77", "\\u0073k-planted-77"):
        for count in range(4):
            assert redact("\\" * count + spelled + "\\" * count).strip("\\") == MASK
