"""Requests of POST /execute: read as serde reads them, then every limit checked, all problems reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.request import Request
from InferenceLibrary.simulator.core.strict_numbers import decoder_for

_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1
_LONGEST_PROMPT = 32768
_MOST_TOKENS = 2048
_MOST_STOPS = 4
_LONGEST_STOP = 100
_DEFAULT_SEED = 42


class Rejected(ApiError):
    """The body does not have the shape of a job; answered with plain text, as the web framework does."""


class Invalid(ApiError):
    """Values are outside of their limits; `errors` names every one."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(400, "; ".join(error["message"] for error in errors))
        self.errors = errors


@dataclass(slots=True)
class Job:
    """One job, with the defaults filled in."""

    job_id: str
    prompt: str
    max_tokens: int
    temperature: float = 1.0
    seed: int = _DEFAULT_SEED
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    min_p: float = 0.0
    stop: list[str] = field(default_factory=list)


def parse_body(request: Request) -> dict[str, Any]:
    """Return the JSON object.

    Raises:
        Rejected: 415 without a JSON content type, 400 for what is not JSON, 422 for another JSON value.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Rejected(415, "Expected request with `Content-Type: application/json`")
    try:
        data = decoder_for(text := request.body.decode("utf-8")).decode(text)
    except (ValueError, RecursionError) as error:
        reason = "recursion limit exceeded" if isinstance(error, RecursionError) else str(error)
        raise Rejected(400, f"Failed to parse the request body as JSON: {reason}") from None
    if not isinstance(data, dict):
        raise _misshaped(f"invalid type: {_said(data)}, expected struct ExecuteRequest")
    return data


def read_job(data: dict[str, Any]) -> Job:
    """Return the job.

    Raises:
        Rejected: 422, a field is missing or of a wrong type; the first one is named.
        Invalid: 400, values are outside of their limits; all are named.
    """
    job = Job(_text(data, "job_id"), _text(data, "prompt"), _whole(data, "max_tokens", _U32))
    for name in ("temperature", "top_p", "repetition_penalty", "min_p"):
        if name in data:
            setattr(job, name, _number(data, name))
    if data.get("seed") is not None:
        job.seed = _whole(data, "seed", _U64)
    if "top_k" in data:
        job.top_k = _whole(data, "top_k", _U32)
    if "stop" in data:
        if not isinstance(data["stop"], list):
            raise _misshaped(f"stop: invalid type: {_said(data['stop'])}, expected a sequence")
        for item in data["stop"]:
            if not isinstance(item, str):
                raise _misshaped(f"stop: invalid type: {_said(item)}, expected a string")
        job.stop = data["stop"]
    errors = problems(job)
    if errors:
        raise Invalid(errors)
    return job


def problems(job: Job) -> list[dict[str, Any]]:
    """Return what is outside of its limits. A prompt is never told back."""
    errors: list[dict[str, Any]] = []

    def add(name: str, constraint: str, message: str, value: str | None = None) -> None:
        error = {"field": name, "constraint": constraint, "message": message}
        errors.append(error if value is None else {**error, "value": value})

    def limit(name: str, low: float, high: float, constraint: str, low_text: str, high_text: str) -> None:
        value = getattr(job, name)
        if value < low:
            got = "" if type(value) is int else f" (got {shown(value)})"
            add(name, constraint, f"{name} must be at least {low_text}{got}", shown(value))
        elif value > high:
            add(name, constraint, f"{name} must be at most {high_text} (got {shown(value)})", shown(value))

    if not job.job_id:
        add("job_id", "non_empty", "job_id must not be empty", "")
    length = len(job.prompt)
    if not 1 <= length <= _LONGEST_PROMPT:
        text = f"be at most {_LONGEST_PROMPT} characters (got {length})" if length else "not be empty"
        add("prompt", f"length(1..={_LONGEST_PROMPT})", f"prompt must {text}")
    limit("max_tokens", 1, _MOST_TOKENS, f"range(1..={_MOST_TOKENS})", "1", str(_MOST_TOKENS))
    limit("temperature", 0, 2, "range(0.0..=2.0)", "0.0", "2.0")
    limit("top_p", 0, 1, "range(0.0..=1.0)", "0.0", "1.0")
    limit("repetition_penalty", 0, 2, "range(0.0..=2.0)", "0.0", "2.0")
    if len(job.stop) > _MOST_STOPS:
        text = f"stop must have at most {_MOST_STOPS} sequences (got {len(job.stop)})"
        add("stop", f"max_count({_MOST_STOPS})", text, str(len(job.stop)))
    for index, item in enumerate(job.stop):
        size = len(item.encode("utf-8", "surrogatepass"))
        if not item:
            add("stop", "non_empty", f"stop sequence {index} must not be empty")
        elif size > _LONGEST_STOP:
            text = f"stop sequence {index} must be at most {_LONGEST_STOP} characters (got {size})"
            add("stop", f"max_length({_LONGEST_STOP})", text)
    limit("min_p", 0, 1, "range(0.0..=1.0)", "0.0", "1.0")
    return errors


def shown(value: float) -> str:
    """Return a number as Rust prints it: without a fraction when it has none."""
    text = repr(value)
    return text.removesuffix(".0")


def _text(data: dict[str, Any], name: str) -> str:
    value = _required(data, name)
    if not isinstance(value, str):
        raise _misshaped(f"{name}: invalid type: {_said(value)}, expected a string")
    return value


def _whole(data: dict[str, Any], name: str, highest: int) -> int:
    value = _required(data, name)
    kind = "u32" if highest == _U32 else "u64"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _misshaped(f"{name}: invalid type: {_said(value)}, expected {kind}")
    if not 0 <= value <= highest:
        raise _misshaped(f"{name}: invalid value: integer `{value}`, expected {kind}")
    return value


def _number(data: dict[str, Any], name: str) -> float:
    value = data[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _misshaped(f"{name}: invalid type: {_said(value)}, expected f32")
    return float(value)


def _required(data: dict[str, Any], name: str) -> Any:
    if name not in data:
        raise _misshaped(f"missing field `{name}`")
    return data[name]


def _misshaped(reason: str) -> Rejected:
    return Rejected(422, f"Failed to deserialize the JSON body into the target type: {reason}")


def _said(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    # A text may be a prompt, which is never told back.
    if isinstance(value, str):
        return "string"
    return "sequence" if isinstance(value, list) else "map"
