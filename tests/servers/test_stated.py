"""What a profile says of capabilities, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.capabilities import Offer, State, capability
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.stated import stated


def offer(folder: Path, text: str, word: str) -> Offer:
    file = folder / "mine.yaml"
    file.write_text(f"title: mine\n{text}", encoding="utf-8")
    return stated(load_profile(str(file)), capability(word))


@pytest.mark.parametrize(
    ("text", "word", "state", "evidence"),
    [
        ("offers: [sleep]", "sleep", State.OFFERED, "its profile says so"),
        ("", "sleep", State.UNKNOWN, "its profile does not say so"),
        ("lacks: {sleep: it never sleeps}", "sleep", State.NOT_OFFERED, "it never sleeps"),
        ("", "checked top_n", State.OFFERED, "assumed of each server, and its profile says nothing else"),
        ("lacks: {checked top_n: it takes any}", "checked top_n", State.NOT_OFFERED, "it takes any"),
        ("", "program", State.NOT_OFFERED, "its profile has no section 'program'"),
        ("program: {command: [x]}", "program", State.OFFERED, "its profile says so"),
        ("offers: [terminal]", "terminal", State.NOT_OFFERED, "its profile has no section 'terminal'"),
        ("lacks: {terminal: only a web page}", "terminal", State.NOT_OFFERED, "only a web page"),
        ("metrics: {running: [a]}", "metrics", State.UNKNOWN, "its profile does not say so"),
        ("", "metrics", State.NOT_OFFERED, "its profile has no section 'metrics'"),
        ("start: {command: [x]}", "start", State.OFFERED, "its profile says so"),
        ("", "embeddings", State.UNKNOWN, "its profile does not say so"),
    ],
)
def test_each_state_has_its_reason(tmp_path: Path, text: str, word: str, state: State, evidence: str) -> None:
    found = offer(tmp_path, text, word)
    assert (found.name, found.state, found.evidence) == (word, state, evidence)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lacks: {fault injetion: typo}", r"'fault injetion' is not a capability\. Did you mean 'fault injection'\?"),
        (
            "offers: [sleep, ignore-eos]",
            r"offers\[1\]': 'ignore-eos' is not a capability\. Did you mean 'ignore_eos'\?",
        ),
        ("offers: [sleep]\nlacks: {sleep: never}", r"'sleep' stands under offers, too: expected one of both"),
        ("lacks: {sleep: ' '}", r"lacks\.sleep': expected the reason, got an empty text"),
    ],
)
def test_words_of_ones_own_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=rf"mine\.yaml:\d.*{message}"):
        offer(tmp_path, text, "sleep")
