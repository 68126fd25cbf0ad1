"""What a server refuses, as its dialect has it: fields of a wrong kind, and what else is wrong with a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import FieldChoice, RefusalChoice, Test

_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "1": True, "0": False,
           "t": True, "f": False, "y": True, "n": False}  # fmt: skip


class Refusal(ApiError):
    """A request is refused by an error of the dialect. `values` are what its templates may name."""

    def __init__(
        self, name: str, message: str, *, streamed: bool = False, silent: bool = False, labelled: bool = False,
        **values: Any,
    ) -> None:  # fmt: skip
        super().__init__(400, message, param=values.get("param"))
        self.name = name
        self.values = values
        self.streamed = streamed
        self.silent = silent
        self.labelled = labelled


# Fields


def checked(data: dict[str, Any], fields: Mapping[str, FieldChoice]) -> dict[str, Any]:
    """Return a request with its fields as the server reads them; null is left out.

    Raises:
        Refusal: A field is missing, of a wrong kind, or out of its range.
    """
    found = dict(data)
    for name, field in fields.items():
        value = data.get(name)
        if field.ignored:
            found.pop(name, None)
            continue
        if value is None and (field.nullable or name not in data):
            found.pop(name, None)
            if field.required:
                raise Refusal(field.missing, f"'{name}' is required", param=name, field=name)
            continue
        read = _read(value, field)
        if read is _WRONG:
            if "any" in field.takes:
                del found[name]
                continue
            raise Refusal(
                field.wrong, f"'{name}' must be of kind {field.kind}, got {_short(value)}",
                param=name, field=name, value=value, found=in_serde(value), expected=field.expected or field.kind,
            )  # fmt: skip
        if not _in_range(read, field):
            raise Refusal(
                field.outside, f"'{name}' is out of its range: got {_short(value)}",
                param=name, field=name, value=value, low=field.low, high=field.high, found=in_serde(value),
                expected=field.expected or field.kind,
            )  # fmt: skip
        found[name] = read
    return found


_WRONG: Any = object()


def _read(value: Any, field: FieldChoice) -> Any:
    """Return a value as the kind of its field, by what the server takes for it."""
    reader = _READERS.get(field.kind)
    return value if reader is None else reader(value, field.takes)


def _integer(value: Any, takes: list[Any]) -> Any:
    if isinstance(value, str) and "text" in takes:
        try:
            return int(value)
        except ValueError:
            return _WRONG
    if isinstance(value, bool):
        return int(value) if "boolean" in takes else _WRONG
    if isinstance(value, float):
        if value.is_integer() or "fraction" in takes:
            return int(value)
        return _WRONG
    return value if isinstance(value, int) else _WRONG


def _number(value: Any, takes: list[Any]) -> Any:
    if isinstance(value, str) and "text" in takes:
        try:
            return float(value)
        except ValueError:
            return _WRONG
    if isinstance(value, bool):
        return float(value) if "boolean" in takes else _WRONG
    return float(value) if isinstance(value, int | float) else _WRONG


def _boolean(value: Any, takes: list[Any]) -> Any:
    if isinstance(value, str) and "text" in takes:
        return _TRUTHS.get(value.lower(), _WRONG)
    if isinstance(value, int | float) and not isinstance(value, bool) and "number" in takes:
        return bool(value) if value in {0, 1} else _WRONG
    return value if isinstance(value, bool) else _WRONG


def _of(kind: type) -> Callable[[Any, list[Any]], Any]:
    def read(value: Any, takes: list[Any]) -> Any:
        fits = isinstance(value, kind) or ("text" in takes and isinstance(value, str))
        return value if fits else _WRONG

    return read


_READERS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "text": _of(str),
    "list": _of(list),
    "object": _of(dict),
}


def _in_range(value: Any, field: FieldChoice) -> bool:
    if field.one_of and value not in field.one_of:
        return False
    if not isinstance(value, int | float):
        return True
    return (
        (field.low is None or value >= field.low)
        and (field.high is None or value <= field.high)
        and (field.above is None or value > field.above)
    )


# The rest


def refuse(
    data: dict[str, Any],
    refuses: list[RefusalChoice],
    api: str,
    counted: Mapping[str, Any],
    holds: Callable[[Mapping[str, Any], Mapping[str, Any]], bool],
) -> None:
    """Refuse what the dialect refuses.

    Args:
        data: The request.
        refuses: What is refused.
        api: The API that is asked.
        counted: What is counted of the request: `$prompt_tokens` and the like.
        holds: Whether flags are set as a `when` and an `unless` want it.

    Raises:
        Refusal: One of them holds.
    """
    for one in refuses:
        if (one.apis and api not in one.apis) or not holds(one.when, one.unless):
            continue
        if all(_found(place, test, data, counted) for place, test in one.asks.items()):
            where = next(iter(one.asks))
            raise Refusal(
                one.error, f"'{where}' is not taken as it is", own_param=one.param, says=one.message,
                field=one.param or where, value=_value_at(where, data),
                streamed=bool(one.streamed or one.silent) and data.get("stream") is True, silent=one.silent,
                labelled=one.labelled and data.get("stream") is True,
                **{name.lstrip("$"): value for name, value in counted.items()},
            )  # fmt: skip


def _value_at(place: str, data: dict[str, Any]) -> Any:
    return None if place.startswith("$") else next(iter(_values(data, place.split("."))), None)


def _found(place: str, test: Test, data: Any, counted: Mapping[str, Any]) -> bool:
    if place.startswith("$"):
        return _like(counted.get(place, _NOT_THERE), test)
    return any(_like(value, test) for value in _values(data, place.split(".")))


_NOT_THERE: Any = object()


def _values(data: Any, path: list[str]) -> Iterator[Any]:
    """Yield what stands at a place; `*` is each item."""
    if not path:
        yield data
    elif path[0] == "*":
        for item in data if isinstance(data, list) else ():
            yield from _values(item, path[1:])
    elif path[0].lstrip("-").isdigit():
        index = int(path[0])
        if isinstance(data, list) and -len(data) <= index < len(data):
            yield from _values(data[index], path[1:])
    elif isinstance(data, dict):
        if path[0] in data:
            yield from _values(data[path[0]], path[1:])
        elif len(path) == 1:
            yield _NOT_THERE


_KINDS: dict[str, Callable[[Any], bool]] = {
    "absent": lambda value: value is _NOT_THERE,
    "null": lambda value: value is None,
    "given": lambda value: value is not None and value is not _NOT_THERE,
    "empty": lambda value: value in ("", [], {}),
    "not empty": lambda value: value not in ("", [], {}) and value is not _NOT_THERE,
    "text": lambda value: isinstance(value, str),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: isinstance(value, bool),
    "broken JSON": lambda value: isinstance(value, str) and not _is_json(value),
    "true": lambda value: value is True,
    "false": lambda value: value is False,
}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _like(value: Any, test: Test) -> bool:
    kinds = [test.be] if isinstance(test.be, str) else test.be
    return (
        (kinds is None or any(_is(value, kind) for kind in kinds))
        and (test.equals is msgspec.UNSET or (value == test.equals and type(value) is type(test.equals)))
        and (not test.one_of or value in test.one_of)
        and (not test.none_of or (value is not _NOT_THERE and value not in test.none_of))
        and (test.above is None or (_KINDS["number"](value) and value > test.above))
        and (test.below is None or (_KINDS["number"](value) and value < test.below))
        and (test.longer is None or (isinstance(value, str | list) and len(value) > test.longer))
        and all(_found(place, one, value, {}) for place, one in test.has.items())
        and (test.finds is None or (isinstance(value, str) and re.search(test.finds, value) is not None))
    )


def _is(value: Any, kind: str) -> bool:
    if kind in _KINDS:
        return _KINDS[kind](value)
    # "not text": it is there, and something else.
    return value is not _NOT_THERE and not _KINDS[kind.removeprefix("not ")](value)


def in_serde(value: Any) -> str:
    """Return a value as Rust's serde tells it."""
    if value is None or isinstance(value, list | dict):
        return "null" if value is None else "sequence" if isinstance(value, list) else "map"
    text = json.dumps(value)
    kinds = {str: "string {}", bool: "boolean `{}`", int: "integer `{}`", float: "floating point `{}`"}
    return kinds[type(value)].format(text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
