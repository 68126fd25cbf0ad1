"""What a dialect's choices must be like as a whole: the words that must exist, and values that can be served."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from InferenceLibrary.dialects import choice_checks as check
from InferenceLibrary.dialects.choice_checks import Found, unknown
from InferenceLibrary.dialects.choice_names import ANSWERS, APIS, CHUNKS, COUNTED, ERRORS, FORMS, IDS, METHODS, NATIVE
from InferenceLibrary.dialects.choices import OpenChoices, RouteChoice, Test
from InferenceLibrary.dialects.templates import joined

_CHUNKED = frozenset({"chat", "completions"})


def wrong_word(choices: OpenChoices) -> tuple[str, str] | None:
    """Return the place of the first word or value that cannot be, and what is wrong with it; None: all of them can."""
    return next(_wrong_words(choices), None)


def _wrong_words(choices: OpenChoices) -> Found:
    yield from _in_errors(choices)
    yield from _in_requests(choices)
    yield from _in_routes(choices)
    yield from _in_answers(choices)
    yield from _in_headers(choices)
    yield from _in_numbers(choices)
    if choices.native and choices.native not in NATIVE:
        yield "native", unknown(choices.native, "a module of the stand-in", NATIVE)
    for number, variant in enumerate(choices.variants):
        yield from _flags(f"variants[{number}]", choices, variant.when, variant.unless)
        both = joined(msgspec.structs.replace(choices, variants=[]), variant.choices)
        for place, wrong in _wrong_words(both):
            yield f"variants[{number}].choices.{place}", wrong


def _in_errors(choices: OpenChoices) -> Found:
    for name, error in choices.errors.items():
        place = f"errors.{name}"
        for key, word in (("shape", error.shape), ("stream_shape", error.stream_shape)):
            if word not in {"", "default", *choices.shapes}:
                yield f"{place}.{key}", unknown(word, "a shape", choices.shapes)
        shape = choices.shapes.get(error.shape)
        yield from check.status(place, error.status, None if shape is None else shape.body)
        yield from check.templates(place, {key: getattr(error, key) for key in ("type", "param", "code", "message")})
        yield from check.headers(f"{place}.headers", error.headers)
    for name, shape in choices.shapes.items():
        yield from check.template(f"shapes.{name}.body", shape.body)
        yield from check.header_value(f"shapes.{name}.content_type", shape.content_type)
    yield from _errors_of_none(choices)


def _errors_of_none(choices: OpenChoices) -> Found:
    """Find errors that nothing uses, and that are called nearly as one of the stand-in's is.

    Others may belong to a module, to the server behind a gateway, or to what a dialect that extends leaves out.
    """
    used = {word for one in (choices, *(variant.choices for variant in choices.variants)) for word in _used(one)}
    for name in choices.errors:
        api, _, rest = name.partition(" ")
        if {name, rest if api in APIS else name} & {*used, *ERRORS} or choices.native or choices.stands_on:
            continue
        if difflib.get_close_matches(name[:80], ERRORS, n=1, cutoff=0.75):
            yield f"errors.{name}", unknown(name, "an error that anything uses", ERRORS)


def _used(choices: OpenChoices) -> Iterator[str]:
    """Yield the errors that choices ask for."""
    yield from (choices.tools.uncalled, choices.unknown_fields)
    for fields in choices.fields.values():
        for field in fields.values():
            yield from (field.wrong, field.outside, field.missing)
    yield from (refusal.error for refusal in choices.refuses)
    for _, route in _all_routes(choices):
        yield from (route.error, route.otherwise)


def _in_requests(choices: OpenChoices) -> Found:
    known = {*ERRORS, *choices.errors}
    for apis, fields in choices.fields.items():
        yield from _apis(f"fields.{apis}", apis.split())
        for name, field in fields.items():
            for word in (field.wrong, field.outside, field.missing):
                yield from _error(f"fields.{apis}.{name}", word, known)
            yield from check.form(f"fields.{apis}.{name}.form", field.form, FORMS, choices.models)
    for name, model in choices.models.items():
        for field_name, form in model.fields.items():
            yield from check.form(f"models.{name}.fields.{field_name}", form, FORMS, choices.models)
    for number, refusal in enumerate(choices.refuses):
        place = f"refuses[{number}]"
        yield from _error(f"{place}.error", refusal.error, known)
        yield from _apis(f"{place}.apis", refusal.apis)
        yield from _flags(place, choices, refusal.when, refusal.unless)
        yield from check.template(f"{place}.message", refusal.message)
        for where, test in refusal.asks.items():
            if where.startswith("$") and where not in COUNTED:
                yield f"{place}.if.{where}", unknown(where, "counted of a request", COUNTED)
            yield from _tests(f"{place}.if.{where}", test)
    if choices.unknown_fields:
        yield from _error("unknown_fields", choices.unknown_fields, known)
    yield from check.pattern("key.guarded", choices.key.guarded)
    yield from check.pattern("key.bearer", choices.key.bearer, group="the key")
    yield from check.pattern("body.content_types", choices.body.content_types)


def _tests(place: str, test: Test) -> Found:
    yield from check.pattern(f"{place}.finds", test.finds)
    for where, one in test.has.items():
        yield from _tests(f"{place}.has.{where}", one)


def _all_routes(choices: OpenChoices) -> Iterator[tuple[str, RouteChoice]]:
    """Yield all that answers as a route does, by its place."""
    for path, route in choices.routes.items():
        yield f"routes.{path}", route
    for method, route in choices.redirects.items():
        yield f"redirects.{method}", route
    for name in ("options", "preflight", "origin", "request_id"):
        found = getattr(choices, name)
        if found is not None:
            yield name, found


def _in_routes(choices: OpenChoices) -> Found:
    known = {*ERRORS, *choices.errors}
    if choices.tools.uncalled:
        yield from _error("tools.uncalled", choices.tools.uncalled, known)
    if choices.prefix_flag:
        yield from _flags("prefix_flag", choices, {choices.prefix_flag: True})
    if choices.root_flag and not choices.stands_on:
        yield from _flags("root_flag", choices, {choices.root_flag: True})
    for path in choices.routes:
        method, _, rest = path.partition(" ")
        if not re.fullmatch(r"/\S*", rest):
            wrong = f"expected a method and a path such as 'GET /health', got '{check.clipped(path)}'"
            yield f"routes.{path}", wrong
        elif method not in METHODS:
            yield f"routes.{path}", unknown(method, f"a method: expected one of {', '.join(METHODS)}", METHODS)
    for method in choices.redirects:
        if method not in {*METHODS, "*", "//"}:
            yield f"redirects.{method}", unknown(method, "a method, '*' or '//'", METHODS)
    for place, route in _all_routes(choices):
        yield from _flags(place, choices, route.when, route.unless)
        for word in filter(None, (route.error, route.otherwise)):
            yield from _error(place, word, known)
        yield from check.status(place, route.status, route.body)
        yield from check.headers(f"{place}.headers", route.headers)
        yield from check.header_value(f"{place}.content_type", route.content_type)
        yield from check.template(f"{place}.body", route.body)


def _in_answers(choices: OpenChoices) -> Found:
    for api, templates in choices.answers.items():
        if api not in ANSWERS:
            yield f"answers.{api}", unknown(api, "an API with answers", ANSWERS)
            continue
        parts = ANSWERS[api].split()
        for name, template in templates.items():
            if name not in parts:
                yield f"answers.{api}.{name}", unknown(name, f"a part of answers of {api}", parts)
            if api in _CHUNKED and name in CHUNKS and not isinstance(template, dict):
                yield f"answers.{api}.{name}", f"expected keys and values, got '{check.clipped(template)}'"
        yield from check.templates(f"answers.{api}", templates)
    yield from check.template("tools.content", choices.tools.content)
    yield from check.template("tools.required_content", choices.tools.required_content)
    for name in choices.ids:
        if name not in IDS:
            yield f"ids.{name}", unknown(name, "what has an id of its own", IDS)
    yield from check.templates("ids", choices.ids)
    yield from _apis("streams_by_default", choices.streams_by_default)
    for number, metric in enumerate(choices.metrics):
        yield from check.metric(f"metrics[{number}]", metric.name, metric.samples)
        yield from _flags(f"metrics[{number}]", choices, metric.when)


def _in_headers(choices: OpenChoices) -> Found:
    for name in (
        "headers", "ok_headers", "page_headers", "known_headers", "stream_headers", "head_headers", "metrics_headers",
    ):  # fmt: skip
        yield from check.headers(name, getattr(choices, name))
    for name in ("api_stream_headers", "api_headers"):
        for api, headers in getattr(choices, name).items():
            yield from _apis(f"{name}.{api}", [api])
            yield from check.headers(f"{name}.{api}", headers)
    for name in ("json_type", "stream_type", "metrics_type"):
        yield from check.header_value(name, getattr(choices, name))


def _in_numbers(choices: OpenChoices) -> Found:
    for apis, fields in choices.fields.items():
        for name, field in fields.items():
            for key, limit in (("from", field.low), ("to", field.high), ("above", field.above)):
                if limit is not None and not math.isfinite(limit):
                    yield f"fields.{apis}.{name}.{key}", f"expected a finite number, got {limit}"
    tools, prompt = choices.tools, choices.prompt
    if not 0 < tools.characters < math.inf:
        yield "tools.characters", f"expected a number above 0, got {tools.characters:g}"
    for place, value, least in (
        ("tools.piece", tools.piece, 1), ("prompt.message", prompt.message, 0), ("prompt.opening", prompt.opening, 0),
        ("prompt.tool", prompt.tool, 0), ("usual_top_logprobs", choices.usual_top_logprobs, 0),
    ):  # fmt: skip
        if value < least:
            yield place, f"expected at least {least}, got {value}"


def _apis(place: str, apis: list[str]) -> Found:
    for api in apis:
        if api not in APIS:
            yield place, unknown(api, "an API", APIS)


def _error(place: str, word: str, known: set[str]) -> Found:
    if word not in known:
        yield place, unknown(word, "an error", known)


def _flags(place: str, choices: OpenChoices, *given: dict[str, Any]) -> Found:
    for flag in (name for one in given for name in one):
        if flag not in choices.flags:
            yield place, unknown(flag, "a flag", choices.flags)
