"""Several models working on one answer. Every generation is made and counted, and the scores are computed from them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output

MODES = ("single", "critique", "debate", "ensemble", "pipeline")
TASKS = ("general", "chat", "code", "reasoning", "creative", "summarization", "analysis")
# The role that a task wants from the model that joins the first one.
_ROLES = {"code": "coder", "reasoning": "thinker", "analysis": "thinker", "summarization": "fast"}
_NEEDED = {"single": 1, "critique": 2, "debate": 2, "ensemble": 2, "pipeline": 2}
_MOST_IN_ENSEMBLE = 3
_MOST_POINTS = 5

Generate = Callable[[str, str], "Generation"]


@dataclass(slots=True)
class Generation:
    """One text by one model. `first` and `gaps` are its times in seconds."""

    model: str
    prompt_tokens: int
    output: Output
    first: float
    gaps: list[float] | float

    @property
    def seconds(self) -> float:
        rest = max(0, self.output.count - 1)
        return self.first + (sum(self.gaps[:rest]) if isinstance(self.gaps, list) else self.gaps * rest)


@dataclass(slots=True)
class Outcome:
    """What came of it: the answer, all generations, the seconds before the answer began, and the metadata."""

    answer: Generation
    generations: list[Generation]
    before: float
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.before + self.answer.seconds


def needed(mode: str) -> int:
    """Return how many models a mode needs."""
    return _NEEDED[mode]


def choose(first: str, loaded: list[tuple[str, tuple[str, ...]]], mode: str, task: str) -> list[str]:
    """Return the models for a mode: the one asked for, then those whose role fits the task, then the others."""
    wanted = _ROLES.get(task, "")
    others = [name for name, _ in sorted(loaded, key=lambda item: wanted not in item[1]) if name != first]
    most = {"single": 1, "critique": 2, "debate": 2, "ensemble": _MOST_IN_ENSEMBLE, "pipeline": 3}[mode]
    return [first, *others][:most]


def orchestrate(mode: str, models: list[str], prompt: str, generate: Generate) -> Outcome:
    """Have the models work on a prompt; `generate` makes one text of one model."""
    outcome = _WORK[mode](models, prompt, generate)
    used = list(dict.fromkeys(item.model for item in outcome.generations))
    milliseconds = round(outcome.seconds * 1000, 3)
    outcome.metadata = {"mode": mode, "models_used": used, "total_inference_time_ms": milliseconds, **outcome.metadata}
    return outcome


def _single(models: list[str], prompt: str, generate: Generate) -> Outcome:
    only = generate(models[0], prompt)
    return Outcome(only, [only], 0.0, {"rounds": 1})


def _critique(models: list[str], prompt: str, generate: Generate) -> Outcome:
    draft = generate(models[0], prompt)
    final = generate(models[1], f"{prompt}\nCriticize this answer and give a better one:\n{draft.output.text}")
    score = round(agreement([draft, final]), 4)
    return Outcome(final, [draft, final], draft.seconds, {"rounds": 1, "final_score": score})


def _debate(models: list[str], prompt: str, generate: Generate) -> Outcome:
    sides = [generate(model, prompt) for model in models[:2]]
    texts = "\n".join(side.output.text for side in sides)
    final = generate(models[0], f"{prompt}\nReconcile these answers:\n{texts}")
    score = round(agreement(sides), 4)
    metadata = {"rounds": 1, "agreement_score": score, "confidence": score, "disagreement_points": _differences(sides)}
    return Outcome(final, [*sides, final], max(side.seconds for side in sides), metadata)


def _ensemble(models: list[str], prompt: str, generate: Generate) -> Outcome:
    voices = [generate(model, prompt) for model in models]
    best = max(voices, key=lambda voice: sum(agreement([voice, other]) for other in voices))
    score = round(agreement(voices), 4)
    metadata = {"rounds": 1, "agreement_score": score, "disagreement_points": _differences(voices)}
    slowest = max(voice.seconds for voice in voices)
    return Outcome(best, voices, slowest - best.seconds, metadata)


def _pipeline(models: list[str], prompt: str, generate: Generate) -> Outcome:
    steps = ("draft", "refine", "validate")
    made: list[Generation] = []
    text = prompt
    for place, step in enumerate(steps):
        made.append(generate(models[place % len(models)], text))
        text = f"{prompt}\n{step}:\n{made[-1].output.text}"
    before = sum(item.seconds for item in made[:-1])
    return Outcome(made[-1], made, before, {"rounds": len(steps), "completed_steps": list(steps)})


_WORK = {
    "single": _single,
    "critique": _critique,
    "debate": _debate,
    "ensemble": _ensemble,
    "pipeline": _pipeline,
}


def _words(item: Generation) -> set[str]:
    return set(re.findall(r"\w+", item.output.text.lower()))


def agreement(items: list[Generation]) -> float:
    """Return how alike texts are, 0 to 1: the words that all have, of those that any has."""
    words = [_words(item) for item in items]
    every = set.union(*words)
    return len(set.intersection(*words)) / len(every) if every else 1.0


def _differences(items: list[Generation]) -> list[str]:
    """Return sentences that only one of the texts has."""
    sentences = [re.findall(r"[^.!?]+[.!?]?", item.output.text) for item in items]
    points = []
    for place, own in enumerate(sentences):
        others = {text.strip() for other, texts in enumerate(sentences) if other != place for text in texts}
        points += [
            f"{items[place].model}: {text.strip()}" for text in own if text.strip() and text.strip() not in others
        ]
    return points[:_MOST_POINTS]
