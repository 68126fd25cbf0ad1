"""Reading the requests of the OpenAI API: what is wrong is refused with the name of the parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import JSON
from InferenceLibrary.simulator.core.strict_numbers import decoder_for

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Turn

_MISSING: Any = object()
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_MOST_STOPS = 4
_MOST_IDS = 2**20
"""More than any vocabulary holds: an id of a token is below it."""
_PARTS = {
    "text",
    "input_text",
    "output_text",
    "refusal",
    "image_url",
    "input_image",
    "input_audio",
    "file",
    "input_file",
}


def read_json(request: Request, *, any_type: bool = False) -> dict[str, Any]:
    """Return the body, which must be a JSON object in UTF-8; `any_type` accepts every content type.

    Raises:
        ApiError: 400, or 415 for a body that says that it is something else.
    """
    content_type = request.headers.get("content-type", JSON)
    if content_type != JSON and not any_type:
        content_type = content_type.partition(";")[0].strip().lower()
        if content_type and "json" not in content_type:
            raise ApiError(415, f"The content type must be application/json, not {content_type}")
    try:
        text = request.body.decode("utf-8")
        data = _decode(text)
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply") from None
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ApiError(400, f"The body must be a JSON object, not {_kind(data)}")
    if "\\u" in text and ("\\ud" in text or "\\uD" in text):
        return _without_surrogates_in(data)
    return data


def _decode(text: str) -> Any:
    decoder = decoder_for(text)
    if text.startswith("{"):
        # Without a look for white space around it, which is seldom there.
        data, end = decoder.raw_decode(text)
        if end == len(text):
            return data
    return decoder.decode(text)


def _without_surrogates(value: Any) -> Any:
    """Replace lone surrogates, which JSON can write and UTF-8 cannot, as Go's decoder does."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return _without_surrogates_in(value)
    return value


def _without_surrogates_in(data: dict[str, Any]) -> dict[str, Any]:
    return {_without_surrogates(key): _without_surrogates(item) for key, item in data.items()}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")


def take(data: dict[str, Any], name: str, kinds: tuple[type, ...], default: Any = _MISSING) -> Any:
    """Return `data[name]` when it is of one of the kinds; null counts as absent.

    Raises:
        ApiError: 400; it is missing without a default, or of another kind.
    """
    value = data.get(name)
    if type(value) in kinds:
        return value
    if value is None:
        if default is _MISSING:
            raise ApiError(400, f"'{name}' is required", param=name)
        return default
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        if int in kinds and float not in kinds and isinstance(value, float):
            raise ApiError(400, f"'{name}' must be a whole number, not {value:g}", param=name)
        wanted = " or ".join(dict.fromkeys(_kind(kind()) for kind in kinds))
        raise ApiError(400, f"'{name}' must be {wanted}, not {_kind(value)}", param=name)
    return value


def take_number(data: dict[str, Any], name: str, low: float, high: float) -> float | None:
    """Return a number within limits, or None when it is not given."""
    value = take(data, name, (int, float), None)
    if value is not None and not low <= value <= high:
        raise ApiError(400, f"'{name}' must be from {low:g} to {high:g}, got {value:g}", param=name)
    return value  # type: ignore[no-any-return]


@dataclass(slots=True)
class Ask:
    """What a generating request asks for."""

    model: str
    prompts: list[str]  # one text a prompt; a chat has one
    prompt_tokens: int
    echo_text: str = ""
    stream: bool = False
    stream_given: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    n: int = 1
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    temperature: float | None = None
    ignore_eos: bool = False
    logprobs: int | None = None  # top alternatives asked for
    top_given: bool = False  # whether their number was given
    echo: bool = False
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    remote_prefill: bool = False
    do_remote_decode: bool = False
    cached_tokens: int = 0
    values_made: int = 0  # values and characters, for its schemas


_SELDOM = frozenset(
    {
        "stream_options",
        "n",
        "stop",
        "seed",
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "ignore_eos",
        "kv_transfer_params",
        "do_remote_prefill",
        "do_remote_decode",
    }
)
"""Parameters that most requests do not have: one look tells that there is none of them."""
_SELDOM_IN_CHATS = frozenset(
    {"logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "parallel_tool_calls"}
)


def is_strict(turn: Turn) -> bool:
    """Whether the server takes no more than OpenAI's reference does."""
    return turn.app.strict


def model_of(turn: Turn, data: dict[str, Any]) -> str:
    """Return the model that is asked for: the first that is served, where the request names none and need not.

    Raises:
        ApiError: 400, it is not a text, or it is missing where the reference needs it.
    """
    name: str = take(data, "model", (str,), _MISSING if is_strict(turn) else turn.app.settings.names[0])
    return name


def check_ids(value: Any, name: str) -> None:
    """Refuse a list that holds an id, or a list with an id, that no vocabulary has.

    Raises:
        ApiError: 400, an id of a token is below 0 or too large.
    """
    if not isinstance(value, list):
        return
    for item in value:
        for token in item if isinstance(item, list) else (item,):
            if type(token) is int and not 0 <= token < _MOST_IDS:
                raise ApiError(400, f"'{name}' must not hold the token id {token}: no vocabulary has it", param=name)


def read_common(data: dict[str, Any], ask: Ask, *, strict: bool) -> None:
    """Fill in the parameters that chat and text completions share; `strict` refuses what is not in the reference."""
    ask.stream = take(data, "stream", (bool,), False)
    if not _SELDOM.isdisjoint(data):
        _read_seldom(data, ask, strict=strict)
    for name in ("max_tokens", "max_completion_tokens"):
        if name in data and (limit := take(data, name, (int,), None)) is not None:
            if limit <= 0:
                raise ApiError(400, f"'{name}' must be positive, got {limit}", param=name)
            ask.max_tokens = limit


def _read_seldom(data: dict[str, Any], ask: Ask, *, strict: bool) -> None:
    """Read the parameters that few requests have; each is looked at where it is there only."""
    if "stream_options" in data and (options := take(data, "stream_options", (dict,), None)) is not None:
        if not ask.stream:
            raise ApiError(400, "'stream_options' is only allowed when 'stream' is true", param="stream_options")
        ask.include_usage = take(options, "include_usage", (bool,), False)
    if "n" in data:
        ask.n = take(data, "n", (int,), 1)
        if not 1 <= ask.n <= 128:
            raise ApiError(400, f"'n' must be from 1 to 128, got {ask.n}", param="n")
    if data.get("stop") is not None:
        ask.stop = _read_stops(data["stop"], strict=strict)
    if "seed" in data:
        ask.seed = take(data, "seed", (int,), None)
        if strict and ask.seed is not None and not -(2**63) <= ask.seed < 2**63:
            raise ApiError(400, f"'seed' must fit into 64 bits, got {ask.seed}", param="seed")
    if "temperature" in data:
        ask.temperature = take_number(data, "temperature", 0, 2)
    for name, low, high in _RANGES:
        if name in data:
            take_number(data, name, low, high)
    if "ignore_eos" in data:
        ask.ignore_eos = take(data, "ignore_eos", (bool,), False)
    transfer: dict[str, Any] = {}
    if "kv_transfer_params" in data:
        transfer = take(data, "kv_transfer_params", (dict,), None) or {}
    ask.remote_prefill = transfer.get("do_remote_prefill") is True or data.get("do_remote_prefill") is True
    ask.do_remote_decode = transfer.get("do_remote_decode") is True or data.get("do_remote_decode") is True


_RANGES = (("top_p", 0, 1), ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2))


def _read_stops(stop: Any, *, strict: bool) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(item, str) for item in stops):
        raise ApiError(400, "'stop' must be a string or an array of strings", param="stop")
    if strict and len(stops) > _MOST_STOPS:
        raise ApiError(400, f"'stop' must hold at most {_MOST_STOPS} strings, got {len(stops)}", param="stop")
    if "" in stops:
        raise ApiError(400, "'stop' must not hold an empty string", param="stop")
    return stops


def content_text(content: Any, where: str, *, strict: bool = False) -> str:
    """Return the text of a message's content: a string, null, or parts; `strict` takes the parts of the reference only.

    Raises:
        ApiError: 400, it is none of these.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ApiError(400, f"'{where}' must be a string or an array of parts, not {_kind(content)}", param=where)
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise ApiError(400, f"'{where}[{index}]' must be an object with a type", param=where)
        if strict and part["type"] not in _PARTS:
            raise ApiError(400, f"'{where}[{index}].type' cannot be '{part['type']}'", param=where)
        if part["type"] in {"text", "input_text", "output_text"}:
            text = part.get("text")
            if not isinstance(text, str):
                raise ApiError(400, f"'{where}[{index}].text' must be a string", param=where)
            texts.append(text)
    return " ".join(texts)


def read_chat(turn: Turn, data: dict[str, Any]) -> Ask:
    """Read a chat completion request."""
    messages = take(data, "messages", (list,), [])
    strict = is_strict(turn)
    texts: list[str] = []
    last_user = ""
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ApiError(400, f"'messages[{index}]' must be an object, not {_kind(message)}", param="messages")
        role = message.get("role")
        if not isinstance(role, str) or not role:
            raise ApiError(400, f"'messages[{index}].role' is required", param="messages")
        if strict and role not in ROLES:
            raise ApiError(400, f"'messages[{index}].role' must be one of {', '.join(ROLES)}", param="messages")
        text = message.get("content")
        if not isinstance(text, str):
            if strict and text is None and role != "assistant":
                raise ApiError(400, f"'messages[{index}].content' is required", param="messages")
            text = content_text(text, f"messages[{index}].content", strict=strict)
        if strict and role == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise ApiError(400, f"'messages[{index}].tool_call_id' is required", param="messages")
        texts.append(text)
        if role == "user":
            last_user = text
    ask = Ask(
        model=model_of(turn, data),
        prompts=["\n".join(texts)],
        prompt_tokens=sum(map(count_tokens, texts)),
        echo_text=last_user or (texts[-1] if texts else ""),
    )
    read_common(data, ask, strict=strict)
    if not _SELDOM_IN_CHATS.isdisjoint(data):
        _read_seldom_in_chats(data, ask)
    if not messages:
        raise ApiError(400, "'messages' must hold at least one message", param="messages")
    return ask


def _read_seldom_in_chats(data: dict[str, Any], ask: Ask) -> None:
    if take(data, "logprobs", (bool,), False):
        ask.logprobs = int(take_number(data, "top_logprobs", 0, 20) or 0)
    elif data.get("top_logprobs") is not None:
        raise ApiError(400, "'top_logprobs' is only allowed when 'logprobs' is true", param="top_logprobs")
    ask.response_format = _read_format(take(data, "response_format", (dict,), None))
    ask.tools = take(data, "tools", (list,), [])
    ask.tool_choice = take(data, "tool_choice", (str, dict), "auto")
    ask.parallel_tool_calls = take(data, "parallel_tool_calls", (bool,), True)


def read_text_format(text: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON schema that `text` of a response asks for, or None for free text.

    Raises:
        ApiError: 400, its format is not one.
    """
    given = take(text, "format", (dict,), None)
    return _read_format(given and {**given, "json_schema": given}, "text.format")


def _read_format(given: dict[str, Any] | None, name: str = "response_format") -> dict[str, Any] | None:
    """Return the JSON schema that the answer must fit, or None for free text."""
    kind = "text" if given is None else given.get("type")
    if given is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    holder = given.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise ApiError(400, f"'{name}' must be text, json_object, or json_schema with a schema", param=name)
    return schema


def read_completion(turn: Turn, data: dict[str, Any]) -> Ask:
    """Read a text completion request: the prompt is text, a list of texts, token ids, or a list of id lists."""
    prompt = take(data, "prompt", (str, list))
    prompts, tokens = [], 0
    if is_strict(turn):
        check_ids(prompt, "prompt")
    if isinstance(prompt, str):
        prompts, tokens = [prompt], count_tokens(prompt)
    elif not prompt:
        raise ApiError(400, "'prompt' must not be an empty array", param="prompt")
    elif all(type(item) is int for item in prompt):
        prompts, tokens = [_ids_text(prompt)], len(prompt)
    else:
        for index, item in enumerate(prompt):
            if isinstance(item, str):
                prompts.append(item)
                tokens += count_tokens(item)
            elif isinstance(item, list) and item and all(type(token) is int for token in item):
                prompts.append(_ids_text(item))
                tokens += len(item)
            else:
                raise ApiError(400, f"'prompt[{index}]' must be a string or an array of token ids", param="prompt")
    ask = Ask(
        model=model_of(turn, data),
        prompts=prompts,
        prompt_tokens=tokens,
        echo_text=prompts[0],
    )
    read_common(data, ask, strict=is_strict(turn))
    ask.logprobs = take(data, "logprobs", (int,), None)
    if ask.logprobs is not None and not 0 <= ask.logprobs <= 20:
        raise ApiError(400, f"'logprobs' must be from 0 to 20, got {ask.logprobs}", param="logprobs")
    ask.echo = take(data, "echo", (bool,), False)
    return ask


def _ids_text(ids: list[int]) -> str:
    """Return a text for token ids, which may be those of any tokenizer."""
    return " ".join(f"t{number}" for number in ids)
