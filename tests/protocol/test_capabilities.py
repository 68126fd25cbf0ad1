"""The closed list of capabilities: how its words are read, and what is refused."""

from __future__ import annotations

import pytest

from InferenceLibrary.protocol.capabilities import CAPABILITIES, CapabilityKind, capability


@pytest.mark.parametrize("word", ["rerank v2", "Rerank V2", "rerank-v2", " rerank  v2 ", "rerank_v2"])
def test_spelled_as_robot_spells_its_own_names(word: str) -> None:
    assert capability(word).name == "rerank v2"


def test_a_parameter_keeps_its_underscore() -> None:
    assert capability("ignore_eos").name == "ignore_eos"
    assert capability("ignore-eos").name == "ignore_eos"


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("fault injetion", "fault injection"), ("embedings", "embeddings"), ("tool-call", "tool calls")],
)
def test_another_word_is_refused_with_the_nearest(word: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"'{word}' is not a capability. Did you mean '{nearest}'"):
        capability(word)


def test_a_word_that_is_near_to_none_is_refused_without_one() -> None:
    with pytest.raises(ValueError, match=r"'xyzzy' is not a capability\. docs/capabilities\.md lists them"):
        capability("xyzzy")


def test_what_changes_the_server_is_never_found_out_by_a_request() -> None:
    assert not [one.name for one in CAPABILITIES.values() if one.kind is CapabilityKind.CONTROL and one.probe]


def test_each_is_said_in_a_sentence_and_found_out_in_one_way() -> None:
    for one in CAPABILITIES.values():
        assert one.meaning.endswith(".")
        assert not (one.probe and one.assumed), one.name
        assert one.kind is not CapabilityKind.ROUTE or one.probe, one.name
