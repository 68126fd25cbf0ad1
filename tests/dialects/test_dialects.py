"""Dialects: the files that come with the library, files of one's own, versions, and what they waive."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dialect_faults import Noticed
from dialect_proof import main, own_deviations, problems
from recordings import FOLDER, Recorded, recording, recordings

from InferenceLibrary.cli import main as command
from InferenceLibrary.dialects.dialect import Circumstances, Deviation, Dialect, version_key
from InferenceLibrary.dialects.files import dialect_for, in_order, load_dialect, shipped_dialects, stands_on
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.exchange import Exchange, Request
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.servers.profile import load_profile

HEAD = "name: mine\ntitle: Mine\nversion: '2.1'\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + text)
        return path

    return write


def test_each_recording_has_its_dialect() -> None:
    assert sorted(one.recording or "" for one in shipped_dialects() if one.proven) == recordings()


def test_what_no_recording_shows_is_unproven() -> None:
    router = load_dialect("router").dialect
    assert [waiver.unproven for waiver in router.waivers] == [True] * len(router.deviations)
    # No recording asks Transformers for the usage of a streamed completion, for a format that its model would not have
    # kept by itself, or for a model of its list.
    some = {waiver.rule for waiver in load_dialect("transformers").dialect.waivers if waiver.unproven}
    assert some == {"C15", "M2", "N8", "RS17", "X6"}


def test_what_the_recording_of_a_range_shows_is_proven_there_alone() -> None:
    ranges = [load_dialect(name).dialect for name in ("mistralrs", "mistralrs@0.8.1")]
    assert [[one.unproven for one in each.deviations if one.rule == "C15"] for each in ranges] == [[True], [False]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deviations:\n- {rule: C77, reason: so}\n", "yaml:5: key 'deviations[0].rule': 'C77' is not a rule. Did you"),
        ("deviations:\n- {rule: C7, kind: agian, reason: so}\n", "Did you mean 'again'?"),
        ("deviations:\n- {rule: C7, reason: ' '}\n", "expected what the server does, got an empty text"),
        ("deviations:\n- {rule: C7, reason: so, api: [chat]}\n", "unknown key."),
        ("deviations:\n- {rule: C7, reason: so, apis: [chats]}\n", "expected one of chat, completions, "),
        ("reference: antropic\n", "got 'antropic' (did you mean 'anthropic'?)"),
        ("deviations:\n- {rule: C7}\n", "yaml:5: key 'deviations[0]': key 'reason' is missing"),
        ("deviations:\n- {rule: C7, reason: so, until: 2027-13-31}\n", "until': '2027-13-31' cannot be read: month"),
        ("deviations:\n- {rule: C7, reason: so, until: '1'}\n", "until': expected a date such as 2027-01-31, got '1'"),
        ("probe: {path: /version, pattern: '('}\n", "yaml:4: key 'probe.pattern': not a regular expression"),
        ("probe: {path: /version, pattern: version}\n", "expected a group for the version, such as '(version)'"),
        ("probe: {path: version}\n", "yaml:4: key 'probe.path': expected a path such as /version, got 'version'"),
        ("probe: {path: '/my version'}\n", "key 'probe.path': expected a path such as /version, got '/my version'"),
        ("choices: {stands_on: vlm}\n", "key 'choices.stands_on': expected the name of a dialect file, got 'vlm'"),
        ("deviations:\n- {rule: C7, reason: so, when: {path: '('}}\n", "when.path': not a regular expression"),
        ("deviations:\n- {rule: C7, reason: so, when: {answer: '('}}\n", "when.answer': not a regular expression"),
        ("deviations:\n- {rule: C7, reason: so, got: '('}\n", "got': not a regular expression"),
        ("offers: [chta]\n", "'chta' is not a capability. Did you mean 'chat'?"),
        ("lacks: {chta: so}\n", "'chta' is not a capability. Did you mean 'chat'?"),
        ("offers: [chat]\nlacks: {chat: so}\n", "'chat' stands under offers, too: expected one of both"),
        ("lacks: {chat: ''}\n", "key 'lacks.chat': expected the reason, got an empty text"),
        ("file: mine\n", "key 'file': unknown key. Allowed here: before, choices, deviations, evidence, extends"),
        ("deviations:\n- {rule: C7, reason: so, when: {statuses: [200, 600]}}\n", "expected statuses of HTTP, 100 to"),
        ("before: '2'\n", "2.1 is not one of its own range: expected 0 or later, before 2"),
        ("first: newest\n", "expected a version such as 0.32.0 or b11434, got 'newest'"),
        ("without: [{rule: C7}]\n", "'without': there is nothing to take over without `extends`"),
        ("shown: [{rule: C7}]\n", "'shown': there is nothing to take over without `extends`"),
        ("extends: vlm\n", "expected the name of a dialect file, got 'vlm'. Did you mean 'vllm'?"),
        ("extends: vllm\nwithout: [{rule: C7}]\n", "vllm has no deviation from rule C7: expected one"),
        ("extends: vllm\nwithout: [{rule: R2, kind: type}]\n", "vllm has no deviation from rule R2 of that kind."),
        ("extends: vllm\nshown: [{rule: F13}]\n", "'shown': expected `recording` beside it, the name of what shows"),
        ("extends: vllm\nrecording: vllm\nshown: [{rule: C7}]\n", "vllm has no deviation from rule C7: expected one"),
        (
            "extends: mistralrs-0.8\nrecording: mistral.rs\nshown: [{rule: L4}]\n",
            "mistralrs-0.8 has no unproven deviation from rule L4 of that kind",
        ),
        ("extends: mine\n", "yaml:4: key 'extends': the files stand on each other in a circle: mine, then mine"),
        (f"extends: {'a' * 300}\n", "key 'extends': expected the name of a dialect file, got 'aaa"),
        (f"recording: {'a' * 300}\n", "key 'recording': expected the name of a recording beside it, without a folder"),
        (f"before: '{'9' * 5000}'\n", "key 'before': expected a version such as 0.32.0 or b11434, got '999"),
        ("deviations:\n- {rule: C7, reason: so, got: 'a{99999999999}'}\n", "got': not a regular expression"),
        (f"deviations:\n- {{rule: C7, reason: so, got: '{'(' * 5000}'}}\n", "got': not a regular expression"),
        ("probe: {path: /v, pattern: '(a{99999999999})'}\n", "probe.pattern': not a regular expression"),
        ("deviations:\n- {rule: C7, reason: so, until: 2027-01-31 10:00:00}\n", "expected a date such as 2027-01-31 o"),
        ("choices: {without_routes: [GET /health]}\n", "'choices.without_routes': there is nothing to take over"),
        ("choices: {without_refuses: [own]}\n", "'choices.without_refuses': there is nothing to take over"),
        ("recording: x\n", "'recording': expected the name of a recording beside it, x.jsonl.xz is not there. Hint"),
        (
            "recording: x\ndeviations:\n- {rule: C7, reason: so, unproven: true}\n",
            "yaml:6: key 'deviations[0].unproven': expected `evidence` beside it, a source with its date, where no rec",
        ),
        ("deviations:\n- {rule: C7, reason: so, unproven: true}\n", "unproven': expected `evidence` beside it"),
    ],
)  # fmt: skip
def test_a_wrong_dialect_is_told(write: Callable[..., Path], text: str, said: str) -> None:
    with pytest.raises(ProfileError) as told:
        load_dialect(str(write(text)))
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("name: ''\ntitle: Mine\n", "yaml:1: key 'name': expected letters, digits, '.', '_' and '-', got ''"),
        ("name: a b\ntitle: Mine\n", "got 'a b'"),
        ("name: mine\ntitle: ' '\n", "yaml:2: key 'title': expected what the server is called, got an empty text"),
    ],
)
def test_a_dialect_without_a_name_is_told(tmp_path: Path, head: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{head}version: '2'\n")
    with pytest.raises(ProfileError) as told:
        load_dialect(str(path))
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("vlm", "Did you mean 'vllm'?"),
        ("VLLM", "Did you mean 'vllm'?"),
        ("v" * 300, "No dialect 'vvv"),
        (f"vllm@{'9' * 5000}", "' is not a version of vllm"),
        ("vllm@0.32.0@1", "'0.32.0@1' is not a version of vllm"),
        ("vllm@newest", "'newest' is not a version of vllm: expected one such as 0.32.0"),
        ("vllm+olama", "Did you mean 'ollama'?"),
        ("litellm+", "the server after the '+' is missing"),
        ("+vllm", "the gateway before the '+' is missing"),
    ],
)
def test_a_name_that_does_not_exist_is_told(wanted: str, said: str) -> None:
    with pytest.raises(ProfileError) as told:
        load_dialect(wanted)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("wanted", "file", "notice"),
    [
        ("llama.cpp", "llama.cpp", "the version is not known, llama.cpp b11434 is assumed"),
        ("llama.cpp@b0", "llama.cpp-0.5", ""),
        ("llama.cpp@b11434", "llama.cpp", ""),
        ("llama.cpp@b99999", "llama.cpp", "newer than the recorded b11434: its waivers are unproven"),
        ("vllm", "vllm", ""),
    ],
)
def test_the_version_decides(wanted: str, file: str, notice: str) -> None:
    chosen = load_dialect(wanted)
    assert (chosen.dialect.file, notice in chosen.notice, bool(notice)) == (file, True, bool(chosen.notice))
    unproven = {waiver.rule for waiver in chosen.dialect.waivers if waiver.unproven}
    # No recording asks vLLM with an offer of another protocol or for the usage of a streamed completion, nor llama.cpp
    # for a response in a format; none is of a template without tools, and none holds a model list with its refusals.
    rest = {"llama.cpp": {"RS17", "C18", "RS6", "RS9", "RS16", "T7", "A14"}, "vllm": {"C15", "F13", "R2"}}[
        chosen.dialect.name
    ]
    assert unproven >= ({waiver.rule for waiver in chosen.dialect.waivers} if "unproven" in notice else rest)
    assert file != "vllm" or unproven == rest


def test_two_that_both_fit_are_refused() -> None:
    one = Dialect(name="mine", title="Mine", version="1", first="1", file="one")
    two = Dialect(name="mine", title="Mine", version="2", first="2", file="two")
    with pytest.raises(ProfileError, match="one and two are both for mine 2: expected one of them"):
        in_order([two, one])
    with pytest.raises(ProfileError, match=r"Hint: `before: '2'` in one\."):
        in_order([two, one])
    with pytest.raises(ProfileError, match="Hint: `first:` in the newer of them, its oldest version"):
        in_order([msgspec.structs.replace(two, first="1"), one])
    assert in_order([two, msgspec.structs.replace(one, before="2")])[1] is two


def test_versions_are_compared_by_their_numbers() -> None:
    assert version_key("b9") < version_key("b11434")
    assert version_key("0.5.0-dev") < version_key("0.10")
    assert not version_key("newest")


def test_a_range_extends_another_and_holds_what_differs() -> None:
    old, new = dialect_for("llama.cpp", "b0").dialect, dialect_for("llama.cpp", "b11434").dialect
    own = own_deviations(old)
    assert 0 < len(own) < len(old.deviations)
    broken_json = [one for one in own if (one.rule, one.kind) == ("R5", "status")]
    assert broken_json
    assert not [one for one in new.deviations if one.rule == "R5"]


def test_a_gateway_stands_on_what_is_behind_it() -> None:
    both = load_dialect("litellm+llama.cpp").dialect
    parts = [load_dialect(name).dialect for name in ("litellm", "llama.cpp")]
    assert both.deviations == [*parts[0].deviations, *parts[1].deviations]
    assert "unknown model is refused" in parts[0].offers
    assert "unknown model is refused" in parts[1].lacks
    assert "unknown model is refused" in both.offers
    alone, newest = parts[0].choices, both.choices
    assert alone is not None
    assert newest is not None
    assert newest.fingerprint != alone.fingerprint, "the choices stand on those of the version that is named"
    assert load_dialect("litellm+llama.cpp@b0").dialect.choices == alone
    assert both.lacks.keys() == (parts[0].lacks.keys() | parts[1].lacks.keys()) - set(parts[0].offers)


def call(path: str = "/v1/chat/completions", status: int = 200, **body: Any) -> Exchange:
    return Exchange(Request("POST", f"http://x{path}", (), json.dumps(body).encode()), status, (), b"{}")


@pytest.mark.parametrize(
    ("when", "right", "wrong"),
    [
        (Circumstances(streamed=True), call(stream=True), call(stream=False)),
        (Circumstances(streamed=False), call(), call(stream=True)),
        (Circumstances(several_choices=True), call(n=2), call(n=1)),
        (Circumstances(several_choices=False), call(), call(n=2)),
        (Circumstances(statuses=[401]), call(status=401), call(status=400)),
        (Circumstances(path="^/v1/chat/"), call(), call("/v1/completions")),
        (Circumstances(model="^gpt-"), call(model="gpt-4"), call(model="tiny")),
        (Circumstances(asks_for=["logprobs"]), call(logprobs=True), call(logprobs=None)),
    ],
    ids=lambda value: str(value) if isinstance(value, Circumstances) else "",
)
def test_each_circumstance_counts(when: Circumstances, right: Exchange, wrong: Exchange) -> None:
    assert when.hold(right)
    assert not when.hold(wrong)
    assert str(when)


def test_a_waiver_is_as_narrow_as_its_deviation() -> None:
    stray = next(one for one in recording("transformers-5.23.0") if one.label == "chat/chat stream 1")
    (violation,) = (one for one in judge(stray.exchange()).violations if one.rule.id == "F8")
    plain = Deviation(rule="F8", reason="so")
    assert plain.waiver().covers(violation)
    assert msgspec.structs.replace(plain, kind="missing", apis=[Api.CHAT], got="^none").waiver().covers(violation)
    for other in (
        {"rule": "F7"},
        {"kind": "twice"},
        {"apis": [Api.RESPONSES]},
        {"when": Circumstances(statuses=[500])},
        {"got": "none after 0 events"},
    ):
        assert not msgspec.structs.replace(plain, **other).waiver().covers(violation)


# What proves them


def a_stream_without_end() -> Recorded:
    return next(one for one in recording("transformers-5.23.0") if one.label == "chat/chat stream 1")


def test_a_deviation_that_the_dialect_lacks_is_found() -> None:
    lacking = Dialect(name="mine", title="Mine", version="1", recording="x")
    assert any(line.startswith("chat/chat stream 1: F8:") for line in problems(lacking, [a_stream_without_end()]))


def test_a_deviation_that_nothing_shows_is_found() -> None:
    said = Deviation(rule="RK1", reason="ranks by chance")
    dialect = Dialect(name="mine", title="Mine", version="1", recording="x", deviations=[said])
    assert problems(dialect, []) == ["nothing shows RK1: ranks by chance"]
    unproven = msgspec.structs.replace(said, unproven=True)
    assert problems(msgspec.structs.replace(dialect, deviations=[unproven]), []) == []


def test_a_deviation_is_no_wider_than_what_is_shown() -> None:
    said = Deviation(rule="F8", kind="missing", apis=[Api.CHAT], reason="ends without it")
    record = a_stream_without_end()

    def told(**changes: Any) -> list[str]:
        one = msgspec.structs.replace(said, **changes)
        dialect = Dialect(name="mine", title="Mine", version="1", recording="x", deviations=[one])
        return [line for line in problems(dialect, [record]) if "F8" in line]

    assert told() == []
    assert told(apis=[Api.CHAT, Api.COMPLETIONS]) == [
        "nothing shows it for completions: F8 (missing; chat, completions): ends without it"
    ]
    when = Circumstances(statuses=[200, 500])
    assert told(when=when)[0].startswith("nothing shows it for 500: F8")
    assert told(unproven=True) == ["it is shown, and called unproven: F8 (missing; chat): ends without it"]


def test_a_dialect_of_another_server_is_not_proven(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialect_proof.played_faults", lambda sample: ["missing-key", "error-leaks"])
    monkeypatch.setattr("dialect_proof.notices", lambda faults: [Noticed(one, "chat", []) for one in faults])
    vllm, mistralrs = load_dialect("vllm").dialect, load_dialect("mistralrs").dialect
    assert problems(mistralrs, recording("mistral.rs-0.9.2")) == []
    found = problems(vllm, recording("mistral.rs-0.9.2"))
    assert any("C7: " in line for line in found)
    assert any(line.startswith("nothing shows C15") for line in found)
    assert main(["mistralrs"]) == 0
    said = capsys.readouterr().out
    assert "0 problems" in said
    assert "2 faults under 1 dialects: 0 are hidden, 0 show nowhere" in said


def test_a_recording_that_is_cut_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recordings.FOLDER", tmp_path)
    (tmp_path / "cut.jsonl.xz").write_bytes((FOLDER / "vllm-0.32.0.jsonl.xz").read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut\.jsonl\.xz is not a whole recording"):
        list(recording("cut"))
    with pytest.raises(ValueError, match="is not a whole recording"):
        list(recording("none"))
    (tmp_path / "vllm-0.32.0.jsonl.xz").write_bytes(b"")
    assert main(["vllm"]) == 2
    assert main(["vlm"]) == 2
    cut, unknown = capsys.readouterr().err.splitlines()
    assert cut.startswith(f"dialect_proof: {tmp_path / 'vllm-0.32.0.jsonl.xz'} is not a whole recording")
    assert unknown.endswith("Did you mean 'vllm'?")


def test_a_recording_of_ones_own_lies_beside_its_dialect(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("recording: own\ndeviations:\n- {rule: C7, reason: so}\n")
    whole = (FOLDER / "vllm-0.32.0.jsonl.xz").read_bytes()
    kept = tmp_path / "own.jsonl.xz"
    kept.write_bytes(whole)
    assert [one.unproven for one in load_dialect(str(path)).waivers] == [False]
    first = lzma.decompress(whole).splitlines()[0]
    for held, said in (
        (b"", "it is empty"),
        (b"hello", "expected a file of xz, input format not supported"),
        (whole[:5000], "expected a file of xz, compressed file ended before"),
        (lzma.compress(b"\n" * 2**27), "it is larger than 64 MiB"),
        (lzma.compress(b'{"a": ' + b"[" * 100_000), "line 1: expected one request and its answer a line"),
        (lzma.compress(b"\n"), "it holds nothing"),
        (lzma.compress(first + b"\nhello\n"), "line 2: expected one request and its answer a line"),
        (lzma.compress(first + b"\n" + first.replace(b'"answer"', b'"anser"')), "missing required field `answer`"),
    ):
        kept.write_bytes(held)
        with pytest.raises(ProfileError) as told:
            load_dialect(str(path))
        assert "key 'recording': own.jsonl.xz is not a whole recording: " in str(told.value)
        assert said in str(told.value)
        assert "Hint: record it anew" in str(told.value)
    (tmp_path / "deep").mkdir()
    kept.write_bytes(whole)
    with pytest.raises(ProfileError, match=r"without a folder, got '\.\./own'"):
        load_dialect(str(write("recording: ../own\n", "deep/mine.yaml")))


def test_a_recording_lies_beside_the_file_that_a_link_leads_to(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("recording: own\n", "mine.yaml")
    (tmp_path / "own.jsonl.xz").write_bytes((FOLDER / "vllm-0.32.0.jsonl.xz").read_bytes())
    link = tmp_path / "elsewhere" / "linked.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    assert load_dialect(str(link)).dialect.recording == "own"


def test_a_dialect_may_have_the_name_of_the_one_that_it_extends(write: Callable[..., Path]) -> None:
    assert load_dialect(str(write("extends: vllm\n", "vllm.yaml"))).dialect.deviations == (
        load_dialect("vllm").dialect.deviations
    )


def test_a_gateway_stands_before_files_of_ones_own(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("extends: llama.cpp\n", "a+b.yaml")
    pair = load_dialect(f"litellm+{path}")
    assert (pair.dialect.name, pair.shipped) == ("litellm+mine", False)
    assert stands_on(load_dialect("litellm").dialect, load_dialect(str(path)).dialect)
    assert load_dialect(f"{path}+llama.cpp").dialect.name == "mine+llama.cpp"
    profile = tmp_path / "profile.yaml"
    for named, found in (("litellm+a+b.yaml", f"litellm+{path}"), ("a+b.yaml+llama.cpp", f"{path}+llama.cpp")):
        profile.write_text(f"title: Mine\ndialect: {named}\nurl: http://127.0.0.1:1\n")
        assert load_profile(str(profile)).dialect == found


def test_a_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes((HEAD + "offers: []\n").encode("utf-16"))
    with pytest.raises(ProfileError, match=r"is not UTF-8: .*Hint: save it as UTF-8"):
        load_dialect(str(path))


def test_each_source_is_named_and_who_notices() -> None:
    for one in shipped_dialects():
        assert one.evidence, one.file
        assert [each.rule for each in one.deviations if not each.noticed_by] == [], one.file


def quirk(text: str) -> str:
    return f"deviations:\n- {{rule: C7, reason: so, quirk: '{text}'}}\n"


def test_what_the_stand_in_cannot_do_is_told_where_a_file_is_checked(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    routes = "choices: {routes: {GET /here: {does: modles}}}\n"
    for text, said in (
        (quirk("role-repeatd"), "dialect mine, rule C7: unknown fault 'role-repeatd'; did you mean 'role-repeated'?"),
        (quirk("status:cod=500"), "dialect mine, rule C7: fault 'status' has no parameter 'cod'"),
        (routes, "dialect mine: the stand-in cannot do 'modles'; did you mean 'models'?"),
    ):
        path = str(write(text))
        assert command(["dialects", path]) == 1
        assert capsys.readouterr().err.startswith(f"rfinference: {said}")
        behind = f"litellm+{path}"
        assert command(["dialects", behind]) == 1
        assert capsys.readouterr().err.startswith(f"rfinference: {said}")
        assert command(["check", "http://127.0.0.1:1", "--plan", "--dialect", path]) == 2
        assert capsys.readouterr().err.startswith(f"rfinference: {said}")
    path = write(quirk("role-repeated"))
    assert command(["check", "http://127.0.0.1:1", "--plan", "--dialect", f"litellm+{path}"]) == 0
    capsys.readouterr()
    assert command(["dialects", str(path)]) == 0
    assert "mine 2.1: Mine, no evidence is given\n  C7: so (unproven)" in capsys.readouterr().out


def test_a_date_is_read(write: Callable[..., Path]) -> None:
    dialect = load_dialect(str(write("deviations:\n- {rule: C7, reason: so, until: 2026-12-24}\n"))).dialect
    assert dialect.waivers[0].until == date(2026, 12, 24)


def test_each_file_bears_its_name() -> None:
    for one in shipped_dialects():
        assert one.file == one.name or one.file.startswith(f"{one.name}-")
