"""What the model says, and what a server makes of its calls of tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.engine import Output, cut_at_stop
from InferenceLibrary.simulator.answers.generation import check_work
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.answers.tools import call_tools, format_answer
from InferenceLibrary.simulator.personalities.likeness.biases import without
from InferenceLibrary.simulator.personalities.likeness.constrained import constrained, demanded_of

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import OpenChoices
    from InferenceLibrary.simulator.answers.generation import Generator
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Turn


_NO_TOOL = "I cannot look outside."


def settle(ask: Ask, choices: OpenChoices, api: str) -> None:
    """Let a request ask for what the server makes of it."""
    if ask.max_tokens is not None and ask.max_tokens <= 0:
        words = choices.most_tokens
        if "zero is one" in words and ask.max_tokens == 0:
            ask.max_tokens = 1
        else:
            ask.max_tokens = None
    if choices.response_formats is False if api == "responses" else not choices.formats:
        ask.response_format = None
    if api in choices.streams_by_default and not ask.stream_given:
        ask.stream = True
    if not choices.several:
        ask.n = 1
    ask.echo = ask.echo and (choices.echoes is True or (choices.echoes == "whole" and not ask.stream))
    if api == "chat" and choices.logprobs_need_top and ask.logprobs is not None:
        ask.logprobs = max(1, ask.logprobs) if ask.top_given else None
    if ask.tool_choice == "odd":
        ask.tool_choice = choices.tools.odd
    if ask.tool_choice == "null":
        ask.tool_choice = choices.tools.null_choice
    if isinstance(ask.tool_choice, dict) and choices.tools.named in {"auto", "text"}:
        ask.tool_choice = "auto" if choices.tools.named == "auto" else "none"
    if ask.tool_choice == "required" and choices.tools.required == "auto":
        ask.tool_choice = "auto"


def outputs(
    generator: Generator, turn: Turn, ask: Ask, choices: OpenChoices, forbidden: frozenset[str] = frozenset()
) -> list[Output]:
    """Return the generated answers, one for each prompt and choice, without the tokens that are forbidden.

    Raises:
        ApiError: 400; they are more than this process can make while others wait.
    """
    count = len(ask.prompts) * ask.n
    check_work(count)
    context = generator.app.settings.max_model_len
    if choices.cuts_prompts and ask.prompt_tokens >= context:
        ask.prompt_tokens = context
        limit = context
    else:
        limit = max(1, context - ask.prompt_tokens)
    if ask.max_tokens is not None:
        limit = min(limit, ask.max_tokens)
    if choices.empty_finish and asks_nothing(turn.json):
        return [Output([], choices.empty_finish)]
    demanded = demanded_of(turn.json, choices)
    stops, ask.stop = ask.stop, []
    script = turn.scripted
    made: list[Output] = []
    work = 0
    for number in range(count):
        prompt = ask.prompts[number // ask.n]
        if script is not None and script.answers:
            output = script.output(ask, limit)
        else:
            # Copies of a prompt in one request get the same answers.
            output = generator.engine.generate(ask, prompt, number % ask.n, limit)
        if demanded is not None:
            output = constrained(demanded, limit)
        elif forbidden:
            output.tokens = without(output.tokens, forbidden)
        if stops:
            _stop(output, stops, choices)
        _end(generator, ask, output, choices, limit)
        _tools(generator, turn, ask, output, choices, limit)
        ended_itself = output.finish == "stop" and not output.stopped_by
        output.end_tokens = int(choices.end_counts and ended_itself and output.count < limit)
        made.append(output)
        work += output.count
        check_work(count, work if count > 1 else 0)
    ask.stop = stops
    return made


def asks_nothing(data: Any) -> bool:
    """Whether a request has no prompt: no text to go on with, or a last message without any part."""
    if not isinstance(data, dict):
        return False
    messages = data.get("messages")
    if messages is None:
        return not data.get("prompt") and "input" not in data
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("content") == []


def _end(generator: Generator, ask: Ask, output: Output, choices: OpenChoices, limit: int) -> None:
    """Let the end be where the server sees it."""
    if ask.ignore_eos and ask.max_tokens is not None:
        more = generator.engine.generate(ask, "more", 0, limit).tokens
        output.tokens = [*output.tokens, *more][:limit]
    if output.finish == "stop" and not output.stopped_by and not output.tool_calls and len(output.tokens) >= limit:
        output.finish = "length" if choices.end_counts else "stop"


def _stop(output: Output, stops: list[str], choices: OpenChoices) -> None:
    if choices.stops_at_tokens:
        place = next((place for place, token in enumerate(output.tokens) if token in stops), None)
        if place is None:
            return
        output.stopped_by, output.finish = output.tokens[place], "stop"
        del output.tokens[place:]
    else:
        cut_at_stop(output, stops)
    if choices.stop_stays and output.stopped_by:
        output.tokens.append(output.stopped_by)


def _tools(generator: Generator, turn: Turn, ask: Ask, output: Output, choices: OpenChoices, limit: int) -> None:
    settings = generator.app.settings
    scripted = turn.scripted is not None and turn.scripted.answers
    draws = generator.engine.draws(ask, "tools" + ask.prompts[0], 0)
    wanted = ask.tools and (ask.tool_choice == "required" or isinstance(ask.tool_choice, dict))
    if ask.response_format is not None and not wanted and not _fits(output.text, ask.response_format):
        output.tool_calls, output.tool_tokens = [], 0
        format_answer(ask, output, draws, settings)
        return
    offered = {tool["function"]["name"] for tool in ask.tools}
    if ask.tools and any(call["function"]["name"] not in offered for call in output.tool_calls):
        # The model knows another tool than those that are there.
        output.tool_calls, output.tool_tokens, output.finish = [], 0, "stop"
        output.tokens = tokenize(_NO_TOOL)
    free = choices.tools.named == "free" and isinstance(ask.tool_choice, dict)
    if (wanted and not free and not output.tool_calls) or (ask.tools and not scripted):
        call_tools(ask, output, draws, settings, f"{draws.bits():016x}")
    if not output.tool_calls:
        return
    text = as_text(output.tool_calls)
    cut = len(text) / choices.tools.characters > limit
    by_itself = choices.tools.auto == "text" and ask.tool_choice == "auto"
    output.tool_tokens = min(output.tool_tokens, limit)
    if cut or by_itself or ask.tool_choice in ("none", "lost") or not ask.tools:
        if choices.tools.none == "call" and ask.tools and not cut:
            return
        lost = ask.tool_choice == "lost" or (cut and choices.tools.cut == "nothing")
        output.tokens = [] if lost else tokenize(text)[:limit]
        output.tool_calls, output.tool_tokens = [], 0
        output.finish = "length" if cut else "stop"


def as_text(calls: list[dict[str, Any]]) -> str:
    """Return calls as a model writes them."""
    lines = []
    for call in calls:
        function = call["function"]
        try:
            arguments = json.loads(function["arguments"])
        except ValueError:
            arguments = function["arguments"]
        written = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
        lines.append(f"<tool_call>\n{written}\n</tool_call>")
    return "\n".join(lines)


def _fits(text: str, schema: dict[str, Any]) -> bool:
    """Whether a text is JSON that a schema takes."""
    from InferenceLibrary.protocol.json_schema import schema_problem

    try:
        return schema_problem(json.loads(text), schema) is None
    except ValueError:
        return False
