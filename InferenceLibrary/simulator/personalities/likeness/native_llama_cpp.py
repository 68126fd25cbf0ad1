"""Routes that only llama.cpp's server has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.embeddings import vector
from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import EVENT_STREAM, Draft, Event
from InferenceLibrary.simulator.personalities.likeness.asks import ask_of, prompt_of, prompt_tokens
from InferenceLibrary.simulator.personalities.likeness.generation import outputs, settle
from InferenceLibrary.simulator.personalities.likeness.reading import json_of
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_SETTINGS: dict[str, Any] = {
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
_CAN = (
    "object_arguments", "parallel_tool_calls", "preserve_reasoning", "reasoning_effort", "string_content",
    "system_role", "tool_calls", "tools", "typed_content",
)  # fmt: skip
_CANNOT = {"preserve_reasoning", "reasoning_effort", "typed_content"}
_TEMPLATE = (
    "{%- if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    '{%- for message in messages %}{%- if message.role == "assistant" and message.tool_calls %}<|im_start|>assistant\n'
    "{%- if message.content %}{{ message.content }}{% endif %}{%- for tool_call in message.tool_calls %}"
    "{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}\n<tool_call>\n"
    '{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}\n</tool_call>{%- endfor %}'
    '<|im_end|>\n{%- elif message.role == "tool" %}<|im_start|>user\n<tool_response>\n{{ message.content }}\n'
    "</tool_response><|im_end|>\n{%- else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{%- endif %}\n{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A plain template of ChatML, with tools."""
_STOPS = {"stop": "eos", "length": "limit"}


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._asked: dict[str, Any] | None = None
        self._tasks = 0
        server.app.on_generating.append(self._note)

    def _note(self, turn: Turn) -> None:
        """A slot remembers what it was asked last."""
        self._tasks += 1
        self._asked = turn.json if isinstance(turn.json, dict) else {}

    def _tell(self, turn: Turn, body: Any) -> None:
        deliver(turn, self._server.json(body))

    @property
    def _places(self) -> int:
        return self._server.app.settings.max_num_seqs

    # What the server is

    def props(self, turn: Turn) -> None:
        settings, flags = self._server.app.settings, self._server.flags
        names = self._server.names(turn)
        shown = {
            "default_generation_settings": {"params": _SETTINGS, "n_ctx": settings.max_model_len // self._places},
            "total_slots": self._places,
            "model_alias": settings.names[0],
            "model_ftype": "all F32",
            "model_path": f"{settings.names[0]}.gguf",
            "modalities": {"vision": False, "video": False, "audio": False},
            "media_marker": f"<__media_{names['letters32']}__>",
            "endpoint_slots": not flags.get("no-slots"),
            "endpoint_props": bool(flags.get("props")),
            "endpoint_metrics": bool(flags.get("metrics")),
            "ui": True,
            "ui_settings": {},
            "chat_template": _TEMPLATE,
            "chat_template_caps": {f"supports_{word}": word not in _CANNOT for word in _CAN},
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "build_info": self._server.choices.fingerprint,
            "is_sleeping": False,
            "cors_proxy_enabled": False,
        }
        self._tell(turn, shown)

    def set_props(self, turn: Turn) -> None:
        self._tell(turn, {"success": True})

    def slots(self, turn: Turn) -> None:
        found = []
        context = self._server.app.settings.max_model_len // self._places
        for number in range(self._places):
            slot: dict[str, Any] = {"id": number, "n_ctx": context, "speculative": False, "is_processing": False}
            if not number and self._asked is not None:
                slot |= {
                    "id_task": self._tasks, "n_prompt_tokens": 2, "n_prompt_tokens_processed": 0,
                    "n_prompt_tokens_cache": 0, "params": self._settings_of(self._asked, chat=True),
                    "next_token": [{"has_next_token": False, "has_new_line": False, "n_remain": -1, "n_decoded": 0}],
                }  # fmt: skip
            found.append(slot)
        self._tell(turn, found)

    def slot(self, turn: Turn) -> None:
        action = next((part[7:] for part in turn.request.query.split("&") if part.startswith("action=")), "")
        data = json_of(turn.request) or {}
        file = data.get("filename") if isinstance(data, dict) else None
        number = turn.request.path.rpartition("/")[2]
        slot = int(number) if number.isdigit() else 0
        if action == "erase":
            self._tell(turn, {"id_slot": slot, "n_erased": 29})
        elif action == "save":
            told = {"id_slot": slot, "filename": file, "n_saved": 0, "n_written": 36, "timings": {"save_ms": 0.1}}
            self._tell(turn, told)
        elif action == "restore":
            told = {"id_slot": slot, "filename": file, "n_restored": 0, "n_read": 36, "timings": {"restore_ms": 0.1}}
            self._tell(turn, told)
        else:
            raise Refusal("range", "Invalid action")

    def set_adapters(self, turn: Turn) -> None:
        if not isinstance(json_of(turn.request), list):
            raise Refusal("range", "Request body must be an array")
        self._tell(turn, {"success": True})

    # Texts and tokens

    def apply_template(self, turn: Turn) -> None:
        data = self._server.read(turn, "chat")
        text = ""
        if data.get("tools"):
            text = "<|im_start|>system\n" + "".join(json.dumps(tool) + "\n" for tool in data["tools"]) + "<|im_end|>\n"
        for one in data["messages"]:
            text += f"<|im_start|>{one.get('role')}\n{one.get('content')}<|im_end|>"
        self._tell(turn, {"prompt": f"{text}<|im_start|>assistant\n"})

    def count_input(self, turn: Turn) -> None:
        api = "chat" if "/chat/" in turn.request.path else "responses"
        data = self._server.read(turn, api)
        self._tell(
            turn,
            {"input_tokens": prompt_tokens(api, data, self._server.choices.prompt), "object": "response.input_tokens"},
        )

    def tokens(self, turn: Turn) -> None:
        data = self._server.read(turn, "tokenize")
        text = str(data.get("content", ""))
        ids: list[Any] = self._server.admin.vocabulary.ids(text)
        if data.get("with_pieces") is True:
            ids = [{"id": one, "piece": self._server.admin.vocabulary.text([one])} for one in ids]
        self._tell(turn, {"tokens": ids})

    def text(self, turn: Turn) -> None:
        data = self._server.read(turn, "detokenize")
        self._tell(turn, {"content": self._server.text_of(data.get("tokens"))})

    # Vectors and ranks

    def native_embedding(self, turn: Turn) -> None:
        data = self._server.read(turn, "native_embeddings")
        given = data.get("content", data.get("input", data.get("prompt")))
        texts = given if isinstance(given, list) and not all(type(one) is int for one in given) else [given]
        size = self._server.app.settings.default_embedding_dimensions
        each = len if self._server.flags.get("pooling") == "none" else None
        items = []
        for index, text in enumerate(texts):
            count = max(1, each(str(text)) // 3) if each else 1
            items.append({"index": index, "embedding": [list(vector(str(text), size)) for _ in range(count)]})
        self._tell(turn, items)

    def ranked_natively(self, turn: Turn) -> None:
        data = self._server.read(turn, "rerank")
        if "texts" not in data:
            self._server.ranked(turn)
            return
        from InferenceLibrary.simulator.answers.ranking import rerank

        body, _ = rerank({**data, "documents": data["texts"]}, self._server.app.settings.max_model_len)
        self._tell(turn, [{"index": one["index"], "score": one["relevance_score"]} for one in body["results"]])

    # Completions of its own kind

    def native_completion(self, turn: Turn) -> None:
        data = self._server.read(turn, "native")
        prompt = data["prompt"]
        is_list = isinstance(prompt, list) and not any(type(one) is int for one in prompt)
        prompts = prompt if is_list else [prompt]
        ask = ask_of(
            "completions",
            {**data, "max_tokens": data.get("n_predict", data.get("max_tokens"))},
            "",
            self._server.choices.prompt,
        )
        ask.prompts = [self._text_of(one) for one in prompts]
        ask.prompt_tokens = count_tokens(ask.prompts[0])
        settle(ask, self._server.choices, "completions")
        self._server.app.ledger.begin(turn)
        if self._server.app.scenario is not None:
            turn.json = {**data, "prompt": ask.prompts[0]}
            turn.scripted = self._server.app.scenario.find("/v1/completions", turn.request.headers, turn.json)
        self._note(turn)
        made = outputs(self._server.generator, turn, ask, self._server.choices)
        self._server.generator.note(turn, ask, made[0], "cmpl-")
        whole = Output([token for output in made for token in output.tokens])
        self._server.generator.run(turn, ask, whole, lambda: self._draft(ask, made, data, is_list=is_list))

    @staticmethod
    def _text_of(prompt: Any) -> str:
        if isinstance(prompt, dict):
            return str(prompt.get("prompt_string", ""))
        return prompt_of("completions", {"prompt": prompt})[0]

    def _draft(self, ask: Ask, made: list[Output], data: dict[str, Any], *, is_list: bool) -> Draft:
        if not ask.stream:
            bodies = [self._ended(index, ask, output, data) for index, output in enumerate(made)]
            return self._server.json(bodies if is_list else bodies[0], tokens=sum(output.count for output in made))
        events = []
        for index, output in enumerate(made):
            begun = {"index": index, "content": "", "tokens": [0], "stop": False, "id_slot": -1}
            counted = {"tokens_predicted": 0, "tokens_evaluated": ask.prompt_tokens}
            if data.get("return_progress") is True:
                progress = {"total": ask.prompt_tokens, "cache": 4, "processed": ask.prompt_tokens, "time_ms": 0}
                events.append(Event({**begun, **counted, "prompt_progress": progress}, "progress"))
            for number, token in enumerate(output.tokens, start=1):
                piece = {**begun, "content": token, "tokens": self._ids([token]), **counted, "tokens_predicted": number}
                events.append(Event({**piece, **self._probabilities([token], data)}, "token", tokens=1))
            ended = {**self._ended(index, ask, output, data), "content": "", "tokens": []}
            ended.pop("completion_probabilities", None)
            events.append(Event(ended, "finish"))
        headers = list(self._server.choices.stream_headers.items())
        return Draft(content_type=EVENT_STREAM, headers=headers, events=events)

    def _settings_of(self, data: dict[str, Any], *, chat: bool = False) -> dict[str, Any]:
        limit = data.get("n_predict", data.get("max_tokens", -1))
        found = {
            **_SETTINGS,
            **{key: data[key] for key, usual in _SETTINGS.items() if type(data.get(key)) is type(usual)},
        }
        if "samplers" in data:
            asked = data["samplers"] if isinstance(data["samplers"], list) else []
            found["samplers"] = [one for one in asked if one in _SETTINGS["samplers"]]
        found["reasoning_format"] = "deepseek"
        found |= {"max_tokens": limit, "n_predict": limit}
        if isinstance(data.get("lora"), list):
            found["lora"] = data["lora"]
        if not chat:
            found |= _MORE_SETTINGS
            stop = data.get("stop")
            found["grammar"] = data.get("grammar", "")
            found["stop"] = [stop] if isinstance(stop, str) else stop or []
        return found

    def _ended(self, index: int, ask: Ask, output: Output, data: dict[str, Any]) -> dict[str, Any]:
        """Return what the last event of an answer tells, or the whole of it."""
        stopped = output.stopped_by
        return {
            "index": index,
            "content": output.text,
            "tokens": self._ids(output.tokens) if data.get("return_tokens") is True else [],
            "id_slot": 0,
            "stop": True,
            "model": self._server.app.settings.names[0],
            "tokens_predicted": output.count,
            "tokens_evaluated": ask.prompt_tokens,
            "generation_settings": self._settings_of(data),
            "prompt": ask.prompts[index],
            "has_new_line": "\n" in output.text,
            "truncated": False,
            "stop_type": "word" if stopped else _STOPS.get(output.finish, "none"),
            "stopping_word": stopped,
            "tokens_cached": ask.prompt_tokens + output.count - 1,
            "timings": {
                "cache_n": 4, "prompt_n": 1, "prompt_ms": 0.2, "prompt_per_token_ms": 0.2, "prompt_per_second": 5000.0,
                "predicted_n": output.count, "predicted_ms": 0.4, "predicted_per_token_ms": 0.2,
                "predicted_per_second": 5000.0,
            },
            **self._probabilities(output.tokens, data),
        }  # fmt: skip

    def _ids(self, tokens: list[str]) -> list[int]:
        return [self._server.admin.vocabulary.id_of(token) for token in tokens]

    def _probabilities(self, tokens: list[str], data: dict[str, Any]) -> dict[str, Any]:
        count = data.get("n_probs")
        if type(count) is not int or count < 1:
            return {}
        after = data.get("post_sampling_probs") is True
        found = []
        for token in tokens:
            entry = token_logprob(token, count)
            value = {"prob": 1.0} if after else {"logprob": entry["logprob"]}
            known = {"id": self._ids([token])[0], "token": token, "bytes": entry["bytes"], **value}
            tops = [
                {"id": number, "token": one["token"], "bytes": one["bytes"], "logprob": one["logprob"]}
                for number, one in zip(
                    self._ids([one["token"] for one in entry["top_logprobs"]]), entry["top_logprobs"], strict=True
                )
            ]
            found.append({**known, "top_probs": [known]} if after else {**known, "top_logprobs": tops})
        return {"completion_probabilities": found}


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = (
        "props", "set_props", "slots", "slot", "set_adapters", "apply_template", "count_input", "tokens", "text",
        "native_embedding", "ranked_natively", "native_completion",
    )  # fmt: skip
    return {name: getattr(native, name) for name in names}
