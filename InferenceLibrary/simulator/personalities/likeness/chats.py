"""Chats and completions, whole and streamed, in the templates of a dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from InferenceLibrary.dialects.templates import template_names
from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.core.draft import DONE, Event
from InferenceLibrary.simulator.personalities.likeness.templates import ABSENT, Names, fill, filled

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import OpenChoices
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask


_END_ID = 2
"""The token that ends an answer."""
_END = "<|end|>"
"""Its text."""


def counts(ask: Ask, outputs: list[Output], *, only_first: bool = False) -> dict[str, int]:
    """Return the counts of tokens that templates name; of several choices the first alone, or all."""
    made = sum(output.count for output in (outputs[:1] if only_first else outputs))
    return {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": made,
        "total_tokens": ask.prompt_tokens + made,
        "cached_tokens": ask.cached_tokens,
        "uncached_tokens": ask.prompt_tokens - ask.cached_tokens,
    }


def speeds(names: Names) -> dict[str, float]:
    """Return the tokens in each second that templates name; zero where no time passed."""
    pairs = {
        "total_speed": ("total_tokens", "total_seconds"),
        "prompt_speed": ("prompt_tokens", "first_seconds"),
        "answer_speed": ("completion_tokens", "rest_seconds"),
    }
    seconds = {name: names[time] for name, (_, time) in pairs.items() if names[time] is not ABSENT}
    return {name: round(names[pairs[name][0]] / time, 4) if time else 0.0 for name, time in seconds.items()}


class Writer:
    """Writes the answers of one request.

    Args:
        choices: Those of the dialect.
        api: `chat` or `completions`.
        names: Values that all templates may name: id, model, created ...
        ask: The request.
        outputs: What the model said.
        prompts: The log probabilities of each prompt, where they are asked for.
    """

    def __init__(
        self,
        choices: OpenChoices,
        api: str,
        names: Names,
        ask: Ask,
        outputs: list[Output],
        prompts: Sequence[Any] = (),
    ) -> None:
        self._prompts = prompts
        self._choices = choices
        self._api = api
        self._parts = choices.answers.get(api, {})
        self._ask = ask
        self._outputs = outputs
        names = names.plus(**counts(ask, outputs, only_first=choices.usage_of_first))
        names.update(speeds(names))
        self._names = names.plus(usage=filled(self._parts.get("usage"), names))

    def whole(self) -> Any:
        """Return the answer in one piece."""
        choices = [self._choice(index, output) for index, output in enumerate(self._outputs)]
        first = self._prompts[0] if self._prompts else ABSENT
        return fill(self._parts.get("answer"), self._names.plus(choices=choices, prompt_logprobs=first))

    def _of(self, index: int, output: Output) -> Names:
        """Return the names of one choice."""
        found = self._names.plus(
            index=index, index_of_choice=index, finish=self._finish(output), stop_reason=output.stopped_by or None,
            reasoning="".join(output.thoughts) or ABSENT,
        )  # fmt: skip
        id_of = self._names.get("id_of")
        if id_of is not None:
            found["answer_ids"] = [id_of(token) for token in output.tokens] + [_END_ID] * output.end_tokens
        return found.plus(tool_calls=self._calls(output, found) or ABSENT)

    def _choice(self, index: int, output: Output) -> Any:
        ask, names = self._ask, self._of(index, output)
        prompt = ask.prompts[index // ask.n]
        text = prompt + output.text if ask.echo else output.text
        shown = [*tokenize(prompt), *output.tokens] if ask.echo else output.tokens
        names["logprobs"] = self._logprobs(shown, 0)
        names["text"] = names["content"] = text
        names["prompt_logprobs"] = self._prompts[index // ask.n] if self._prompts else ABSENT
        if output.tool_calls:
            names["content"] = self._beside_a_call()
            called = output.tool_calls[0]["function"]
            names["function_call"] = {"name": called["name"], "arguments": called["arguments"]}
        return fill(self._parts.get("choice"), names.plus(message=fill(self._parts.get("message"), names)))

    def _beside_a_call(self) -> Any:
        tools, choice = self._choices.tools, self._ask.tool_choice
        auto = choice == "auto"
        return tools.content if auto or tools.required_content is None else tools.required_content

    def _finish(self, output: Output) -> str:
        if not output.tool_calls:
            return output.finish
        tools, choice = self._choices.tools, self._ask.tool_choice
        if isinstance(choice, dict):
            return tools.named_finish
        return tools.required_finish if choice == "required" else output.finish

    def _calls(self, output: Output, names: Names) -> list[Any]:
        found = []
        for place, call in enumerate(output.tool_calls):
            function = call["function"]
            more = names.plus(index=place, name=function["name"], arguments=function["arguments"])
            more["call_id"] = self._call_id(more)
            found.append(fill(self._parts.get("call"), more))
        return found

    def _call_id(self, names: Names) -> Any:
        return fill(self._choices.ids.get("call", "call_${hex24}"), names)

    @property
    def _alternatives(self) -> int | None:
        """How many alternatives each token has; None: no log probabilities are asked for."""
        top = self._ask.logprobs
        return self._choices.usual_top_logprobs if top == 0 and self._api == "chat" else top

    def _logprobs(self, tokens: list[str], offset: int) -> Any:
        top = self._alternatives
        own = self._api == "completions" and "logprobs" in self._parts
        if top is None or (not top and self._api == "completions" and not own):
            return ABSENT
        if own:
            made = [token_logprob(token, max(1, top)) for token in tokens]
            offsets = [offset + sum(map(len, tokens[:place])) for place in range(len(tokens))]
            chosen: list[Any] = [entry["logprob"] for entry in made]
            shown = max(1, top) if self._choices.zero_logprobs_one else top
            likely: list[Any] = [
                {one["token"]: one["logprob"] for one in entry["top_logprobs"][:shown]} for entry in made
            ]
            if self._ask.echo and not offset and made:
                # Nothing stands before the first token of a prompt.
                chosen[0] = likely[0] = None
            return fill(
                self._parts["logprobs"],
                self._names.plus(
                    tokens=tokens, token_logprobs=chosen, top_logprobs=likely, text_offset=offsets,
                    entries=self._entries(tokens, top),
                ),
            )  # fmt: skip
        parts = self._choices.answers.get("chat", {})
        if "logprob" not in parts:
            return ABSENT
        content = self._entries(tokens, top)
        if "logprobs" in parts:
            return fill(parts["logprobs"], self._names.plus(entries=content))
        return {"content": content}

    def _entries(self, tokens: list[str], top: int) -> list[Any]:
        """Return the log probabilities as a chat tells them."""
        parts = self._choices.answers.get("chat", {})
        content = []
        for token in tokens:
            entry = token_logprob(token, top)
            tops = [fill(parts.get("top"), self._scored(one)) for one in entry["top_logprobs"]]
            content.append(fill(parts.get("logprob"), self._scored(entry).plus(top=tops)))
        return content

    def _entry(self, token: str) -> Any:
        """Return the log probability of one token as a chat tells it, where it is asked for."""
        top = self._alternatives
        return ABSENT if top is None else self._entries([token], top)[0]

    def _scored(self, entry: dict[str, Any]) -> Names:
        return self._names.plus(
            token=entry["token"], logprob=entry["logprob"], bytes=entry["bytes"], token_id=sum(entry["bytes"])
        )

    # Streams

    def events(self) -> list[Event]:
        """Return the answer as a stream."""
        ask = self._ask
        tells_usage = "usage_chunk" in self._parts and (ask.include_usage or self._choices.always_usage)
        found: list[Event] = []
        if self._choices.null_events and self._api == "completions" and len(self._outputs) > 1:
            found.append(Event(None, "null"))
        if "opening" in self._parts:
            for index, output in enumerate(self._outputs):
                names = self._of(index, output).plus(running_usage=self._running(0))
                found.append(Event(self._chunk("opening", names), "role"))
        together = self._choices.together and len(self._outputs) > 1
        if together:
            found += self._joined_pieces()
        for index, output in () if together else enumerate(self._outputs):
            last = index == len(self._outputs) - 1 and not tells_usage
            found += self._pieces(index, output, last=last)
            if tells_usage and self._choices.usage_per_choice and index < len(self._outputs) - 1:
                found.append(Event(self._chunk("usage_chunk", self._names), "usage"))
        if tells_usage:
            found.append(Event(self._chunk("usage_chunk", self._names), "usage"))
        if self._choices.done:
            found.append(Event(DONE, "done"))
        return found

    def _joined_pieces(self) -> Iterator[Event]:
        """Yield the pieces of all choices, those that come at the same time in one chunk."""
        rows = [self._pieces(index, output, last=True) for index, output in enumerate(self._outputs)]
        for row in zip_longest(*rows):
            events = [event for event in row if event is not None]
            choices = [choice for event in events for choice in event.data["choices"]]
            yield Event({**events[-1].data, "choices": choices}, events[-1].kind, tokens=events[-1].tokens)

    def _chunk(self, part: str, names: Names) -> Any:
        """Return one chunk: the envelope with one choice, or none, and what this part has besides."""
        template = self._parts[part]
        choice = fill(template["choice"], names) if "choice" in template else ABSENT
        choices = template.get("choices", [] if choice is ABSENT else [choice])
        body = fill(self._parts.get("chunk"), names.plus(choices=fill(choices, names)))
        more = {key: value for key, value in template.items() if key not in {"choice", "choices"}}
        return {**body, **fill(more, names)}

    def _pieces(self, index: int, output: Output, *, last: bool) -> Iterator[Event]:
        names = self._of(index, output)
        if not self._ask.include_usage:
            names["zero_usage"] = {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}
        ending = names.plus(
            last_fingerprint=self._choices.fingerprint if last else ABSENT,
            last_timings=fill(self._parts.get("timings", ABSENT), names) if last else ABSENT,
        )
        offset = 0
        tokens = list(output.tokens)
        prompt = self._ask.prompts[index // self._ask.n] if self._ask.echo else ""
        word = self._choices.finish_with_text
        cut = output.finish == "length" or bool(output.stopped_by)
        with_text = tokens and not output.tool_calls and (word == "always" or (word == "cut" and cut))
        for thought in output.thoughts if "reasoning_piece" in self._parts else ():
            yield Event(self._chunk("reasoning_piece", names.plus(reasoning=thought)), "token", tokens=1)
        for number, token in enumerate(tokens):
            names["running_usage"] = self._running(number + 1)
            shown = prompt + token if not number else token
            is_last = bool(with_text) and number == len(tokens) - 1
            more = (ending if is_last else names).plus(
                running_usage=names["running_usage"],
                content=shown, text=shown, token=token, logprobs=self._logprobs([token], offset),
                entry=self._entry(token),
            )  # fmt: skip
            if "id_of" in self._names:
                more["piece_ids"] = [self._names["id_of"](token)]
            if number:
                more.pop("prompt_ids", None)
            count = 1 + output.end_tokens if is_last else 1
            yield Event(self._chunk("finish" if is_last else "piece", more), "token", tokens=count)
            offset += len(token)
        yield from self._call_pieces(output, names)
        if not with_text and "finish" in self._parts:
            ended = ending.plus(logprobs=ABSENT, entry=self._entry(_END), running_usage=self._running(output.count))
            yield Event(self._chunk("finish", ended), "finish", tokens=output.end_tokens)

    def _running(self, count: int) -> Any:
        """Return the usage of a piece, where each is to tell it."""
        if not self._ask.continuous_usage:
            return ABSENT
        asked = self._ask.prompt_tokens
        return {"prompt_tokens": asked, "total_tokens": asked + count, "completion_tokens": count}

    def _call_pieces(self, output: Output, names: Names) -> Iterator[Event]:
        size = self._choices.tools.piece
        for place, call in enumerate(output.tool_calls):
            function = call["function"]
            text = function["arguments"]
            more = names.plus(name=function["name"], arguments=text, index=place)
            more["call_id"] = self._call_id(more)
            if "arguments_piece" not in self._parts:
                yield Event(self._chunk("call_piece", more), "tool", tokens=max(1, output.tool_tokens))
                continue
            parts = [text[start : start + size] for start in range(0, len(text), size)]
            begun = "arguments" in template_names(self._parts["call_piece"])
            yield Event(self._chunk("call_piece", more.plus(arguments=parts[0] if parts else "")), "tool", tokens=1)
            for part in parts[1:] if begun else parts:
                yield Event(self._chunk("arguments_piece", more.plus(arguments=part)), "tool", tokens=1)
