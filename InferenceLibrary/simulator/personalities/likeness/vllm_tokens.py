"""What vLLM tells of tokens: their ids; and prompts that it cuts or repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.personalities.likeness.asks import messages_of, text_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.answers.tokens import Vocabulary


class Tokens:
    """Knows the tokens of requests and answers."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def cut(self, data: dict[str, Any], ask: Ask) -> None:
        """Let a prompt have no more tokens than `truncate_prompt_tokens`."""
        most = data.get("truncate_prompt_tokens")
        if type(most) is int and 0 < most < ask.prompt_tokens:
            ask.prompt_tokens = most

    def names(self, api: str, ask: Ask, _: list[Output], data: dict[str, Any]) -> dict[str, Any]:
        """Return what the templates of an answer may name besides."""
        found: dict[str, Any] = {}
        if data.get("return_token_ids") is True:
            found["id_of"] = self._vocabulary.id_of
            found["prompt_ids"] = self._prompt_ids(api, data)
        return found

    def _prompt_ids(self, api: str, data: dict[str, Any]) -> list[int]:
        prompt = data.get("prompt")
        if isinstance(prompt, list) and prompt and all(type(one) is int for one in prompt):
            ids = list(prompt)
        elif api == "completions":
            ids = self._vocabulary.ids(str(prompt[0] if isinstance(prompt, list) and prompt else prompt))
        else:
            ids = self._vocabulary.ids("\n".join(text for _, text in messages_of(api, data)))
        most = data.get("truncate_prompt_tokens")
        if type(most) is int and 0 < most < len(ids):
            return ids[:most] if data.get("truncation_side") == "right" else ids[-most:]
        return ids


def repeat_last(api: str, _: Ask, made: list[Output], data: dict[str, Any]) -> None:
    """Let an answer begin with the last message of a chat that asks for `echo`, where that is of the same role."""
    messages = data.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if api == "chat" and data.get("echo") is True and isinstance(last, dict) and last.get("role") == "assistant":
        for output in made:
            output.tokens = [*tokenize(text_of(last.get("content"))), *output.tokens]
