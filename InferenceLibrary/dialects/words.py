"""The words of a dialect's choices that must exist: names of templates, errors, flags, APIs."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from InferenceLibrary.dialects.choice_names import ANSWERS, APIS, ERRORS, FORMS, NAMES
from InferenceLibrary.dialects.choices import OpenChoices
from InferenceLibrary.dialects.templates import joined, template_names

_Found = Iterator[tuple[str, str]]


def wrong_word(choices: OpenChoices) -> tuple[str, str] | None:
    """Return the place of the first word that does not exist, and what is wrong with it; None: all of them do."""
    return next(_wrong_words(choices), None)


def _wrong_words(choices: OpenChoices) -> _Found:
    yield from _in_errors(choices)
    yield from _in_requests(choices)
    yield from _in_routes(choices)
    yield from _in_answers(choices)
    for number, variant in enumerate(choices.variants):
        yield from _flags(f"variants[{number}]", choices, variant.when, variant.unless)
        both = joined(msgspec.structs.replace(choices, variants=[]), variant.choices)
        for place, wrong in _wrong_words(both):
            yield f"variants[{number}].choices.{place}", wrong


def _in_errors(choices: OpenChoices) -> _Found:
    for name, error in choices.errors.items():
        for place, word in (("shape", error.shape), ("stream_shape", error.stream_shape)):
            if word not in {"", "default", *choices.shapes}:
                yield f"errors.{name}.{place}", _unknown(word, "a shape", choices.shapes)
        yield from _names_of(f"errors.{name}", [error.param, error.code, error.message])
    for name, shape in choices.shapes.items():
        yield from _names_of(f"shapes.{name}", shape.body)


def _in_requests(choices: OpenChoices) -> _Found:
    known = {*ERRORS, *choices.errors}
    for apis, fields in choices.fields.items():
        yield from _apis(f"fields.{apis}", apis.split())
        for name, field in fields.items():
            for word in (field.wrong, field.outside, field.missing):
                if word not in known:
                    yield f"fields.{apis}.{name}", _unknown(word, "an error", known)
            yield from _form(f"fields.{apis}.{name}.form", field.form, choices)
    for name, model in choices.models.items():
        for field_name, form in model.fields.items():
            yield from _form(f"models.{name}.fields.{field_name}", form, choices)
    for number, refusal in enumerate(choices.refuses):
        if refusal.error not in known:
            yield f"refuses[{number}].error", _unknown(refusal.error, "an error", known)
        yield from _apis(f"refuses[{number}].apis", refusal.apis)
        yield from _flags(f"refuses[{number}]", choices, refusal.when, refusal.unless)
        yield from _names_of(f"refuses[{number}].message", refusal.message)


def _form(place: str, form: str, choices: OpenChoices) -> _Found:
    if not form:
        return
    try:
        parsed = ast.parse(form, mode="eval")
    except SyntaxError:
        yield place, f"expected a type of Python such as 'str | list[int]', got '{form}'"
        return
    known = {*FORMS, *choices.models}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Name) and node.id not in known:
            yield place, _unknown(node.id, "a form or a model", known)


def _in_routes(choices: OpenChoices) -> _Found:
    known = {*ERRORS, *choices.errors}
    if choices.tools.uncalled and choices.tools.uncalled not in known:
        yield "tools.uncalled", _unknown(choices.tools.uncalled, "an error", known)
    if choices.prefix_flag:
        yield from _flags("prefix_flag", choices, {choices.prefix_flag: True})
    for path, route in choices.routes.items():
        if not re.fullmatch(r"[A-Z]+ /\S*", path):
            yield f"routes.{path}", f"expected a method and a path such as 'GET /health', got '{path}'"
        yield from _flags(f"routes.{path}", choices, route.when, route.unless)
        for word in filter(None, (route.error, route.otherwise)):
            if word not in known:
                yield f"routes.{path}", _unknown(word, "an error", known)
        yield from _names_of(f"routes.{path}.body", route.body)


def _in_answers(choices: OpenChoices) -> _Found:
    for api, templates in choices.answers.items():
        if api not in ANSWERS:
            yield f"answers.{api}", _unknown(api, "an API with answers", ANSWERS)
            continue
        parts = ANSWERS[api].split()
        for name, template in templates.items():
            if name not in parts:
                yield f"answers.{api}.{name}", _unknown(name, f"a part of answers of {api}", parts)
            yield from _names_of(f"answers.{api}.{name}", template)


def _apis(place: str, apis: list[str]) -> _Found:
    for api in apis:
        if api not in APIS:
            yield place, _unknown(api, "an API", APIS)


def _flags(place: str, choices: OpenChoices, *given: dict[str, Any]) -> _Found:
    for flag in (name for one in given for name in one):
        if flag not in choices.flags:
            yield place, _unknown(flag, "a flag", choices.flags)


def _names_of(place: str, template: Any) -> _Found:
    for name in template_names(template):
        if name not in NAMES:
            yield place, _unknown(name, "a name of templates", NAMES)


def _unknown(word: str, what: str, words: Any) -> str:
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.4)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{word}' is not {what}.{meant}"
