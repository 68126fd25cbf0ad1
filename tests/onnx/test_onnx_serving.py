"""Answers that share their steps: the same as alone, in any company; who leaves is out at the next step."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_gpu import CPU, CUDA, FakeGpu

from InferenceLibrary.errors import ModelError
from InferenceLibrary.onnx.environment import GpuInference
from InferenceLibrary.onnx.language import serving
from InferenceLibrary.onnx.language.embedding import create_embedding_model, embedding_model
from InferenceLibrary.onnx.language.generate import generate
from InferenceLibrary.onnx.language.make import TRAINED, create_language_model
from InferenceLibrary.onnx.language.model import language_model
from InferenceLibrary.onnx.language.sampling import Sampling
from InferenceLibrary.onnx.language.serving import BatchedAnswer, Engine, serve_model
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions

LIMIT = 60.0


class Asked:
    """An answer, and the means to wait for its tokens."""

    def __init__(self, engine: Engine, question: str, *, at: int = 0, **options: Any) -> None:
        self.reached = threading.Event()
        self.ended = threading.Event()
        self._at = at
        sampling = options.pop("sampling", Sampling())
        prompt = engine.model.tokenizer.chat([{"role": "user", "content": question}])
        self.answer = BatchedAnswer(prompt, sampling, options.pop("max_tokens", 40), news=self._news, **options)
        engine.submit(self.answer)

    def _news(self) -> None:
        if self._at and len(self.answer.tokens) >= self._at:
            self.reached.set()
        if self.answer.done:
            self.ended.set()

    def result(self) -> BatchedAnswer:
        assert self.ended.wait(LIMIT), "no end"
        if self.answer.error is not None:
            raise self.answer.error
        return self.answer

    @property
    def text(self) -> str:
        answer = self.result()
        return "".join(token.text for token in answer.tokens) + answer.rest


@pytest.fixture
def engine() -> Any:
    made = Engine(language_model(load_model(TRAINED, LoadOptions(threads=1))), places=4)
    yield made
    made.close()


QUESTIONS = [
    "What is the capital of France?",
    "Count to 20.",
    "Hello",
    "Please tell me the capital of Portugal.",
    "Count to 7.",
    "Why do people sleep?",
    "Which city is the capital of Sweden?",
    "Hi",
]


def test_answers_in_a_batch_are_those_of_alone(engine: Engine) -> None:
    asked = [Asked(engine, question) for question in QUESTIONS]
    for question, one in zip(QUESTIONS, asked, strict=True):
        prompt = engine.model.tokenizer.chat([{"role": "user", "content": question}])
        alone = generate(engine.model, prompt, max_tokens=40)
        assert (one.text, one.answer.finish) == (alone.text, alone.finish_reason)
        assert len(one.answer.tokens) == len(alone.tokens)
    assert engine.largest == 4, "the places are used, and no more"
    assert engine.rows_computed > engine.steps * 1.5, "steps are shared"


def test_who_leaves_is_out_at_the_next_step(engine: Engine) -> None:
    forever = {"max_tokens": 3000, "ignore_eos": True}
    long = [Asked(engine, "Count to 60.", at=5, **forever) for _ in range(4)]
    waiting = Asked(engine, "What is the capital of Italy?", at=1)
    for one in long:
        assert one.reached.wait(LIMIT)
    assert not waiting.answer.tokens, "all places are taken"
    # Counted in the engine's own thread: nothing is taken after the step in which it was cancelled.
    left = long[1]
    left.answer.cancel()
    had = len(left.answer.tokens)
    assert waiting.text == "The capital of Italy is Rome."
    assert len(left.answer.tokens) <= had + 1
    assert not any(one.answer.done for one in long), "the place was freed by who left, not by an end"
    for one in long:
        one.answer.cancel()
    for _ in range(3):
        assert Asked(engine, "Hello").text.startswith("Hello!")
    assert engine.running <= 1


def test_company_changes_nothing_while_others_come_and_go(engine: Engine) -> None:
    long = Asked(engine, "Count to 60.", at=10, max_tokens=200)
    assert long.reached.wait(LIMIT)
    others = [Asked(engine, question, max_tokens=count) for count, question in enumerate(QUESTIONS, start=2)]
    for one in others:
        one.result()
    assert long.text.startswith(", ".join(map(str, range(1, 50))))


def test_seeds_stops_and_probabilities_hold_in_a_batch(engine: Engine) -> None:
    hot = Sampling(temperature=1.0, seed=7)
    same = [Asked(engine, "Name a color.", sampling=hot) for _ in range(6)]
    assert len({one.text for one in same}) == 1
    many = {Asked(engine, "Name a color.", sampling=Sampling(temperature=1.0, seed=seed)).text for seed in range(15)}
    assert len(many) > 2
    stopped = Asked(engine, "What is the capital of France?", stops=["Par"])
    assert (stopped.text, stopped.answer.stopped_by) == ("The capital of France is ", "Par")
    told = Asked(engine, "Name a color.", top_logprobs=3).result()
    for token in told.tokens:
        assert len(token.top) == 3
        assert token.top[0] == (token.raw, token.logprob), "greedy takes the likeliest"
        assert [value for _, value in token.top] == sorted((value for _, value in token.top), reverse=True)
    assert sum(np.exp([value for _, value in told.tokens[0].top])) < 0.9


def test_what_does_not_fit_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(ModelError, match="do not fit into the context"):
        Asked(engine, "Hello", max_tokens=5000)
    with pytest.raises(ModelError, match="temperature cannot be used"):
        Asked(engine, "Hello", sampling=Sampling(temperature=-1))


def test_a_failing_step_fails_its_answers_and_no_others(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.model.step
    long = Asked(engine, "Count to 60.", at=3, max_tokens=3000, ignore_eos=True)
    assert long.reached.wait(LIMIT)

    def fail(*_args: Any) -> Any:
        raise ModelError("out of memory")

    monkeypatch.setattr(engine.model, "step", fail)
    with pytest.raises(ModelError, match="out of memory"):
        long.result()
    with pytest.raises(ModelError, match="out of memory"):
        Asked(engine, "Hello").result()
    monkeypatch.setattr(engine.model, "step", whole)
    assert Asked(engine, "Hello").text.startswith("Hello!")


def test_a_closed_engine_takes_nothing() -> None:
    engine = Engine(language_model(load_model(TRAINED)), places=1)
    engine.close()
    with pytest.raises(ModelError, match="The engine is closed"):
        Asked(engine, "Hello")
    with pytest.raises(ModelError, match="is closed"):
        engine.model.model.session  # noqa: B018 - that it raises is meant


@pytest.mark.parametrize(
    ("device", "found", "asked"),
    [
        ("cpu", GpuInference(), [(CPU, {})]),
        ("auto", GpuInference("no driver. Hint: buy one"), [(CPU, {})]),
        ("auto", GpuInference(), [(CUDA, {"device_id": "0", "use_tf32": "0"}), (CPU, {})]),
        ("cuda", GpuInference("not asked"), [(CUDA, {"device_id": "0", "use_tf32": "0"}), (CPU, {})]),
    ],
)
def test_the_gpu_is_used_where_there_is_one(
    device: str, found: GpuInference, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    monkeypatch.setattr(serving, "gpu_inference", lambda: found)
    engine, where = serve_model(str(TRAINED), places=2, device=device, threads=1)
    try:
        assert gpu.asked == [asked]
        assert where.startswith("CUDA" if asked[0][0] == CUDA else "CPU")
        assert ("(no driver)" in where) == (found.reason.startswith("no driver"))
        assert Asked(engine, "What is the capital of France?").text == "The capital of France is Paris."
    finally:
        engine.close()
    assert gpu.open == 0


def test_embeddings_say_what_is_alike(tmp_path: Path) -> None:
    model = embedding_model(load_model(create_embedding_model(tmp_path / "e.onnx")))
    texts = ["The dog barks.", "A puppy sleeps.", "Paris is a city in France.", "The dog barks.", "zzyzx"]
    vectors = np.array(model.embed(texts))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2]
    assert likeness[0, 3] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(model.embed([texts[0]])[0], vectors[0], atol=1e-6, err_msg="the batch changes nothing")
    assert model.dimensions == 64
    with pytest.raises(ModelError, match="is not an embedding model of this library"):
        embedding_model(load_model(TRAINED))
    with pytest.raises(ModelError, match="dimensions cannot be used"):
        create_embedding_model(tmp_path / "e.onnx", dimensions=2)
    assert create_language_model("embedding", tmp_path / "f.onnx").read_bytes() == (tmp_path / "e.onnx").read_bytes()
