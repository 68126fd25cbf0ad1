"""The words of errors: places in a body, readers of JSON in other languages, and the problems that pydantic finds."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from InferenceLibrary.dialects.choices import BodyChoice, FieldChoice, ModelChoice, PromptChoices
from InferenceLibrary.simulator.answers.tokens import Vocabulary
from InferenceLibrary.simulator.core.request import Request
from InferenceLibrary.simulator.personalities.likeness.asks import ask_of
from InferenceLibrary.simulator.personalities.likeness.generation import asks_nothing
from InferenceLibrary.simulator.personalities.likeness.places import (
    NOT_THERE,
    Path,
    after,
    end_of,
    in_brackets,
    item_of,
    path_to,
    value_at,
    values_at,
)
from InferenceLibrary.simulator.personalities.likeness.problems import in_words, problems_of
from InferenceLibrary.simulator.personalities.likeness.reading import body_of, placed
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal, checked
from InferenceLibrary.simulator.personalities.likeness.server import made_late
from InferenceLibrary.simulator.personalities.likeness.wording import in_go, in_rust, in_serde

TEXT = '{"model": "m", "messages": [{"role": "user"}, {"role": "x", "n": [1, 2]}], "n": 3}'
DATA = json.loads(TEXT)


def test_values_are_found_with_their_paths() -> None:
    assert list(values_at(DATA, ["messages", "*", "role"])) == [
        (("messages", 0, "role"), "user"),
        (("messages", 1, "role"), "x"),
    ]
    assert list(values_at(DATA, ["messages", "-1", "n", "*"])) == [
        (("messages", 1, "n", 0), 1),
        (("messages", 1, "n", 1), 2),
    ]
    assert list(values_at(DATA, ["messages", "*", "text"])) == [
        (("messages", 0, "text"), NOT_THERE),
        (("messages", 1, "text"), NOT_THERE),
    ]
    assert value_at(DATA, ("messages", 1, "n", 1)) == 2
    assert value_at(DATA, ("messages", 7)) is NOT_THERE
    assert value_at(DATA, ("n", "x")) is NOT_THERE


@pytest.mark.parametrize(
    ("path", "ends", "goes_on"),
    [
        (("model",), '"m"', '"m"'),
        (("messages",), "2]}]", "2]}]"),
        (("messages", 0), '{"role": "user"}', '{"role": "user"}, '),
        (("messages", 0, "role"), '"user"', '"user"}'),
        (("messages", 1), "[1, 2]}", "[1, 2]}]"),
        (("messages", 1, "n", 0), "[1", "[1, "),
        (("n",), ": 3", ": 3}"),
    ],
)  # fmt: skip
def test_a_place_has_an_end_in_the_text(path: Path, ends: str, goes_on: str) -> None:
    assert TEXT[: end_of(TEXT, path)].endswith(ends)
    assert TEXT[: after(TEXT, path)].endswith(goes_on)


@pytest.mark.parametrize("path", [("zzz",), ("messages", 9), ("model", 0), (0,)])
def test_a_place_that_is_not_there_ends_with_the_text(path: Path) -> None:
    assert end_of(TEXT + "  ", path) == len(TEXT)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"a": 1, "b": NaN}', ("b",)),
        ('{"a": [1, {"b": x}]}', ("a", 1, "b")),
        ('{"a": 1,}', ()),
        ("x", ()),
        ('{"a: x', ()),
    ],
)  # fmt: skip
def test_a_text_breaks_off_in_a_value(text: str, path: Path) -> None:
    offset = next((place for place, letter in enumerate(text) if letter in "Nx"), len(text) - 1)
    assert path_to(text, offset) == path


def test_paths_are_written_with_brackets() -> None:
    assert in_brackets(("messages", 1, "content", 0, "type")) == "messages[1].content[0].type"
    assert item_of(("messages", 1, "content", 0)) == ("messages", 1)
    assert item_of(("stop",)) == ("stop",)


@pytest.mark.parametrize(
    ("value", "serde", "rust", "go"),
    [
        ("x", 'string "x"', 'String("x")', "string"),
        (5, "integer `5`", "Number(5)", "number"),
        (2.5, "floating point `2.5`", "Number(2.5)", "number"),
        (True, "boolean `true`", "Bool(true)", "bool"),
        (None, "null", "Null", "null"),
        ([""], "sequence", 'Array [String("")]', "array"),
        ({"a": 1}, "map", 'Object {"a": Number(1)}', "object"),
    ],
)
def test_each_language_tells_a_value_in_its_own_way(value: Any, serde: str, rust: str, go: str) -> None:
    assert (in_serde(value), in_rust(value), in_go(value)) == (serde, rust, go)


def request_of(body: bytes) -> Request:
    return Request("POST", "/x", {"content-type": "application/json"}, body, 0, keep_alive=False, version="1.1")


P = "[json.exception.parse_error.101] parse error at line 1, column "


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("hello", "1: syntax error while parsing value - invalid literal; last read: 'h'"),
        ("{", "2: syntax error while parsing object key - unexpected end of input; expected string literal"),
        ('{"model": "m", ', "16: syntax error while parsing object key - unexpected end of input; "
         "expected string literal"),
        ('{"a":1,}', "8: syntax error while parsing object key - unexpected '}'; expected string literal"),
        ("{'a':1}", "2: syntax error while parsing object key - invalid literal; last read: '{''; "
         "expected string literal"),
        ('{"t":NaN}', "6: syntax error while parsing value - invalid literal; last read: '\"t\":N'"),
        ('{"t":nope}', "7: syntax error while parsing value - invalid literal; last read: '\"t\":no'"),
        ('{"a" 1}', "6: syntax error while parsing object separator - unexpected number literal; expected ':'"),
        ('{"a":1 "b"}', "10: syntax error while parsing object - unexpected string literal; expected '}'"),
        ("[1 true]", "7: syntax error while parsing array - unexpected true literal; expected ']'"),
        ("{} x", "4: syntax error while parsing value - invalid literal; last read: '{} x'; expected end of input"),
        ('{"a":', "6: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal"),
        ('{"a":"x', "8: syntax error while parsing value - invalid string: missing closing quote; "
         "last read: '\"x'"),
        ('{"a":"\\ud800"}', "13: syntax error while parsing value - invalid string: surrogate U+D800..U+DBFF must be "
         "followed by U+DC00..U+DFFF; last read: '\"\\ud800\"'"),
    ],
)  # fmt: skip
def test_a_broken_body_is_told_as_a_library_for_c_does(body: str, told: str) -> None:
    assert refused(body.encode(), words="nlohmann", surrogates=False).values["found"] == P + told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "unexpected end of data: line 1 column 2 (char 1)"),
        ("{} x", "unexpected content after document: line 1 column 4 (char 3)"),
        ('{"a":"b",}', "trailing comma is not allowed: line 1 column 9 (char 8)"),
        ("\ufeff{}", "UTF-8 byte order mark (BOM) is not supported: line 1 column 1 (char 0)"),
        ('{\n"a": x}', "unexpected character: line 2 column 6 (char 7)"),
    ],
)
def test_a_text_may_be_told_in_other_words_than_values(body: str, told: str) -> None:
    refusal = refused(body.encode(), words="nlohmann", text_words="orjson")
    assert refusal.values["found"] == told
    assert refused(b"[]", words="nlohmann", text_words="orjson").values["found"] == "array"


def test_a_refusal_shows_what_was_sent_as_json() -> None:
    refusal = Refusal("type", "x", field="tools")
    refusal.path = ("tools", 0, "type")
    placed(refusal, b'{"tools": [{"type": "{no"}]}', {"tools": [{"type": "{no"}]}, BodyChoice(words="nlohmann"))
    told = {name: make() for name, make in refusal.late.items()}
    assert (told["in_json"], told["item_json"], told["found"]) == ('"{no"', '{"type":"{no"}', "string")
    assert told["field_json"] == '[\n  {\n    "type": "{no"\n  }\n]'
    assert told["broken"] == f"{P}3: syntax error while parsing object key - invalid literal; " + (
        "last read: '{no'; expected string literal"
    )


def refused(body: bytes, **choices: Any) -> Refusal:
    """How a body is refused."""
    with pytest.raises(Refusal) as found:
        body_of(request_of(body), BodyChoice(**choices))
    return found.value


@pytest.mark.parametrize(
    ("body", "serde", "go"),
    [
        ("hello", "expected value at line 1 column 1", "invalid character 'h' looking for beginning of value"),
        ('{"a": 1,}', "trailing comma at line 1 column 9",
         "invalid character '}' looking for beginning of object key string"),
        ("{'a': 1}", "key must be a string at line 1 column 2",
         "invalid character '\\'' looking for beginning of object key string"),
        ('{"t": NaN}', "t: expected value at line 1 column 7",
         "invalid character 'N' looking for beginning of value"),
        ('{"a": "NaN", "t": -Infinity}', "t: expected value at line 1 column 19",
         "invalid character '-' looking for beginning of value"),
        ('{"a" 1}', "expected `:` at line 1 column 6", "invalid character '1' after object key"),
        ('{"a": 1 "b"}', "expected `,` or `}` at line 1 column 9",
         "invalid character '\"' after object key:value pair"),
        ('{"a": [1 2]}', "a: expected `,` or `]` at line 1 column 10", "invalid character '2' after array element"),
        ('{"a": 1, ', "EOF while parsing a value at line 1 column 9", "unexpected EOF"),
        ("{", "EOF while parsing an object at line 1 column 1", "unexpected EOF"),
        ('{\n"a": x', "a: expected value at line 2 column 6", "invalid character 'x' looking for beginning of value"),
        ("\ufeff{}", "expected value at line 1 column 1", "invalid character 'ï' looking for beginning of value"),
    ],
)  # fmt: skip
def test_a_broken_body_is_told_in_the_words_of_its_reader(body: str, serde: str, go: str) -> None:
    values = refused(body.encode()).values
    assert values["within"] + values["found"] == serde
    assert refused(body.encode(), words="go").values["found"] == go


def test_bytes_and_halves_of_characters_are_told_with_their_place() -> None:
    values = refused(b'{"a": 1, "b": "\xff"}').values
    assert (values["within"], values["found"]) == ("b: ", "invalid unicode code point at line 1 column 17")
    values = refused(rb'{"a": [{"b": "\ud800"}]}', surrogates=False).values
    assert (values["within"], values["found"]) == ("a[0].b: ", "unexpected end of hex escape at line 1 column 21")


def test_bytes_that_are_not_a_text_may_be_replaced() -> None:
    assert body_of(request_of(b'{"b": "\xff"}'), BodyChoice(replaces_bytes=True)) == {"b": "\ufffd"}


def test_a_refusal_names_where_it_is() -> None:
    refusal = Refusal("type", "x", field="messages.*.role")
    refusal.path = ("messages", 1, "role")
    placed(refusal, TEXT.encode(), DATA, BodyChoice())
    told = {**refusal.values, **{name: make() for name, make in refusal.late.items()}}
    assert (told["place"], told["item"], told["parent"]) == ("messages[1].role", "messages[1]", "messages[1]")
    assert told["found"] == 'string "x"'
    ends = [told[name].rpartition(" ")[2] for name in ("at_end", "at_item", "at_parent", "after_item", "after_field")]
    assert ends == ["58", "72", "72", "73", "73"]


MODELS = {
    "Text": ModelChoice(fields={"type": "Literal['text']", "text": "str"}),
    "Image": ModelChoice(fields={"type": "Literal['image']", "detail?": "Literal['low', 'high', 'auto']"}),
    "Own": ModelChoice(fields={"name": "str | None"}, attributes=True),
}


@pytest.mark.parametrize(
    ("form", "value", "found"),
    [
        ("str", "x", []),
        ("str", 5, [("string_type", (), "Input should be a valid string")]),
        ("str | None", None, []),
        ("str | None", 5, [("string_type", (), "Input should be a valid string")]),
        ("int", "5", []),
        ("int", 5.0, []),
        ("int", "x", [("int_parsing", (), "Input should be a valid integer, unable to parse string as an integer")]),
        ("int", 2.5, [("int_from_float", (), "Input should be a valid integer, got a number with a fractional part")]),
        ("int", [], [("int_type", (), "Input should be a valid integer")]),
        ("float", "2.5", []),
        ("float", "hot", [("float_parsing", (), "Input should be a valid number, unable to parse string as a number")]),
        ("float", {}, [("float_type", (), "Input should be a valid number")]),
        ("bool", "yes", []),
        ("bool", 2, [("bool_parsing", (), "Input should be a valid boolean, unable to interpret input")]),
        ("bool", None, [("bool_type", (), "Input should be a valid boolean")]),
        ("dict", [], [("dict_type", (), "Input should be a valid dictionary")]),
        ("object", "x", [("model_attributes_type", (),
                          "Input should be a valid dictionary or object to extract fields from")]),
        ("iterable", 5, [("iterable_type", (), "Input should be iterable")]),
        ("list[int]", "x", [("list_type", (), "Input should be a valid list")]),
        ("list[str]", ["a", 1], [("string_type", (1,), "Input should be a valid string")]),
        ("Literal['a']", "b", [("literal_error", (), "Input should be 'a'")]),
        ("Literal['a', 'b', 'c']", 1, [("literal_error", (), "Input should be 'a', 'b' or 'c'")]),
        ("str | list[str]", 5, [("string_type", ("str",), "Input should be a valid string"),
                                ("list_type", ("list[str]",), "Input should be a valid list")]),
        ("str | list[str]", ["a"], []),
        ("Text", "x", [("dict_type", (), "Input should be a valid dictionary")]),
        ("Own", "x", [("model_attributes_type", (),
                       "Input should be a valid dictionary or object to extract fields from")]),
        ("Text", {"type": "text"}, [("missing", ("text",), "Field required")]),
        ("Image", {"type": "image"}, []),
        ("str | list[Text | Image]", [{"type": "zzz"}], [
            ("string_type", ("str",), "Input should be a valid string"),
            ("literal_error", ("list[union[Text,Image]]", 0, "Text", "type"), "Input should be 'text'"),
            ("missing", ("list[union[Text,Image]]", 0, "Text", "text"), "Field required"),
            ("literal_error", ("list[union[Text,Image]]", 0, "Image", "type"), "Input should be 'image'"),
        ]),
        ("Literal['a', 'b'] | Own", 5, [
            ("literal_error", ("literal['a','b']",), "Input should be 'a' or 'b'"),
            ("model_attributes_type", ("Own",), "Input should be a valid dictionary or object to extract fields from"),
        ]),
    ],
)  # fmt: skip
def test_a_value_has_the_problems_that_pydantic_finds(form: str, value: Any, found: list[tuple[Any, ...]]) -> None:
    assert [(one.kind, one.path, one.says) for one in problems_of(value, form, (), MODELS)] == found


def test_problems_are_listed_whole_or_shortly() -> None:
    problems = problems_of([{"type": "zzz"}], "str | list[Text | Image]", ("content",), MODELS)
    assert in_words(problems[1:2], "whole") == (
        "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'content', 'list[union[Text,Image]]', 0, "
        "'Text', 'type'), 'msg': \"Input should be 'text'\", 'input': 'zzz', 'ctx': {'expected': \"'text'\"}}"
    )
    assert in_words(problems[:1] + problems[2:3], "short") == (
        "2 validation errors:\n"
        "  {'type': 'string_type', 'loc': 'body.content', 'msg': 'Input should be a valid string', "
        "'input': '<list of 1 items>'}\n"
        "  {'type': 'missing', 'loc': 'body.content.0.Text.text', 'msg': 'Field required', "
        "'input': '<dict of 1 items>'}"
    )
    many = problems_of(list(range(12)), "list[str]", ("stop",), {})
    assert in_words(many, "short").splitlines()[-1] == "  ...and 2 more errors"
    assert len(in_words(many, "whole").splitlines()) == 13


def test_the_problems_of_all_fields_are_told_together() -> None:
    fields = {
        "n": FieldChoice(kind="integer", low=1, high=4),
        "stop": FieldChoice(form="str | list[str]"),
        "kind": FieldChoice(kind="text", one_of=["a", "b"]),
        "text": FieldChoice(kind="text", required=True),
        "top": FieldChoice(kind="number", above=0),
    }
    with pytest.raises(Refusal) as found:
        checked({"n": 0, "stop": 5, "kind": "c", "top": 0}, fields)
    assert [(one.kind, one.path) for one in found.value.problems] == [
        ("greater_than_equal", ("n",)),
        ("string_type", ("stop", "str")),
        ("list_type", ("stop", "list[str]")),
        ("literal_error", ("kind",)),
        ("missing", ("text",)),
        ("greater_than", ("top",)),
    ]
    assert found.value.problems[0].more == {"ge": 1}
    assert checked({"n": 4, "stop": ["a"], "text": "x"}, fields) == {"n": 4, "stop": ["a"], "text": "x"}


@pytest.mark.parametrize(
    ("field", "value", "limits"),
    [
        ({"low": 0, "high": 2}, 5.0, "in [0, 2]"),
        ({"above": 0, "high": 1}, 0.0, "in (0, 1]"),
        ({"low": 1}, 0.0, "at least 1"),
        ({"above": 0}, 0.0, "greater than zero"),
        ({"high": 2}, 3.0, "at most 2"),
        ({"low": 0, "high": 2}, float("nan"), "a finite number"),
    ],
)
def test_limits_are_told_in_words(field: dict[str, Any], value: float, limits: str) -> None:
    with pytest.raises(Refusal) as found:
        checked({"x": value}, {"x": FieldChoice(kind="number", **field)})
    assert found.value.values["limits"] == limits


def test_a_list_has_at_most_so_many_items() -> None:
    found = problems_of(["a"] * 5, "str | list[str, 4]", ("stop",), {})
    assert [(one.kind, one.path, one.more) for one in found] == [
        ("string_type", ("stop", "str"), None),
        ("too_long", ("stop", "list[str]"), {"field_type": "List", "max_length": 4, "actual_length": 5}),
    ]
    assert problems_of(["a"] * 4, "str | list[str, 4]", (), {}) == []


def test_names_of_models_that_begin_with_a_line_are_not_told() -> None:
    models = {"_A": ModelChoice(fields={"a": "int"}), "_B": ModelChoice(fields={"b": "int"})}
    found = problems_of({}, "_A | _B", ("x",), models)
    assert [one.dotted() for one in found] == ["body.x.a", "body.x.b"]


@pytest.mark.parametrize(
    ("body", "kind", "path", "more"),
    [
        (b"", "missing", (), None),
        (b"null", "missing", (), None),
        (b"[]", "model_attributes_type", (), None),
        (b'{"a": x}', "json_invalid", (6,), {"error": "Expecting value"}),
        (b"{} x", "json_invalid", (3,), {"error": "Extra data"}),
    ],
)
def test_a_body_that_is_not_an_object_has_a_problem(body: bytes, kind: str, path: Path, more: Any) -> None:
    assert [(one.kind, one.path, one.more) for one in refused(body).problems] == [(kind, path, more)]


def test_a_place_that_is_not_there_has_no_value_to_tell() -> None:
    refusal = Refusal("type", "x", field="format.type")
    refusal.path = ("format", "type")
    placed(refusal, b'{"format": {}}', {"format": {}}, BodyChoice())
    told = {name: make() for name, make in refusal.late.items()}
    assert told["in_rust"] == "Object {}"
    assert not {"found", "in_json", "item_json"} & set(told)


def test_values_are_made_for_templates_that_name_them_and_never_nested_too_deeply() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    refusal = Refusal("type", "x")
    refusal.late = {"in_rust": partial(in_rust, deep), "found": partial(in_serde, deep), "broken": partial(int, "x")}
    assert made_late(refusal, ["${in_rust}", {"a": "$found|null"}]) == {"in_rust": "...", "found": "sequence"}


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_without_an_end_is_not_an_integer(value: float) -> None:
    with pytest.raises(Refusal):
        checked({"n": value}, {"n": FieldChoice(kind="integer", takes=["fraction"])})


def test_odd_requests_are_read() -> None:
    assert not asks_nothing({"messages": [None]})
    assert asks_nothing({"messages": [{"content": []}]})
    assert ask_of("messages", {"n": -1}, "m", PromptChoices()).n == 1
    vocabulary = Vocabulary()
    assert vocabulary.text(vocabulary.ids("\ud800")) == "\ud800"
