"""What is wrong with the values of a request, as pydantic finds and tells it.

A *form* is what a value may be, written as a type of Python: `str | None`, `list[Text | Image]`, `Literal['a', 'b']`,
`iterable`, `list[str, 4]` for at most four, or the name of a model, which has fields with forms of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import ModelChoice
    from InferenceLibrary.simulator.personalities.likeness.places import Path

TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "1": True, "0": False,
          "t": True, "f": False, "y": True, "n": False}  # fmt: skip
"""The texts that count as truth values."""
_MOST = 10
"""Problems that the short way tells one by one."""


class Problem(NamedTuple):
    """One thing that is wrong."""

    kind: str
    path: Path
    """Where; names of the alternatives of a form that were tried stand in it as well."""
    says: str
    given: Any
    more: dict[str, Any] | None = None

    def told(self) -> dict[str, Any]:
        """Return it as pydantic lists it."""
        found = {"type": self.kind, "loc": ("body", *self.path), "msg": self.says, "input": self.given}
        return {**found, "ctx": self.more} if self.more else found

    def told_shortly(self) -> dict[str, Any]:
        """Return it as vLLM lists it: without the names of plain types, and without what is long."""
        return {**self.told(), "loc": self.dotted(), "input": _short(self.given)}

    def dotted(self) -> str:
        """Return where it is, with dots."""
        steps = (step for step in self.path if isinstance(step, int) or step[:1].isupper() or _is_key(step))
        return ".".join(["body", *map(str, steps)])


def _is_key(step: str) -> bool:
    return step.isidentifier() and step[0] != "_" and step not in _PLAIN


def _short(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    return str(value)


def in_words(problems: list[Problem], way: str) -> str:
    """Return the message of an error: its problems, one a line; the short way tells the first ones alone."""
    head = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}:"
    if way != "short":
        return "\n  ".join([head, *(str(one.told()) for one in problems)])
    lines = [head, *(str(one.told_shortly()) for one in problems[:_MOST])]
    if len(problems) > _MOST:
        lines.append(f"...and {len(problems) - _MOST} more errors")
    return "\n  ".join(lines)


def problems_of(value: Any, form: str, path: Path, models: Mapping[str, ModelChoice]) -> list[Problem]:
    """Return what is wrong with a value of a form."""
    return list(_wrong(value, _parsed(form), path, models))


@cache
def _parsed(form: str) -> ast.expr:
    return ast.parse(form, mode="eval").body


def _wrong(value: Any, form: ast.expr, path: Path, models: Mapping[str, ModelChoice]) -> Iterator[Problem]:
    match form:
        case ast.BinOp():
            yield from _of_none(value, list(_alternatives(form)), path, models)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            item, most = _item_and_most(inner)
            if not isinstance(value, list):
                yield Problem("list_type", path, "Input should be a valid list", value)
                return
            if most is not None and len(value) > most:
                says = f"List should have at most {most} items after validation, not {len(value)}"
                more = {"field_type": "List", "max_length": most, "actual_length": len(value)}
                yield Problem("too_long", path, says, value, more)
                return
            for number, one in enumerate(value):
                yield from _wrong(one, item, (*path, number), models)
        case ast.Subscript(slice=words):
            allowed = [each.value for each in (words.elts if isinstance(words, ast.Tuple) else [words])]  # type: ignore[attr-defined]
            if value not in allowed:
                yield literal_problem(value, allowed, path)
        case ast.Name(id=name) if name in _PLAIN:
            found = _PLAIN[name](value)
            if found is not None:
                yield Problem(found[0], path, found[1], value)
        case ast.Name(id=name):
            yield from _of_model(value, models[name], path, models)


def _item_and_most(inner: ast.expr) -> tuple[ast.expr, int | None]:
    """Return the form of the items of a list, and how many there may be: `list[str, 4]`."""
    match inner:
        case ast.Tuple(elts=[item, ast.Constant(value=int(most))]):
            return item, most
    return inner, None


def literal_problem(value: Any, allowed: list[Any], path: Path) -> Problem:
    """Return that a value is not one of those allowed."""
    shown = [repr(one) for one in allowed]
    words = " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    return Problem("literal_error", path, f"Input should be {words}", value, {"expected": words})


def bound_problem(value: Any, bound: str, limit: float, path: Path) -> Problem:
    """Return that a number is beyond a limit: `ge`, `le` or `gt`."""
    kind = {"ge": "greater_than_equal", "le": "less_than_equal", "gt": "greater_than"}[bound]
    words = kind.replace("_", " ") + (" to" if bound != "gt" else " than")
    words = words.replace("than equal", "than or equal").replace("than than", "than")
    return Problem(kind, path, f"Input should be {words} {limit:g}", value, {bound: limit})


_NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"


def object_problem(value: Any) -> Problem:
    """Return that a body is not an object."""
    return Problem("model_attributes_type", (), _NO_OBJECT, value)


def missing_problem(whole: Any, path: Path) -> Problem:
    """Return that an object lacks a field."""
    return Problem("missing", path, "Field required", whole)


def _alternatives(form: ast.expr) -> Iterator[ast.expr]:
    if isinstance(form, ast.BinOp):
        yield from _alternatives(form.left)
        yield form.right
    else:
        yield form


def _of_none(value: Any, forms: list[ast.expr], path: Path, models: Mapping[str, ModelChoice]) -> Iterator[Problem]:
    """Yield the problems with each form, where a value has none of them."""
    named = [form for form in forms if not (isinstance(form, ast.Constant) and form.value is None)]
    if value is None and len(named) < len(forms):
        return
    if len(named) == 1:
        yield from _wrong(value, named[0], path, models)
        return
    tried = [list(_wrong(value, form, (*path, _label(form)), models)) for form in named]
    if all(tried):
        for each in tried:
            yield from each


def _label(form: ast.expr) -> str:
    """Return how pydantic calls a form among others."""
    match form:
        case ast.Name(id=name):
            return name
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"list[{_label(_item_and_most(inner)[0])}]"
        case ast.BinOp():
            return f"union[{','.join(map(_label, _alternatives(form)))}]"
    return f"literal[{ast.unparse(form).partition('[')[2]}".replace(", ", ",")


def _of_model(value: Any, model: ModelChoice, path: Path, models: Mapping[str, ModelChoice]) -> Iterator[Problem]:
    if not isinstance(value, dict):
        if model.attributes:
            yield Problem("model_attributes_type", path, _NO_OBJECT, value)
        else:
            yield Problem("dict_type", path, "Input should be a valid dictionary", value)
        return
    for name, form in model.fields.items():
        key = name.removesuffix("?")
        if key in value:
            yield from _wrong(value[key], _parsed(form), (*path, key), models)
        elif key == name:
            yield missing_problem(value, (*path, key))


def _text(value: Any) -> tuple[str, str] | None:
    return None if isinstance(value, str) else ("string_type", "Input should be a valid string")


def _integer(value: Any) -> tuple[str, str] | None:
    says = "Input should be a valid integer"
    if isinstance(value, str):
        if value.strip().removeprefix("-").isdecimal():
            return None
        return "int_parsing", f"{says}, unable to parse string as an integer"
    if isinstance(value, float) and not value.is_integer():
        return "int_from_float", f"{says}, got a number with a fractional part"
    return None if isinstance(value, int | float) else ("int_type", says)


def _number(value: Any) -> tuple[str, str] | None:
    says = "Input should be a valid number"
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return "float_parsing", f"{says}, unable to parse string as a number"
        return None
    return None if isinstance(value, int | float) else ("float_type", says)


def _boolean(value: Any) -> tuple[str, str] | None:
    says = "Input should be a valid boolean"
    if isinstance(value, str):
        return None if value.lower() in TRUTHS else ("bool_parsing", f"{says}, unable to interpret input")
    if isinstance(value, int | float):
        return None if value in {0, 1} else ("bool_parsing", f"{says}, unable to interpret input")
    return "bool_type", says


_PLAIN: dict[str, Callable[[Any], tuple[str, str] | None]] = {
    "str": _text,
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "dict": lambda value: None if isinstance(value, dict) else ("dict_type", "Input should be a valid dictionary"),
    "list": lambda value: None if isinstance(value, list) else ("list_type", "Input should be a valid list"),
    "object": lambda value: None if isinstance(value, dict) else ("model_attributes_type", _NO_OBJECT),
    "iterable": lambda value: (
        None if isinstance(value, list | dict | str) else ("iterable_type", "Input should be iterable")
    ),
}
"""By the name of a plain type what it finds wrong with a value: the kind, and the words."""
KINDS = {"text": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "list", "object": "dict"}
"""The forms of the kinds of fields."""
