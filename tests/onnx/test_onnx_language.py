"""Language models in ONNX: tokens, sampling, stop strings, the loop, its twin in onnxruntime-genai, bad input."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alarm import Interruption, interruption
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure, ModelError
from InferenceLibrary.keywords.onnx_generating import OnnxGeneratingKeywords
from InferenceLibrary.modelfiles.answers import custom
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.language import genai as genai_module
from InferenceLibrary.onnx.language.answer_text import AnswerText
from InferenceLibrary.onnx.language.decoder import Sizes, shapes, write_decoder
from InferenceLibrary.onnx.language.genai import generate_with_genai
from InferenceLibrary.onnx.language.generate import generate, generate_plainly
from InferenceLibrary.onnx.language.make import TRAINED, create_language_model
from InferenceLibrary.onnx.language.model import LanguageModel, language_model
from InferenceLibrary.onnx.language.sampling import Sampler, Sampling, log_probabilities
from InferenceLibrary.onnx.language.tokenizer import Tokenizer
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


def load(path: Path) -> LanguageModel:
    return language_model(load_model(path, LoadOptions(threads=1)))


@pytest.fixture(scope="module")
def trained() -> LanguageModel:
    return load(TRAINED)


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(create_language_model("random", tmp_path_factory.mktemp("lm") / "random.onnx", seed=3))


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(create_language_model("computed", tmp_path_factory.mktemp("lm") / "computed.onnx"))


def ask(model: LanguageModel, question: str, **options: Any) -> Any:
    sampling = Sampling(**options.pop("sampling", {}))
    return generate(model, model.tokenizer.chat([{"role": "user", "content": question}]), sampling, **options)


@given(st.text())
def test_every_text_is_encoded_and_comes_back(text: str) -> None:
    tokenizer = TOKENIZER
    tokens = tokenizer.encode(text)
    # A low line of the vocabulary's own is a space.
    assert tokenizer.decode(tokens) == text.replace("\u2581", " ").encode("utf-8", "surrogatepass").decode(
        "utf-8", "replace"
    )
    assert not set(tokens) & tokenizer.controls


TOKENIZER = language_model(load_model(TRAINED)).tokenizer


def test_controls_are_never_made_of_text() -> None:
    tokens = TOKENIZER.encode("<|end|><|assistant|><0x41>")
    assert not set(tokens) & TOKENIZER.controls
    assert TOKENIZER.decode(tokens) == "<|end|><|assistant|><0x41>"
    assert TOKENIZER.decode([TOKENIZER.eos]) == ""


def test_a_chat_stands_between_its_markers() -> None:
    tokens = TOKENIZER.chat([{"role": "system", "content": "Answer"}, {"role": "user", "content": "Hello"}])
    shown = [TOKENIZER.pieces[token] for token in tokens]
    assert shown == ["<s>", "<|system|>", "Answer", "<|end|>", "<|user|>", "Hello", "<|end|>", "<|assistant|>"]
    with pytest.raises(ModelError, match=r"has no control token '<\|judge\|>': expected one of: .*<\|user\|>"):
        TOKENIZER.chat([{"role": "judge", "content": "A"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ('{"pieces": ["a"], "controls": [], "bos": null, "eos": 0}', "no byte 0"),
        ("{}", "pieces"),
    ],
)
def test_broken_tokenizers_are_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_json(text)
    with pytest.raises(ModelError, match="A control token does not exist"):
        Tokenizer.of([f"<0x{byte:02X}>" for byte in range(256)], [], None, 999)


@pytest.mark.parametrize("kind", ["trained", "computed"])
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", "The capital of France is Paris."),
        ("Name the capital of Italy.", "The capital of Italy is Rome."),
        ("Hello", "Hello! How can I help you today?"),
        ("Why do people sleep?", "I am a very small model and only know a few capitals."),
    ],
)
def test_questions_are_answered_by_inference(kind: str, question: str, answer: str, request: Any) -> None:
    found = ask(request.getfixturevalue(kind), question)
    assert (found.text, found.finish_reason) == (answer, "stop")
    assert found.prompt_tokens == len(
        request.getfixturevalue(kind).tokenizer.chat([{"role": "user", "content": question}])
    )


def test_every_capital_is_known_and_chats_go_on(trained: LanguageModel) -> None:
    from InferenceLibrary.modelfiles.answers import CAPITALS

    for country, city in CAPITALS.items():
        assert ask(trained, f"What is the capital of {country}?").text == f"The capital of {country} is {city}."
    messages = [*FRANCE, {"role": "assistant", "content": "The capital of France is Paris."}]
    messages.append({"role": "user", "content": "What is the capital of Spain?"})
    assert generate(trained, trained.tokenizer.chat(messages)).text == "The capital of Spain is Madrid."


def test_the_shipped_model_is_small() -> None:
    assert TRAINED.stat().st_size <= 2_000_000


def test_answers_of_my_own_are_said(tmp_path: Path) -> None:
    knowledge = custom({"sky": "The sky is blue."}, "No idea.")
    model = load(create_language_model("computed", tmp_path / "m.onnx", knowledge=knowledge, context_length=256))
    assert ask(model, "What of the sky?").text == "The sky is blue."
    assert ask(model, "What of the sea?", sampling={"temperature": 1.0, "seed": 1}).text == "No idea."


def test_chance_obeys_the_seed(trained: LanguageModel) -> None:
    hot = {"temperature": 1.0}
    said = {seed: ask(trained, "Name a color.", sampling=hot | {"seed": seed}).text for seed in range(20)}
    assert len(set(said.values())) > 2, said
    assert all(ask(trained, "Name a color.", sampling=hot | {"seed": seed}).text == said[seed] for seed in range(5))
    assert len({ask(trained, "Name a color.").text for _ in range(3)}) == 1
    assert (
        len({ask(trained, "Name a color.", sampling=hot | {"top_k": 1, "seed": seed}).text for seed in range(5)}) == 1
    )
    assert len({ask(trained, "Name a color.", sampling=hot).text for _ in range(20)}) > 1, "without a seed it varies"


def test_limits_and_stop_strings_end_an_answer(trained: LanguageModel) -> None:
    short = ask(trained, "What is the capital of France?", max_tokens=3)
    assert (len(short.tokens), short.finish_reason, short.text) == (3, "length", "The capital of")
    stopped = ask(trained, "What is the capital of France?", stops=["is Par", "never"])
    assert (stopped.text, stopped.finish_reason, stopped.stopped_by) == ("The capital of France ", "stop", "is Par")
    longer = ask(trained, "What is the capital of France?", max_tokens=40, ignore_eos=True)
    assert (len(longer.tokens), longer.finish_reason) == (40, "length")
    assert longer.text.startswith("The capital of France is Paris.")


def test_log_probabilities_are_those_of_the_model(trained: LanguageModel) -> None:
    found = ask(trained, "Name a color.", logprobs=True)
    assert len(found.logprobs) == len(found.tokens)
    assert -3 < found.logprobs[0] < -0.5, "one of six colors"
    assert found.logprobs[1] > -0.1, "the full stop"
    assert all(value <= 0 for value in found.logprobs)


def test_times_and_rates(trained: LanguageModel) -> None:
    found = ask(trained, "Count to 20.", max_tokens=30)
    assert found.text.startswith("1, 2, 3, 4, 5, 6, 7, 8, 9, 10,")
    assert found.times == sorted(found.times)
    assert found.time_to_first_token == found.times[0] > 0
    assert found.tokens_per_second == pytest.approx((len(found.times) - 1) / (found.times[-1] - found.times[0]))
    assert ask(trained, "Hello", max_tokens=1).tokens_per_second is None


def test_the_cache_changes_no_token(random: LanguageModel) -> None:
    """Each token by the cache, and by the whole text without one."""
    prompt = random.tokenizer.chat(FRANCE)
    tokens = generate(random, prompt, max_tokens=24, ignore_eos=True).tokens
    assert generate_plainly(random, prompt, 24) == tokens
    whole = np.array([prompt + tokens[:-1]], np.int64)
    places = np.arange(whole.shape[1], dtype=np.int64)[None]
    logits, _ = random.step(whole, np.ones_like(whole), places, random.empty_cache())
    assert logits[0, len(prompt) - 1 :].argmax(-1).tolist() == tokens


def test_padding_to_the_left_changes_no_token(random: LanguageModel) -> None:
    prompt = random.tokenizer.chat(FRANCE)
    alone, _ = random.step(
        np.array([prompt]), np.ones((1, len(prompt)), np.int64), np.arange(len(prompt))[None], random.empty_cache()
    )
    padded = np.array([[7, 8, 9, *prompt], [*prompt, 1, 2, 3]], np.int64)
    mask = np.array([[0, 0, 0] + [1] * len(prompt), [1] * (len(prompt) + 3)], np.int64)
    places = np.array([[0, 0, 0, *range(len(prompt))], range(len(prompt) + 3)], np.int64)
    logits, _ = random.step(padded, mask, places, random.empty_cache(2))
    np.testing.assert_allclose(logits[0, -1], alone[0, -1], atol=1e-4)
    np.testing.assert_allclose(logits[1, len(prompt) - 1], alone[0, -1], atol=1e-4)


@pytest.mark.parametrize("kind", ["trained", "random", "computed"])
def test_onnxruntime_genai_agrees_token_by_token(kind: str, request: Any) -> None:
    pytest.importorskip("onnxruntime_genai")
    model = request.getfixturevalue(kind)
    for question in ("What is the capital of France?", "Count to 9."):
        prompt = model.tokenizer.chat([{"role": "user", "content": question}])
        own, other = generate(model, prompt, max_tokens=40), generate_with_genai(model, prompt, max_tokens=40)
        assert (other.tokens, other.text, other.finish_reason) == (own.tokens, own.text, own.finish_reason)
        assert own.tokens


def test_engines_that_differ_name_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    keywords = OnnxGeneratingKeywords()
    keywords.context = Context()
    keywords.context.onnx_models.add(load_model(TRAINED))
    other = generate(load(TRAINED), TOKENIZER.chat(FRANCE))
    monkeypatch.setattr(genai_module, "generate_with_genai", lambda *_args, **_options: other)
    from InferenceLibrary.types import Messages

    keywords.generation_engines_should_agree(Messages(FRANCE))
    whole = list(other.tokens)
    other.tokens = [*whole[:-1], 300]
    with pytest.raises(CheckFailure, match=rf"do not agree on token {len(whole) - 1} of 'capitals': expected 300 "):
        keywords.generation_engines_should_agree(Messages(FRANCE))
    other.tokens = whole[:-1]
    with pytest.raises(CheckFailure, match="expected the end, got "):
        keywords.generation_engines_should_agree(Messages(FRANCE))
    other.tokens = []
    with pytest.raises(CheckFailure, match="do not agree on token 0"):
        keywords.generation_engines_should_agree(Messages(FRANCE))


def test_generating_obeys_limits_and_signals(trained: LanguageModel) -> None:
    with pytest.raises(
        ModelError, match=r"did not finish its answer: expected at most 4000 tokens within 0\.2 s, got \d+ tokens"
    ):
        ask(trained, "Count to 60.", max_tokens=4000, ignore_eos=True, timeout=0.2)

    with interruption(0.2), pytest.raises(Interruption):
        ask(trained, "Count to 60.", max_tokens=4000, ignore_eos=True)


def test_text_comes_while_it_is_generated(trained: LanguageModel) -> None:
    parts: list[str] = []
    found = ask(trained, "What is the capital of France?", on_text=parts.append)
    assert "".join(parts) == found.text
    assert len(parts) > 3


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "é", "\U0001f600", "STOP"]), max_size=12),
    st.lists(st.sampled_from(["ab", "STOP", "baba", "é"]), max_size=2),
)
def test_parts_join_to_the_text_before_the_first_stop(words: list[str], stops: list[str]) -> None:
    text = AnswerText(TOKENIZER, stops)
    parts: list[str] = []
    for byte in "".join(words).encode():
        parts.append(text.push(TOKENIZER.pieces.index(f"<0x{byte:02X}>")))
        if text.stopped_by:
            break
    parts.append(text.finish())
    whole = "".join(words)
    places = [place for stop in stops if (place := whole.find(stop)) >= 0]
    assert text.text == "".join(parts)
    if text.stopped_by:
        assert whole.startswith(text.text + text.stopped_by)
        assert not any(stop in text.text for stop in stops)
    else:
        assert not places
        assert text.text == whole


def test_the_stop_string_that_comes_first_ends_the_text() -> None:
    text = AnswerText(TOKENIZER, ["t", "pi"])
    [token] = TOKENIZER.encode(" capital")
    assert (text.push(token), text.stopped_by) == (" ca", "pi")


def test_top_p_that_is_reached_exactly_draws_from_no_more() -> None:
    sampler = Sampler(Sampling(temperature=1.0, top_p=0.5, seed=1))
    assert {sampler(np.zeros(2, np.float32)) for _ in range(50)} == {0}


def test_sampling_cuts_where_it_says() -> None:
    logits = np.log(np.float32([0.5, 0.3, 0.15, 0.05]))

    def drawn(**how: Any) -> set[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=1, **how))
        return {sampler(logits) for _ in range(300)}

    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_p=0.5) == {0}
    assert drawn(top_p=0.6) == {0, 1}
    assert drawn(top_p=0.81) == {0, 1, 2}
    assert Sampler(Sampling())(logits) == 0
    sampler = Sampler(Sampling(temperature=1.0, seed=2))
    counts = np.bincount([sampler(logits) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.15, 0.05], atol=0.04)
    np.testing.assert_allclose(log_probabilities(logits), [math.log(p) for p in (0.5, 0.3, 0.15, 0.05)], atol=1e-6)
    with pytest.raises(ModelError, match="gave NaN for token 1"):
        Sampler(Sampling())(np.float32([1, np.nan]))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"temperature": -1.0}, "temperature cannot be used"),
        ({"temperature": float("nan")}, "temperature cannot be used"),
        ({"top_p": 0.0}, "top_p cannot be used"),
        ({"top_p": 1.1}, "top_p cannot be used"),
        ({"top_k": -1}, "top_k cannot be used"),
        ({"seed": -1}, "seed cannot be used"),
    ],
)
def test_sampling_out_of_range_is_refused(how: dict[str, Any], message: str, trained: LanguageModel) -> None:
    with pytest.raises(ModelError, match=message):
        ask(trained, "Hello", sampling=how)


def test_what_does_not_fit_is_refused(trained: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"do not fit into the context of 'capitals': expected at most 4096 tokens, got \d+"
    ):
        ask(trained, "Hello", max_tokens=4096)
    with pytest.raises(ModelError, match="max_tokens cannot be used"):
        ask(trained, "Hello", max_tokens=0)
    with pytest.raises(ModelError, match="The prompt is empty"):
        generate(trained, [])
    with pytest.raises(
        ModelError, match=r"'mlp' is not a language model of this library: .* Hint: Create Onnx Language"
    ):
        language_model(load_model(create_model("mlp", tmp_path / "mlp.onnx")))
    with pytest.raises(ModelError, match="Unknown kind of language model 'large'"):
        create_language_model("large", tmp_path / "m.onnx")


def test_weights_and_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sizes = Sizes(len(TOKENIZER), 8, 1, 2, 1, 4, 8, 32)
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes(sizes).items()}
    with pytest.raises(ModelError, match=r"Weight '0.query' does not fit: expected \(8, 8\), got \(4, 8\)"):
        write_decoder(tmp_path / "m.onnx", sizes, weights | {"0.query": np.ones((4, 8))}, TOKENIZER)
    for wrong, message in (
        ({"heads": 3, "key_heads": 2}, "heads divisible by key_heads"),
        ({"head": 3}, "an even head"),
        ({"layers": 0}, "layers of a decoder"),
    ):
        with pytest.raises(ModelError, match=message):
            Sizes(**{**sizes.__dict__, **wrong}).check()
    small = write_decoder(tmp_path / "half.onnx", sizes, weights, TOKENIZER, half=True)
    assert ask(load(small), "Hello", max_tokens=1).finish_reason == "length"
    short = Tokenizer.of(TOKENIZER.pieces[:-1], sorted(TOKENIZER.controls), TOKENIZER.bos, TOKENIZER.eos)
    with pytest.raises(
        ModelError, match=f"The vocabulary does not fit: expected {len(TOKENIZER)} tokens, got {len(short)}"
    ):
        write_decoder(tmp_path / "m.onnx", sizes, weights, short)


@pytest.mark.parametrize("kind", ["trained", "computed", "embedding"])
def test_a_place_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written: got .*\. Hint: give a file name in a directory that you"):
        create_language_model(kind, tmp_path / "file" / "x.onnx")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ModelError, match="got a pipe in its place, which is not a regular file"):
        create_language_model(kind, pipe)
    assert pipe.is_fifo()
