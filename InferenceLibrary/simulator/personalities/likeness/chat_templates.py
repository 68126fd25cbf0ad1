"""Chat templates: those that llama.cpp knows by name, texts and files in Jinja; and the prompt that they make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.personalities.likeness.asks import text_of

CHATML = (
    "{%- if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    '{%- for message in messages %}{%- if message.role == "assistant" and message.tool_calls %}<|im_start|>assistant\n'
    "{%- if message.content %}{{ message.content }}{% endif %}{%- for tool_call in message.tool_calls %}"
    "{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}\n<tool_call>\n"
    '{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}\n</tool_call>{%- endfor %}'
    '<|im_end|>\n{%- elif message.role == "tool" %}<|im_start|>user\n<tool_response>\n{{ message.content }}\n'
    "</tool_response><|im_end|>\n{%- else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{%- endif %}\n{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template of the model that the recordings are of: ChatML, with tools."""


@dataclass(frozen=True)
class _Known:
    """A template that has a name: what stands around each message, and what opens the answer."""

    turn: str
    opening: str
    roles: tuple[tuple[str, str], ...] = ()

    def prompt(self, messages: list[dict[str, Any]], *, opens: bool) -> str:
        names = dict(self.roles)
        turns = [
            self.turn.format(role=names.get(str(one.get("role")), str(one.get("role"))), content=one["content"])
            for one in messages
        ]
        return "".join(turns) + (self.opening if opens else "")


_KNOWN = {
    "chatml": _Known("<|im_start|>{role}\n{content}<|im_end|>\n", "<|im_start|>assistant\n"),
    "llama3": _Known(
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "command-r": _Known(
        "<|START_OF_TURN_TOKEN|>{role}{content}<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        (("system", "<|SYSTEM_TOKEN|>"), ("user", "<|USER_TOKEN|>"), ("assistant", "<|CHATBOT_TOKEN|>")),
    ),
    "gemma": _Known(
        "<start_of_turn>{role}\n{content}<end_of_turn>\n", "<start_of_turn>model\n", (("assistant", "model"),)
    ),
    "phi3": _Known("<|{role}|>\n{content}<|end|>\n", "<|assistant|>\n"),
    "zephyr": _Known("<|{role}|>\n{content}<|endoftext|>\n", "<|assistant|>\n"),
}


class ChatTemplate:
    """The template of a server.

    Args:
        chosen: The name of one that is known, or a text in Jinja; empty: that of the model.
        file: A file in Jinja, which comes before `chosen`.
        thinks: Whether the model is to think; None: as the template has it.
        system: A text that stands before every system message, in Jinja.

    Raises:
        StartError: The file cannot be read, or a text is not Jinja.
    """

    def __init__(self, chosen: str = "", file: str = "", *, thinks: bool | None = None, system: str = "") -> None:
        self._known = _KNOWN.get(chosen) if not file else None
        self.text = chosen or CHATML
        if file:
            try:
                self.text = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise StartError(f"--chat-template-file: cannot read '{file}': {error}") from None
        self._own = bool(file or chosen)
        self._thinks = thinks
        self._system = _rendered(system, {}) if system else ""
        if self._known is None and self._own:
            _compiled(self.text)

    @property
    def is_own(self) -> bool:
        """Whether it is another template than that of the model."""
        return self._own or bool(self._system)

    def prompt(self, data: dict[str, Any]) -> str:
        """Return the prompt of a chat; an answer that the client has begun is gone on with.

        Raises:
            ValueError: The template refuses the messages.
        """
        messages = [
            {**one, "content": text_of(one.get("content"))} for one in data.get("messages", []) if isinstance(one, dict)
        ]
        if self._system:
            first = messages[0] if messages and messages[0].get("role") == "system" else None
            if first is None:
                messages.insert(0, {"role": "system", "content": self._system})
            else:
                apart = "\n" if isinstance(data["messages"][0].get("content"), list) else ""
                first["content"] = self._system + apart + first["content"]
        begun = ""
        if messages and messages[-1].get("role") == "assistant" and not messages[-1].get("tool_calls"):
            begun = messages.pop()["content"]
        opens = data.get("add_generation_prompt") is not False
        if self._known is not None:
            text = self._known.prompt(messages, opens=opens)
        else:
            wanted = data.get("chat_template_kwargs")
            thinks = {} if self._thinks is None else {"enable_thinking": self._thinks}
            given = {
                "messages": messages, "tools": data.get("tools") or None, "add_generation_prompt": opens,
                **thinks, **(wanted if isinstance(wanted, dict) else {}),
            }  # fmt: skip
            text = _rendered(self.text, given)
        if self._thinks is False and text.rstrip().endswith("<think>"):
            # A template that always thinks: the thought is closed before it begins.
            text += "</think>"
        return text + begun


def _refuse(message: str) -> None:
    raise ValueError(message)


@lru_cache(maxsize=8)
def _compiled(text: str) -> Any:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals.update(
        raise_exception=_refuse, strftime_now=lambda form: datetime.now().astimezone().strftime(form)
    )
    try:
        return environment.from_string(text)
    except TemplateError as error:
        raise StartError(f"--chat-template: it is not a Jinja template: {error}") from None


def _rendered(text: str, given: dict[str, Any]) -> str:
    from jinja2 import TemplateError

    try:
        return str(_compiled(text).render(bos_token="", eos_token="<|im_end|>", **given))
    except TemplateError as error:
        raise ValueError(f"the chat template fails: {error}") from None
