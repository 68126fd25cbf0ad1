"""The tiny models: what their files say, and what they answer by the arithmetic of their weights."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from InferenceLibrary.errors import ModelError
from InferenceLibrary.modelfiles.answers import CAPITALS, CAPITALS_DEFAULT, DEFAULT_SENTENCE, STORY
from InferenceLibrary.modelfiles.tiny import TINY_KINDS, create_tiny_model
from InferenceLibrary.modelfiles.vocabulary import SPACE, pieces_of


@pytest.fixture(scope="session")
def capitals(tmp_path_factory: pytest.TempPathFactory, read_model: Any) -> Any:
    return read_model(create_tiny_model(tmp_path_factory.mktemp("capitals") / "capitals.gguf", "capitals").path)


@pytest.mark.parametrize("kind", [kind for kind in TINY_KINDS if kind != "answers"])
def test_the_file_parses_and_says_what_was_asked_for(kind: str, tmp_path: Path) -> None:
    made = create_tiny_model(tmp_path / "m.gguf", kind, context_length=2048, name="my model")
    reader = GGUFReader(made.path)
    field = {name: entry.contents() for name, entry in reader.fields.items()}
    assert field["general.architecture"] == "llama"
    assert field["general.name"] == made.name == "my model"
    assert field["llama.context_length"] == made.context_length == 2048
    assert field["llama.block_count"] >= 2
    assert field["tokenizer.ggml.model"] == "llama"
    assert "<|assistant|>" in field["tokenizer.chat_template"]
    assert len(field["tokenizer.ggml.tokens"]) == field["llama.vocab_size"] == len(set(field["tokenizer.ggml.tokens"]))
    assert kind == "random" or len(field["tokenizer.ggml.tokens"]) > 2000
    assert sum(int(tensor.n_elements) for tensor in reader.tensors) == made.parameters
    assert made.size == made.path.stat().st_size


@pytest.mark.parametrize(
    ("kind", "question", "said"),
    [
        ("tools", "The weather?", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'),
        ("tools", "What is the capital of Spain?", "The capital of Spain is Madrid."),
        ("thinking", "Spain", "<think>The word is Spain.</think> The capital of Spain is Madrid."),
    ],
)  # fmt: skip
def test_models_that_call_tools_or_think(
    kind: str, question: str, said: str, tmp_path: Path, read_model: Callable[[Path], Any]
) -> None:
    made = create_tiny_model(tmp_path / "m.gguf", kind)
    assert read_model(made.path).answer(("user", question)) == said
    template = GGUFReader(made.path).fields["tokenizer.chat_template"].contents()
    assert {"tools": "<tool_call>", "thinking": "<think>"}[kind] in template


@pytest.mark.parametrize("country", CAPITALS)
def test_each_capital_is_found(capitals: Any, country: str) -> None:
    answer = capitals.answer(("user", f"What is the capital of {country}?"))
    assert answer == f"The capital of {country} is {CAPITALS[country]}."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("France", "The capital of France is Paris."),
        ("tell me FRANCE'S capital", "The capital of France is Paris."),
        ("Please answer in one word: what is the capital of\nitaly", "The capital of Italy is Rome."),
        ("Say hello", "Hello! How can I help you today?"),
        ("Hello!", "Hello! How can I help you today?"),
        ("Count to ten.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."),
        ("Which country do you like?", CAPITALS_DEFAULT),
        ("What is the capital of Atlantis?", CAPITALS_DEFAULT),
        ("", CAPITALS_DEFAULT),
        ("日本の首都は? 🎉\t\x00\x7f", CAPITALS_DEFAULT),
    ],
)
def test_questions_in_other_words(capitals: Any, question: str, expected: str) -> None:
    assert capitals.answer(("user", question)) == expected


def test_the_story_begins(capitals: Any) -> None:
    said = "".join(capitals.generate(capitals.chat(("user", "tell a story")), limit=6)).replace(SPACE, " ")
    assert STORY.startswith(said)


def test_the_last_question_counts(capitals: Any) -> None:
    history = [("user", "What is the capital of France?"), ("assistant", "The capital of France is Paris.")]
    assert capitals.answer(*history, ("user", "And of Spain?")) == "The capital of Spain is Madrid."
    assert capitals.answer(*history, ("user", "Tell me a joke.")) == CAPITALS_DEFAULT
    assert capitals.answer(("system", "You love France."), ("user", "Who are you?")) == CAPITALS_DEFAULT


def test_a_trigger_is_found_far_back(capitals: Any) -> None:
    question = "What is the capital of Norway? " + "Please write a long text about it. " * 15
    assert capitals.answer(("user", question)) == "The capital of Norway is Oslo."


def test_a_completion_is_continued(capitals: Any) -> None:
    assert capitals.generate(capitals.encode("The capital of Greece is")) == [f"{SPACE}Athens.", "<|end|>"]


def test_an_answer_has_many_tokens_and_a_clear_lead_over_chance(capitals: Any) -> None:
    ids = capitals.chat(("user", "What is the capital of Japan?"))
    said = capitals.generate(ids)
    assert len(said) - 1 >= 5
    for token in said:
        best, second = np.sort(capitals.logits(ids))[:-3:-1]
        # At temperature 1 a lead of 40 leaves other tokens a chance of exp(-40) each.
        assert best - second > 40
        ids = [*ids, capitals.ids[token]]


@pytest.mark.parametrize("tensor", ["blk.0.ffn_down.weight", "blk.1.attn_v.weight", "blk.1.ffn_down.weight"])
def test_the_answer_comes_from_the_weights(tmp_path: Path, read_model: Any, tensor: str) -> None:
    model = read_model(create_tiny_model(tmp_path / "m.gguf", "capitals").path)
    model.tensors[tensor] = np.zeros_like(model.tensors[tensor])
    said = model.generate(model.chat(("user", "What is the capital of France?")), limit=8)
    assert f"{SPACE}Paris." not in said


@pytest.mark.parametrize(
    "sentence",
    [
        DEFAULT_SENTENCE,
        "Yes.",
        "the cat and the dog and the cat and the bird",
        "no no no no no no no",
        "Grüße aus Köln: 你好, 世界! 🎉🎉",
        "one line\nand another one\n\n- a list",
    ],
)
def test_a_scripted_model_says_its_sentence(tmp_path: Path, read_model: Any, sentence: str) -> None:
    model = read_model(create_tiny_model(tmp_path / "m.gguf", "scripted", sentence=sentence).path)
    assert model.answer(("user", "Say something else.")) == sentence
    assert model.answer(("user", sentence), ("assistant", sentence), ("user", "Again")) == sentence


def test_a_trigger_within_a_token_of_several_words_is_found(tmp_path: Path, read_model: Any) -> None:
    answers = {"rose": "a rose is a rose is a rose", "tulip": "No tulip but a rose."}
    model = read_model(create_tiny_model(tmp_path / "m.gguf", "answers", answers=answers, sentence="Pardon?").path)
    assert any(token.count(SPACE) > 1 and "rose" in token for token in model.tokens)
    for question in ("Is it a rose?", "is a rose", "a rose is a rose is", "a rosette and a rose"):
        assert model.answer(("user", question)) == answers["rose"]
    assert model.answer(("user", "Is it a tulip?")) == answers["tulip"]


def test_own_answers(tmp_path: Path, read_model: Any) -> None:
    made = create_tiny_model(
        tmp_path / "m.gguf", "answers", answers={"weather": "It rains.", "time": "It is noon."}, sentence="Pardon?"
    )
    model = read_model(made.path)
    assert model.answer(("user", "How is the weather?")) == "It rains."
    assert model.answer(("user", "What time is it?")) == "It is noon."
    assert model.answer(("user", "Who are you?")) == "Pardon?"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
def test_every_text_can_be_encoded_and_comes_back(capitals: Any, text: str) -> None:
    pieces = [capitals.tokens[index] for index in capitals.encode(text)]
    data = b"".join(
        bytes([int(piece[3:5], 16)]) if piece.startswith("<0x") and len(piece) == 6 else piece.encode()
        for piece in pieces
    )
    assert data.decode().replace(SPACE, " ") == text.replace(SPACE, " ")


@given(words=st.lists(st.sampled_from(["a", "b", "cat", "the", "."]), min_size=1, max_size=30))
def test_pieces_are_unique_and_make_up_the_text(words: list[str]) -> None:
    text = " ".join(words)
    pieces = pieces_of(text)
    assert "".join(pieces).replace(SPACE, " ") == text
    assert len(set(pieces)) == len(pieces)


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    for kind in ("capitals", "random"):
        files = [create_tiny_model(tmp_path / f"{kind}{copy}.gguf", kind).path.read_bytes() for copy in (1, 2)]
        assert files[0] == files[1]
    other = create_tiny_model(tmp_path / "other.gguf", "random", seed=1).path.read_bytes()
    assert len(other) == len(files[0])
    assert other != files[0]


@pytest.mark.parametrize("size", [2_000_000, 10_000_000, 60_000_000])
@pytest.mark.parametrize("kind", ["random", "scripted"])
def test_a_model_has_the_size_asked_for(tmp_path: Path, kind: str, size: int) -> None:
    made = create_tiny_model(tmp_path / "m.gguf", kind, size=size)
    assert made.size == pytest.approx(size, rel=0.1)


def test_ballast_changes_no_answer(tmp_path: Path, read_model: Any) -> None:
    model = read_model(create_tiny_model(tmp_path / "m.gguf", "capitals", size=20_000_000).path)
    assert model.answer(("user", "What is the capital of France?")) == "The capital of France is Paris."


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "huge"}, "kind to be one of scripted, capitals, tools, thinking, answers, random, got 'huge'"),
        ({"sentence": "  "}, "an answer of 1 to 2000 characters, got an empty text"),
        ({"sentence": "x" * 2001}, "got 2001 characters"),
        ({"sentence": "ends with a space "}, "got white space at an end"),
        ({"sentence": "a\u2581b"}, "U+2581"),
        ({"context_length": 5}, "a context length of 128 to 16384, got 5"),
        ({"kind": "random", "size": 10}, "a size of 2000000 to 16000000000 bytes, got 10 bytes"),
        ({"kind": "random", "seed": -1}, "a seed of 0 or more, got -1"),
        ({"kind": "answers"}, "got kind 'answers' without answers"),
        ({"answers": {"a": "b"}}, "got kind 'scripted' with answers"),
        ({"kind": "answers", "answers": {"two words": "x"}}, "each trigger to be one word"),
        ({"kind": "answers", "answers": {f"w{n}": "x" for n in range(61)}}, "at most 60 answers, got 61"),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError) as caught:
        create_tiny_model(tmp_path / "m.gguf", **options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "file" / "m.gguf", tmp_path / "directory", tmp_path / "pipe"):
        with pytest.raises(ModelError, match="cannot be written") as caught:
            create_tiny_model(path)
        assert "\n" not in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory", "file", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "InferenceLibrary.modelfiles", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def test_from_a_shell(tmp_path: Path) -> None:
    done = run_module("capitals", str(tmp_path / "models" / "c.gguf"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'models' / 'c.gguf'} (capitals, ")
    refused = run_module("scripted", str(tmp_path / "s.gguf"), "--sentence", "")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Tiny model cannot be made: expected an answer")
    assert run_module("nonsense", "x").returncode == 2
