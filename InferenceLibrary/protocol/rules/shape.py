"""Shapes of JSON objects, as the references give them, and where a value does not fit its shape.

A shape says what must be there, of which type, and where `null` may stand. Keys that it does not name are allowed:
servers add their own. `fits` is quick, for it is asked for every chunk of a stream; `misfits` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from InferenceLibrary.protocol.strict_json import show

MISSING = "missing"
NULL = "null"
TYPE = "type"
VALUE = "value"


class Misfit(NamedTuple):
    """One place where a value does not fit its shape."""

    kind: str
    """`missing`, `null` where null may not stand, `type` (another JSON type), or `value`."""
    path: str
    """Where, as `choices[].delta.role`: without numbers, so that rules can tell places apart."""
    key: str
    """Where, as `choices[1].delta.role`."""
    expected: str
    got: str
    required: bool
    """Whether the key must be there at all."""

    def __str__(self) -> str:
        return f"{self.key or 'the whole'}: {self.got}, not {self.expected}"


class Shape:
    """What a value must be. `kind` is its Python type."""

    kind: type[Any] = object
    words = "anything"

    def fits(self, value: Any) -> bool:
        """Whether a value of the right type fits."""
        return True

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        """Where a value of the right type does not fit; nothing where it does."""
        return iter(())


class Anything(Shape):
    """Any value of any type."""


class Scalar(Shape):
    """A text, an integer, a boolean."""

    def __init__(self, kind: type[Any], words: str) -> None:
        self.kind = kind
        self.words = words


TEXT = Scalar(str, "a text")
INTEGER = Scalar(int, "an integer")
BOOLEAN = Scalar(bool, "true or false")
ANYTHING = Anything()


class Number(Shape):
    """An integer or a fraction."""

    kind = float
    words = "a number"


NUMBER = Number()


class Filled(Shape):
    """A text that is not empty."""

    kind = str
    words = "a text that is not empty"

    def fits(self, value: Any) -> bool:
        return bool(value)

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        if not value:
            yield Misfit(VALUE, path, key, self.words, show(value), True)


FILLED = Filled()


class Count(Shape):
    """An integer from 0."""

    kind = int
    words = "an integer from 0"

    def fits(self, value: Any) -> bool:
        return bool(value >= 0)

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        if value < 0:
            yield Misfit(VALUE, path, key, self.words, show(value), True)


COUNT = Count()


class OneOf(Shape):
    """One of some texts."""

    kind = str

    def __init__(self, *values: str) -> None:
        self.values = frozenset(values)
        self.words = " or ".join(f"'{value}'" for value in values)

    def fits(self, value: Any) -> bool:
        return value in self.values

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        if value not in self.values:
            yield Misfit(VALUE, path, key, self.words, show(value), True)


class ListOf(Shape):
    """A list of values of one shape."""

    kind = list
    words = "a list"

    def __init__(self, item: Shape) -> None:
        self.item = Field(item)

    def fits(self, value: Any) -> bool:
        fits = self.item.fits
        for one in value:  # noqa: SIM110  (asked for every chunk: a generator costs as much again)
            if not fits(one):
                return False
        return True

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        for number, one in enumerate(value):
            yield from self.item.misfits(one, f"{path}[]", f"{key}[{number}]")


class Field:
    """A key of an object, or an item of a list."""

    __slots__ = ("inner", "kind", "nullable", "required", "shape")

    def __init__(self, shape: Shape, *, required: bool = True, nullable: bool = False) -> None:
        self.shape = shape
        self.required = required
        self.nullable = nullable
        self.kind = shape.kind
        self.inner = None if isinstance(shape, Scalar | Number | Anything) else shape.fits
        """What else to ask of a value of the right type; None: nothing."""

    def fits(self, value: Any) -> bool:
        kind = type(value)
        if kind is not self.kind:
            if value is None:
                return self.nullable
            if self.kind is object:
                return self.inner is None or self.inner(value)
            return self.kind is float and kind is int
        return self.inner is None or self.inner(value)

    def misfits(self, value: Any, path: str, key: str) -> Iterator[Misfit]:
        kind = type(value)
        if value is None and not isinstance(self.shape, Anything):
            if not self.nullable:
                yield Misfit(NULL, path, key, self.shape.words, "null", self.required)
        elif kind is self.kind or self.kind is object:
            for misfit in self.shape.misfits(value, path, key):
                yield misfit if misfit.path != path else misfit._replace(required=self.required)
        elif not (self.kind is float and kind is int):
            yield Misfit(TYPE, path, key, self.shape.words, show(value), self.required)


def optional(shape: Shape) -> Field:
    """A key that need not be there, and is not null where it is."""
    return Field(shape, required=False)


def nullable(shape: Shape, *, required: bool = False) -> Field:
    """A key that may be null, and by default need not be there."""
    return Field(shape, required=required, nullable=True)


class ObjectOf(Shape):
    """An object with some keys; a bare shape stands for a key that must be there."""

    kind = dict
    words = "an object"

    def __init__(self, **fields: Shape | Field) -> None:
        self.fields: Mapping[str, Field] = {
            name: field if isinstance(field, Field) else Field(field) for name, field in fields.items()
        }
        self._needed = sum(field.required for field in self.fields.values())

    def fits(self, value: Any) -> bool:
        fields = self.fields
        needed = self._needed
        for key, item in value.items():
            field = fields.get(key)
            if field is None:
                continue
            if type(item) is not field.kind:
                if not field.fits(item):
                    return False
            elif field.inner is not None and not field.inner(item):
                return False
            needed -= field.required
        return needed == 0

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        dot, dotted = (f"{path}." if path else ""), (f"{key}." if key else "")
        for name, field in self.fields.items():
            if name not in value:
                if field.required:
                    yield Misfit(MISSING, dot + name, dotted + name, field.shape.words, "nothing", True)
            else:
                yield from field.misfits(value[name], dot + name, dotted + name)


OBJECT = ObjectOf()
LIST = ListOf(ANYTHING)


class Either(Shape):
    """A value of one of some shapes."""

    def __init__(self, *shapes: Shape) -> None:
        self.choices = [Field(shape) for shape in shapes]
        self.words = " or ".join(shape.words for shape in shapes)

    def fits(self, value: Any) -> bool:
        return any(choice.fits(value) for choice in self.choices)

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        if not self.fits(value):
            yield Misfit(TYPE, path, key, self.words, show(value), True)


class Amount(Shape):
    """A finite number from 0."""

    words = "a number from 0"

    def fits(self, value: Any) -> bool:
        return type(value) in {int, float} and bool(0 <= value < float("inf"))

    def misfits(self, value: Any, path: str = "", key: str = "") -> Iterator[Misfit]:
        if not self.fits(value):
            yield Misfit(VALUE, path, key, self.words, show(value), True)


AMOUNT = Amount()


def misfits_of(shape: Shape, value: Any) -> Iterator[Misfit]:
    """Where any value does not fit a shape."""
    return Field(shape).misfits(value, "", "")
