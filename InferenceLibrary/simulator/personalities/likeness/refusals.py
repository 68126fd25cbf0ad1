"""What a server refuses, as its dialect has it: fields of a wrong kind, and what else is wrong with a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.personalities.likeness.places import NOT_THERE, Path, values_at
from InferenceLibrary.simulator.personalities.likeness.problems import (
    KINDS,
    TRUTHS,
    Problem,
    bound_problem,
    literal_problem,
    missing_problem,
    problems_of,
)

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import FieldChoice, ModelChoice, RefusalChoice, Test


class Refusal(ApiError):
    """A request is refused by an error of the dialect. `values` are what its templates may name."""

    def __init__(
        self, name: str, message: str, *, streamed: bool = False, silent: bool = False, labelled: bool = False,
        **values: Any,
    ) -> None:  # fmt: skip
        super().__init__(400, message, param=values.get("param"))
        self.name = name
        self.values = values
        self.late: dict[str, Callable[[], str]] = {}
        """What makes further values, for templates that name them."""
        self.path: Path = ()
        """Where in the request it is."""
        self.asks_stream = False
        """Whether the request asks for a stream."""
        self.field_kind = ""
        """The kind of the field."""
        self.problems: list[Problem] = []
        """What is wrong with the fields, where it is about their forms."""
        self.streamed = streamed
        self.silent = silent
        self.labelled = labelled


# Fields


def checked(
    data: dict[str, Any], fields: Mapping[str, FieldChoice], models: Mapping[str, ModelChoice] | None = None
) -> dict[str, Any]:
    """Return a request with its fields as the server reads them; null is left out.

    Raises:
        Refusal: A field is missing, of a wrong kind, or out of its range; the first one, with the problems of all.
    """
    found = dict(data)
    refused: list[Refusal] = []
    for name, field in fields.items():
        value = data.get(name)
        if field.ignored:
            found.pop(name, None)
            continue
        if value is None and (field.nullable or name not in data):
            found.pop(name, None)
            if field.required:
                refusal = Refusal(field.missing, f"'{name}' is required", param=name, field=name)
                refused.append(_at(refusal, name, [missing_problem(data, (name,))]))
            continue
        read = _read(value, field)
        problems = problems_of(value, field.form, (name,), models or {}) if field.form else []
        if read is _WRONG or problems:
            if "any" in field.takes:
                del found[name]
                continue
            kind = KINDS.get(field.kind)
            problems = problems or (problems_of(value, kind, (name,), {}) if kind else [])
            says = f"must be of kind {field.kind}"
            refused.append(_refusal(field.wrong, says, name, field, value, problems))
            continue
        problem = _beyond(read, value, field, name)
        if problem is not None:
            refused.append(
                _refusal(
                    field.outside,
                    "is out of its range",
                    name,
                    field,
                    value,
                    [problem],
                    read=read,
                    limits=limits_of(field, read),
                )
            )
            continue
        found[name] = read
    if refused:
        refused[0].problems = [problem for refusal in refused for problem in refusal.problems]
        raise refused[0]
    return found


def _at(refusal: Refusal, name: str, problems: list[Problem]) -> Refusal:
    refusal.path, refusal.problems = (name,), problems
    return refusal


def _refusal(
    error: str, says: str, name: str, field: FieldChoice, value: Any, problems: list[Problem], **more: Any
) -> Refusal:
    refusal = Refusal(
        error, f"'{name}' {says}: got {_short(value)}", param=name, field=name, value=value,
        expected=field.expected or field.kind, low=field.low, high=field.high, **more,
    )  # fmt: skip
    refusal.field_kind = field.kind
    return _at(refusal, name, problems)


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
        fits = isfinite(value) and (value.is_integer() or "fraction" in takes)
        return int(value) if fits else _WRONG
    return value if isinstance(value, int) else _WRONG


def _number(value: Any, takes: list[Any]) -> Any:
    if isinstance(value, str) and "text" in takes:
        try:
            return float(value)
        except ValueError:
            return _WRONG
    if isinstance(value, bool):
        return float(value) if "boolean" in takes else _WRONG
    try:
        return float(value) if isinstance(value, int | float) else _WRONG
    except OverflowError:
        return _WRONG


def _boolean(value: Any, takes: list[Any]) -> Any:
    if isinstance(value, str) and "text" in takes:
        return TRUTHS.get(value.lower(), _WRONG)
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


def _beyond(value: Any, given: Any, field: FieldChoice, name: str) -> Problem | None:
    """Return which limit a value that was read does not keep, with it as it was given; None where it keeps all."""
    if field.one_of and value not in field.one_of:
        return literal_problem(value, list(field.one_of), (name,))
    if not isinstance(value, int | float):
        return None
    # NaN keeps none of them.
    for bound, limit, kept in (
        ("ge", field.low, field.low is None or value >= field.low),
        ("gt", field.above, field.above is None or value > field.above),
        ("le", field.high, field.high is None or value <= field.high),
    ):
        if limit is not None and not kept:
            return bound_problem(given, bound, limit if field.kind == "number" else int(limit), (name,))
    return None


def limits_of(field: FieldChoice, value: Any) -> str:
    """Return what a number must be, in words."""
    if isinstance(value, float) and not isfinite(value):
        return "a finite number"
    low = field.low if field.low is not None else field.above
    if low is None and field.high is None:
        return ""
    if low is None or field.high is None:
        if field.above is not None:
            return f"greater than {'zero' if field.above == 0 else f'{field.above:g}'}"
        return f"at most {field.high:g}" if low is None else f"at least {low:g}"
    return f"in {'[' if field.above is None else '('}{low:g}, {field.high:g}]"


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
        matches = [_match(place, test, data, counted) for place, test in one.asks.items()]
        if None not in matches:
            where = next(iter(one.asks))
            path, value = next(filter(None, matches))
            refusal = Refusal(
                one.error, f"'{where}' is not taken as it is", own_param=one.param, says=one.message,
                field=one.param or where, value=None if value is NOT_THERE else value,
                streamed=bool(one.streamed or one.silent) and data.get("stream") is True, silent=one.silent,
                labelled=one.labelled and data.get("stream") is True,
                **{name.lstrip("$"): value for name, value in counted.items()},
            )  # fmt: skip
            refusal.path = path
            raise refusal


def _match(place: str, test: Test, data: Any, counted: Mapping[str, Any]) -> tuple[Path, Any] | None:
    """Return the first value at a place that is as a test wants it, and the path to it; None where none is."""
    if place.startswith("$"):
        value = counted.get(place, NOT_THERE)
        return ((), value) if _like(value, test) else None
    return next((found for found in values_at(data, place.split(".")) if _like(found[1], test)), None)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "absent": lambda value: value is NOT_THERE,
    "null": lambda value: value is None,
    "given": lambda value: value is not None and value is not NOT_THERE,
    "empty": lambda value: value in ("", [], {}),
    "not empty": lambda value: value not in ("", [], {}) and value is not NOT_THERE,
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
        and (not test.none_of or (value is not NOT_THERE and value not in test.none_of))
        and (test.above is None or (_KINDS["number"](value) and value > test.above))
        and (test.below is None or (_KINDS["number"](value) and value < test.below))
        and (test.longer is None or (isinstance(value, str | list) and len(value) > test.longer))
        and all(_match(place, one, value, {}) is not None for place, one in test.has.items())
        and (test.finds is None or (isinstance(value, str) and re.search(test.finds, value) is not None))
    )


def _is(value: Any, kind: str) -> bool:
    if kind in _KINDS:
        return _KINDS[kind](value)
    # "not text": it is there, and something else.
    return value is not NOT_THERE and not _KINDS[kind.removeprefix("not ")](value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
