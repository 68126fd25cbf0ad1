"""Settings files: what is wrong is named with file, line and key; nothing in a text makes the reader fail otherwise."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.typed_yaml import parse_yaml


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    color: Literal["red", "green"] = "red"
    size: int = 0


class Circle(msgspec.Struct, tag="circle", forbid_unknown_fields=True):
    radius: float = 0.0


class Square(msgspec.Struct, tag="square", forbid_unknown_fields=True):
    side: float = 0.0


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    title: str = ""
    count: int | None = None
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    named: dict[str, Leaf] = {}
    deep: dict[str, dict[str, list[Leaf]]] = {}
    either: Leaf | list[Leaf] | None = None
    shapes: list[Circle | Square] = []
    pair: tuple[int, ...] = ()
    free: dict[str, Any] = {}


def refusal(text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        parse_yaml(text, "mine.yaml", Tree)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_right_file_is_read() -> None:
    tree = parse_yaml("title: x\nleaves: [{color: green}]\ndeep: {a: {b: [{size: 2}]}}\nfree: {any: [1]}", "f", Tree)
    assert (tree.title, tree.leaves[0].color, tree.deep["a"]["b"][0].size, tree.free) == ("x", "green", 2, {"any": [1]})


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "null"])
def test_an_empty_file_holds_the_defaults(text: str) -> None:
    assert parse_yaml(text, "f", Tree).title == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("titel: x", "mine.yaml:1: key 'titel': unknown key. Allowed here: count, deep, either, "),
        ("title: x\nleaf:\n  size: 1\n  colour: red", "mine.yaml:4: key 'leaf.colour': unknown key."),
        ("leaves:\n- size: 1\n- color: red\n  sice: 2", "mine.yaml:4: key 'leaves[1].sice': unknown key."),
        ("named:\n  a: {size: 1}\n  b: {sise: 1}", "mine.yaml:3: key 'named.b.sise': unknown key."),
        ("deep:\n  a:\n    b:\n    - size: 1\n      hue: 1", "mine.yaml:5: key 'deep.a.b[0].hue': unknown key."),
        ("either:\n  hue: 1", "mine.yaml:2: key 'either.hue': unknown key."),
        ("either:\n- size: 1\n- hue: 1", "mine.yaml:3: key 'either[1].hue': unknown key."),
        ("1: x", "mine.yaml:1: key '1': unknown key."),
    ],
)
def test_an_unknown_key_is_named_with_its_place(text: str, place: str) -> None:
    assert refusal(text).startswith(place)


def test_a_near_miss_is_suggested() -> None:
    assert refusal("titel: x").endswith(" Did you mean 'title'?")
    assert "Did you mean" not in refusal("zzz: x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: 5", "mine.yaml:1: key 'title': expected a text in quotes, got a whole number (5)."),
        ("title: x\ncount: many", "mine.yaml:2: key 'count': expected a whole number or nothing, got a text (many)."),
        (
            "leaves:\n- size: 1\n- size: big",
            "mine.yaml:3: key 'leaves[1].size': expected a whole number, got a text (big).",
        ),
        (
            "named:\n  a: {size: 1}\n  b: {size: x}",
            "mine.yaml:3: key 'named.b.size': expected a whole number, got a text (x).",
        ),
        ("named:\n  a: {color: blue}", "mine.yaml:2: key 'named.a.color': expected one of red, green, got 'blue'."),
        (
            "deep:\n  a:\n    b: [{size: x}]",
            "mine.yaml:3: key 'deep.a.b[0].size': expected a whole number, got a text (x).",
        ),
        ("free: {1: x}", "mine.yaml:1: key 'free': a key of it: expected `str`, got `int`."),
        ("- a list", "mine.yaml:1: expected keys and values, got a list."),
        ("just text", "mine.yaml:1: expected keys and values, got a text (just text)."),
        ("pair: [1, x]", "mine.yaml:1: key 'pair[1]': expected a whole number, got a text (x)."),
        ("shapes: [{type: star}]", "mine.yaml:1: key 'shapes[0].type': invalid value 'star'."),
    ],
)
def test_a_wrong_type_is_named_with_its_place(text: str, message: str) -> None:
    assert refusal(text) == message


def test_shapes_with_a_tag_are_read_and_refused() -> None:
    tree = parse_yaml("shapes: [{type: circle, radius: 1}, {type: square, side: 2}]", "f", Tree)
    assert tree.shapes == [Circle(1), Square(2)]
    assert refusal("shapes:\n- {type: square, side: 2}\n- {type: square, radius: 2}") == (
        "mine.yaml:3: key 'shapes[1].radius': unknown key. Allowed here: side, type."
    )


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("title: x\ntitle: y", "title", 2),
        ("leaves:\n- size: 1\n  size: 2", "leaves[0].size", 3),
        ("{a: 1, a: 2}", "a", 1),
    ],
)
def test_a_doubled_key_is_refused(text: str, key: str, line: int) -> None:
    assert refusal(text) == f"mine.yaml:{line}: key '{key}' is given twice."


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (
            "title: [x",
            "mine.yaml:1 is not YAML: while parsing a flow sequence that begins on line 1: expected ',' or ']'",
        ),
        ("a: b: c", "mine.yaml:1 is not YAML: mapping values are not allowed here"),
        ("\ttitle: x", "mine.yaml:1 is not YAML: found character '\\t'"),
        (
            "title: x\n---\ntitle: y",
            "mine.yaml:2 is not YAML: expected a single document in the stream that begins",
        ),
        ("title: \x00", "mine.yaml is not YAML: unacceptable character"),
        ("title: *a", "mine.yaml:1 is not YAML: found undefined alias"),
        (
            "title: 2020-13-45",
            "mine.yaml:1: key 'title': '2020-13-45' cannot be read: month must be in 1..12. Hint: a date is",
        ),
        ("title: 0x_", "mine.yaml:1: key 'title': '0x_' cannot be read: "),
        ("title: !!timestamp x", "mine.yaml:1: key 'title': 'x' cannot be read: "),
        ("title: !!bool x", "mine.yaml:1: key 'title': 'x' cannot be read: "),
        ("? [a]\n: b", "mine.yaml:1: a key must be a text, not a list or a mapping."),
        ("free: &a\n  b: *a", "mine.yaml:1: key 'free.b' holds itself."),
        ("[" * 5000, "mine.yaml is nested too deeply."),
    ],
)
def test_what_is_no_yaml_is_refused_in_one_line(text: str, start: str) -> None:
    assert refusal(text).startswith(start)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system [echo]", "!!python/name:os.system", "!mine {}", "!!python/tuple [1]"]
)
def test_no_tag_makes_python_objects(tag: str) -> None:
    assert "could not determine a constructor for the tag" in refusal(f"title: {tag}")


def test_aliases_that_multiply_are_refused() -> None:
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert refusal("\n".join(levels)) == "mine.yaml has more than 100,000 keys and items, its aliases resolved."


YAML_LIKE = st.text(
    st.sampled_from(list("ab:-?&*!<>|[]{}#'\"%@`,\n\t \\0123456789.xe_+~=")) | st.characters(), max_size=60
)
KEYS = st.sampled_from(["title", "leaf", "leaves", "named", "deep", "either", "shapes", "pair", "free", "count"])


@given(YAML_LIKE)
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    try:
        parse_yaml(text, "mine.yaml", Tree)
    except ProfileError as error:
        assert str(error).startswith("mine.yaml")  # noqa: PT017 - not every text is refused


@given(KEYS, YAML_LIKE)
def test_no_value_makes_it_raise_anything_else(key: str, text: str) -> None:
    test_no_text_makes_it_raise_anything_else.hypothesis.inner_test(f"{key}: {text}")
