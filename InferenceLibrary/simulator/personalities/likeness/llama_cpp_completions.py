"""llama.cpp's own completions: /completion and /infill, and what `--verbose` adds to a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.core.draft import EVENT_STREAM, Draft, Event
from InferenceLibrary.simulator.personalities.likeness.asks import ask_of, demanded_schema, prompt_of
from InferenceLibrary.simulator.personalities.likeness.biases import forbidden_tokens
from InferenceLibrary.simulator.personalities.likeness.generation import outputs, settle
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.llama_cpp_slots import Slot, Slots
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

SETTINGS: dict[str, Any] = {
    "seed": 1, "temperature": 0.800000011920929, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0, "top_k": 40,
    "top_p": 0.949999988079071, "min_p": 0.05000000074505806, "top_n_sigma": -1.0, "xtc_probability": 0.0,
    "xtc_threshold": 0.10000000149011612, "typical_p": 1.0, "repeat_last_n": 64, "repeat_penalty": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "dry_multiplier": 0.0, "dry_base": 1.75,
    "dry_allowed_length": 2, "dry_penalty_last_n": 64, "mirostat": 0, "mirostat_tau": 5.0,
    "mirostat_eta": 0.10000000149011612, "adaptive_target": -1.0, "adaptive_decay": 0.8999999761581421,
    "max_tokens": -1, "n_predict": -1, "n_keep": 0, "n_discard": 0, "ignore_eos": False, "stream": False,
    "n_probs": 0, "min_keep": 0, "chat_format": "Content-only", "reasoning_format": "none",
    "reasoning_in_content": False, "generation_prompt": "",
    "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    "speculative.types": "none", "timings_per_token": False, "post_sampling_probs": False, "backend_sampling": False,
    "lora": [],
}  # fmt: skip
_MORE_SETTINGS: dict[str, Any] = {
    "dry_sequence_breakers": ["\n", ":", '"', "*"], "stop": [], "logit_bias": [], "grammar": "", "grammar_lazy": False,
    "grammar_triggers": [], "preserved_tokens": [],
}  # fmt: skip
"""What a completion tells of its settings besides those of a slot."""
_STOPS = {"stop": "eos", "length": "limit"}
_END_TOKENS = (0, 2)
"""The tokens that end an answer: a request that ignores the end rules them out."""
_BATCH = 2048
"""Tokens of a prompt that are read at once, unless `--batch-size` says otherwise."""


class Completions:
    """Makes the answers of /completion."""

    def __init__(self, server: Likeness, slots: Slots) -> None:
        self._server = server
        self._slots = slots

    # The request

    def answer(self, turn: Turn, data: dict[str, Any], prompt: Any) -> None:
        """Answer a completion.

        Args:
            turn: The request.
            data: Its fields.
            prompt: A text, tokens, texts and tokens mixed, an object with a text, or a list of several of these.
        """
        server = self._server
        is_list = isinstance(prompt, list) and not any(type(one) is int for one in prompt)
        limit = data.get("n_predict", data.get("max_tokens"))
        ask = ask_of("completions", {**data, "max_tokens": limit}, "", server.choices.prompt)
        ask.prompts = [self.text_of(one) for one in (prompt if is_list else [prompt])]
        most = server.flags.get("n-predict")
        if isinstance(most, int) and most >= 0:
            ask.max_tokens = most if ask.max_tokens is None or ask.max_tokens < 0 else min(most, ask.max_tokens)
        tokens = tokenize(ask.prompts[0])
        ask.prompt_tokens = len(tokens)
        ask.response_format = demanded_schema(data, server.choices)
        settle(ask, server.choices, "completions")
        server.app.ledger.begin(turn)
        turn.json = {**data, "prompt": ask.prompts[0]}
        if server.app.scenario is not None:
            turn.scripted = server.app.scenario.find("/v1/completions", turn.request.headers, turn.json)
        slot, ask.cached_tokens = self.take(turn, tokens, data)
        forbidden = forbidden_tokens(data.get("logit_bias"), server.admin.vocabulary)
        made = outputs(server.generator, turn, ask, server.choices, forbidden)
        server.adapted("native", ask, made, data)
        server.generator.note(turn, ask, made[0], "cmpl-")
        slot.tokens += made[0].tokens
        whole = Output([token for output in made for token in output.tokens])
        server.generator.run(turn, ask, whole, lambda: self._draft(ask, made, data, slot.number, is_list=is_list))

    def take(self, turn: Turn, tokens: list[str], data: dict[str, Any]) -> tuple[Slot, int]:
        """Return the slot that a request gets until it ends, and how many tokens of its prompt are known there."""
        slot, known = self._slots.take(tokens, data.get("id_slot"), cached=data.get("cache_prompt") is not False)
        slot.asked = data
        slot.busy += 1

        def leave(_: Turn) -> None:
            slot.busy -= 1

        turn.at_end(leave)
        return slot, known

    def text_of(self, prompt: Any) -> str:
        """Return the text of a prompt; tokens that this server has not given are a word each."""
        if isinstance(prompt, dict):
            return str(prompt.get("prompt_string", ""))
        if isinstance(prompt, list):
            known = self._server.admin.vocabulary
            texts = []
            for one in prompt:
                try:
                    texts.append(known.text([one]) if type(one) is int else str(one))
                except KeyError:
                    texts.append(f" t{one}")
            return "".join(texts)
        return prompt_of("completions", {"prompt": prompt})[0]

    # The answer

    def _draft(self, ask: Ask, made: list[Output], data: dict[str, Any], slot: int, *, is_list: bool) -> Draft:
        if not ask.stream:
            bodies = [
                self._shown(self.ended(index, ask, output, data, slot), data) for index, output in enumerate(made)
            ]
            return self._server.json(bodies if is_list else bodies[0], tokens=sum(output.count for output in made))
        events = []
        for index, output in enumerate(made):
            begun = {"index": index, "content": "", "tokens": [0], "stop": False, "id_slot": -1}
            counted = {"tokens_predicted": 0, "tokens_evaluated": ask.prompt_tokens}
            if data.get("return_progress") is True:
                events += [
                    Event({**begun, **counted, "prompt_progress": progress}, "progress")
                    for progress in self.progress(ask)
                ]
            ids = self._ids(output)
            for number, token in enumerate(output.tokens, start=1):
                piece = {
                    **begun, "content": token, "tokens": [ids[number - 1]], **counted, "tokens_predicted": number
                }  # fmt: skip
                events.append(Event({**piece, **self._probabilities([token], data)}, "token", tokens=1))
            ended = {**self.ended(index, ask, output, data, slot), "content": "", "tokens": []}
            ended.pop("completion_probabilities", None)
            events.append(Event(ended, "finish"))
        headers = list(self._server.choices.stream_headers.items())
        return Draft(content_type=EVENT_STREAM, headers=headers, events=events)

    def progress(self, ask: Ask) -> list[dict[str, int]]:
        """Return how much of the prompt is read, before the first batch and after each."""
        size = self._server.flags.get("batch-size") or self._server.flags.get("b") or _BATCH
        total, known = ask.prompt_tokens, ask.cached_tokens
        places = [known, *range(known + size, total, size), total]
        return [{"total": total, "cache": known, "processed": place, "time_ms": 0} for place in places]

    def _ids(self, output: Output) -> list[int]:
        return [self._server.admin.vocabulary.id_of(token) for token in output.tokens]

    def _shown(self, body: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of an answer that `response_fields` asks for; `a/b` is one within another."""
        wanted = data.get("response_fields")
        if not isinstance(wanted, list) or not wanted:
            return body
        found = {}
        for name in wanted:
            value: Any = body
            for part in str(name).split("/"):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                found[str(name)] = value
        return found

    def settings_of(self, data: dict[str, Any], *, chat: bool = False) -> dict[str, Any]:
        """Return the settings that an answer is made with."""
        flags = self._server.flags
        limit = data.get("n_predict", data.get("max_tokens", -1))
        most = flags.get("n-predict")
        if isinstance(most, int) and most >= 0 and isinstance(limit, int):
            limit = most if limit < 0 else min(most, limit)
        found = {
            **SETTINGS,
            **self.usual(),
            **{key: data[key] for key, usual in SETTINGS.items() if type(data.get(key)) is type(usual)},
        }
        if "samplers" in data:
            asked = data["samplers"] if isinstance(data["samplers"], list) else []
            found["samplers"] = [one for one in asked if one in SETTINGS["samplers"]]
        found["reasoning_format"] = "deepseek"
        found |= {"max_tokens": limit, "n_predict": limit}
        if isinstance(data.get("lora"), list):
            found["lora"] = data["lora"]
        if not chat:
            found |= _MORE_SETTINGS
            stop = data.get("stop")
            found["grammar"] = data.get("grammar", "")
            found["stop"] = [stop] if isinstance(stop, str) else stop or []
            if data.get("ignore_eos") is True:
                found["logit_bias"] = [{"token": token, "bias": None} for token in _END_TOKENS]
        return found

    def usual(self) -> dict[str, Any]:
        """Return the settings that the command line has."""
        temperature, seed = self._server.flags.get("temp"), self._server.app.settings.seed
        found: dict[str, Any] = {} if temperature is None else {"temperature": temperature}
        return found if seed is None else {**found, "seed": seed}

    def timings(self, ask: Ask, count: int) -> dict[str, Any]:
        """Return what the server measured; the times are made up."""
        return {
            "cache_n": ask.cached_tokens, "prompt_n": ask.prompt_tokens - ask.cached_tokens, "prompt_ms": 0.2,
            "prompt_per_token_ms": 0.2, "prompt_per_second": 5000.0, "predicted_n": count, "predicted_ms": 0.4,
            "predicted_per_token_ms": 0.2, "predicted_per_second": 5000.0,
        }  # fmt: skip

    def ended(self, index: int, ask: Ask, output: Output, data: dict[str, Any], slot: int = 0) -> dict[str, Any]:
        """Return what the last event of an answer tells, or the whole of it."""
        stopped = output.stopped_by
        return {
            "index": index,
            "content": output.text,
            "tokens": self._ids(output) if data.get("return_tokens") is True else [],
            "id_slot": slot,
            "stop": True,
            "model": self._server.shown(data),
            "tokens_predicted": output.count,
            "tokens_evaluated": ask.prompt_tokens,
            "generation_settings": self.settings_of(data),
            "prompt": ask.prompts[min(index, len(ask.prompts) - 1)],
            "has_new_line": "\n" in output.text,
            "truncated": False,
            "stop_type": "word" if stopped else _STOPS.get(output.finish, "none"),
            "stopping_word": stopped,
            "tokens_cached": ask.prompt_tokens + output.count - 1,
            "timings": self.timings(ask, output.count),
            **self._probabilities(output.tokens, data),
        }

    def _probabilities(self, tokens: list[str], data: dict[str, Any]) -> dict[str, Any]:
        count = data.get("n_probs")
        if type(count) is not int or count < 1:
            return {}
        after = data.get("post_sampling_probs") is True
        found = []
        for token in tokens:
            entry = token_logprob(token, count)

            def told(one: dict[str, Any], *, chosen: bool) -> dict[str, Any]:
                value = {"prob": 1.0 if chosen else 0.0} if after else {"logprob": one["logprob"]}
                return {
                    "id": self._server.admin.vocabulary.id_of(one["token"]),
                    "token": one["token"],
                    "bytes": one["bytes"],
                    **value,
                }

            tops = [told(one, chosen=not place) for place, one in enumerate(entry["top_logprobs"])]
            found.append({**told(entry, chosen=True), "top_probs" if after else "top_logprobs": tops})
        return {"completion_probabilities": found}

    # Text between two others

    def infill(self, turn: Turn, data: dict[str, Any]) -> None:
        """Answer what stands between a prefix and a suffix.

        Raises:
            Refusal: One of them is missing, or another file is not as it ought to be.
        """
        for name in ("input_prefix", "input_suffix"):
            if not isinstance(data.get(name), str):
                raise Refusal("range", f'"{name}" is required')
        extra = data.get("input_extra", [])
        for one in extra if isinstance(extra, list) else [None]:
            if not isinstance(one, dict) or not isinstance(one.get("text"), str):
                raise Refusal("range", 'extra_context chunk must contain a "text" field with a string value')
            if not isinstance(one.get("filename", ""), str):
                raise Refusal("range", 'extra_context chunk has an invalid "filename" field')
        before = "".join(one["text"] for one in extra) + data["input_prefix"]
        self.answer(turn, data, f"{before}{data['input_suffix']}{data.get('prompt', '')}")
