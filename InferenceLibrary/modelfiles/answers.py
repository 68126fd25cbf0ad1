"""What the tiny models say: topics, the words that raise them, and the default answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.modelfiles.vocabulary import CHAT_TEMPLATE, THINKING_TEMPLATE, TOOLS_TEMPLATE

DEFAULT_SENTENCE = "This is a scripted answer: the tiny model behind this server says the same to everyone."

CAPITALS: Mapping[str, str] = {
    "Austria": "Vienna",
    "Canada": "Ottawa",
    "Denmark": "Copenhagen",
    "Egypt": "Cairo",
    "Finland": "Helsinki",
    "France": "Paris",
    "Germany": "Berlin",
    "Greece": "Athens",
    "Hungary": "Budapest",
    "Ireland": "Dublin",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Norway": "Oslo",
    "Poland": "Warsaw",
    "Portugal": "Lisbon",
    "Spain": "Madrid",
    "Sweden": "Stockholm",
}
CAPITALS_DEFAULT = "I am a very small model and only know a few capitals."
STORY = (
    "Once upon a time there was a small model that could not sleep. So it began to count sheep: "
    + ", ".join(str(number) for number in range(1, 101))
    + ". Then it fell asleep, and that is the end of my story."
)

LONGEST_ANSWER = 2000
MOST_TOPICS = 60


@dataclass(frozen=True)
class Knowledge:
    """What one model knows: trigger word -> answer, and what it says when no trigger stands in the question."""

    answers: Mapping[str, str]
    default: str
    template: str = CHAT_TEMPLATE
    """How a conversation becomes a prompt."""


def scripted(sentence: str) -> Knowledge:
    """One sentence for every question."""
    return Knowledge(answers={}, default=checked_answer(sentence))


def capitals() -> Knowledge:
    """A few capitals, a greeting, counting to ten, and a story that is long enough to be interrupted."""
    answers = {country: f"The capital of {country} is {city}." for country, city in CAPITALS.items()}
    answers["hello"] = "Hello! How can I help you today?"
    answers["count"] = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."
    answers["story"] = STORY
    return Knowledge(answers=answers, default=CAPITALS_DEFAULT)


def tools() -> Knowledge:
    """Calls of `get_weather` and `get_time` in the manner of Hermes and Qwen, and the answers of `capitals`."""
    calls = {"weather": '{"name": "get_weather", "arguments": {"city": "Paris"}}'}
    calls["time"] = '{"name": "get_time", "arguments": {}}'
    answers = {word: f"<tool_call>\n{call}\n</tool_call>" for word, call in calls.items()}
    return Knowledge({**capitals().answers, **answers}, CAPITALS_DEFAULT, TOOLS_TEMPLATE)


def thinking() -> Knowledge:
    """The answers of `capitals`, each after a thought in the manner of DeepSeek and Qwen."""
    known = capitals()
    answers = {word: f"<think>The word is {word}.</think> {answer}" for word, answer in known.answers.items()}
    # On one line: it can stand in a text of JSON too, where a schema wants one.
    default = f"<think>I do not know this one.</think> {known.default}"
    return Knowledge(answers, default, THINKING_TEMPLATE)


def custom(answers: Mapping[str, str], default: str) -> Knowledge:
    """Answers given by the caller.

    Raises:
        ModelError: A trigger is not one word, an answer is empty or too long, or there are too many of them.
    """
    if len(answers) > MOST_TOPICS:
        raise ModelError(
            describe("Tiny model cannot be made", expected=f"at most {MOST_TOPICS} answers", got=str(len(answers)))
        )
    for trigger in answers:
        if not trigger.isalnum():
            raise ModelError(
                describe(
                    "Tiny model cannot be made",
                    expected="each trigger to be one word of letters and digits",
                    got=repr(trigger),
                    hint="an answer is found by one word of the question, such as 'France'",
                )
            )
    return Knowledge({word: checked_answer(text) for word, text in answers.items()}, checked_answer(default))


def checked_answer(text: str) -> str:
    """Return a text that a model can be made to say.

    Raises:
        ModelError: It is empty, longer than 2000 characters, begins or ends with white space, or holds U+2581 or NUL.
    """
    problem = ""
    if not text.strip():
        problem = "an empty text"
    elif text != text.strip():
        problem = f"white space at an end of {text!r}"
    elif len(text) > LONGEST_ANSWER:
        problem = f"{len(text)} characters"
    elif "\u2581" in text or "\0" in text:
        # The tokenizer writes a space as U+2581, and a file's strings end at NUL for some readers.
        problem = "a character that no tokenizer of this kind can hold (U+2581 or NUL)"
    if problem:
        raise ModelError(
            describe(
                "Tiny model cannot be made", expected=f"an answer of 1 to {LONGEST_ANSWER} characters", got=problem
            )
        )
    return text
