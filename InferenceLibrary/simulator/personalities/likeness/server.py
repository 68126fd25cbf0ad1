"""A real server as the choices of its dialect have it: its routes, its keys, its refusals."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.dialects.choice_checks import is_json
from InferenceLibrary.dialects.choices import ErrorChoice, FieldChoice, OpenChoices, RouteChoice, ShapeChoice
from InferenceLibrary.dialects.templates import joined, template_names
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import DONE, Draft, Event, text_lines, to_json
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.personalities.failures import inject_failure
from InferenceLibrary.simulator.personalities.likeness.counting import counted
from InferenceLibrary.simulator.personalities.likeness.problems import in_words
from InferenceLibrary.simulator.personalities.likeness.reading import body_of, placed
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal, checked, refuse
from InferenceLibrary.simulator.personalities.likeness.templates import ABSENT, Names, fill
from InferenceLibrary.simulator.personalities.openai import OpenAI

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ERROR = ErrorChoice(status=500)
_SHAPE = ShapeChoice(body={"error": {"message": "$message_of_error", "type": "$error_type|null"}})
_ANY = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
GENERATING = frozenset({"chat", "completions", "responses", "messages", "embeddings", "rerank", "score"})
"""What is counted, and gets faults."""
_APIS = GENERATING | {"count_tokens", "tokenize", "detokenize", "models"}


def made_late(refusal: Refusal, templates: list[Any]) -> dict[str, str]:
    """Return the values that templates name, of those that are made late; dots for what is nested too deeply."""
    found = {}
    for name in set(template_names(templates)) & set(refusal.late):
        try:
            found[name] = refusal.late[name]()
        except RecursionError:
            found[name] = "..."
    return found


class LikenessBase(OpenAI):
    """Routes, keys, bodies and errors; what is answered stands in the class above."""

    choices: OpenChoices

    def __init__(self, app: App, choices: OpenChoices, version: str) -> None:
        super().__init__(app)
        self.version = version
        self.draws = Draws("likeness", app.new_id(""))
        self.flags = {name: self._flag(name) for name in choices.flags}
        for variant in choices.variants:
            if self.holds(variant.when, variant.unless):
                choices = joined(choices, variant.choices)
        self.choices = choices
        self.started = int(time())
        self.dies_at_signals = False
        """Whether it ends at once at a signal, and leaves its answers cut."""
        self.words: dict[str, Handler] = {}
        self.on_model: Callable[[Any], None] = lambda _name: None
        """Is told which model a request names; it may refuse it."""
        self.checks: list[Callable[[str, dict[str, Any]], None]] = []
        """Each is told which API is asked, and with what; it may refuse it."""
        self.gate: Callable[[Turn, Callable[[], None]], None] = lambda _turn, answer: answer()
        """Lets a request be answered, now or later; it may refuse it."""
        self.native_words: frozenset[str] = frozenset()
        self.fields: dict[str, dict[str, FieldChoice]] = {}
        for apis, fields in choices.fields.items():
            for api in apis.split():
                self.fields.setdefault(api, {}).update(fields)
        prefix = str(self.flags.get(choices.prefix_flag) or "")
        self._root = str(self.flags.get(choices.root_flag) or "").rstrip("/")
        self.table: dict[str, dict[str, RouteChoice]] = {}
        for place, route in choices.routes.items():
            method, _, path = place.partition(" ")
            path = prefix + path
            shown = route if self.holds(route.when, route.unless) else RouteChoice(error=route.otherwise)
            if shown is route or route.otherwise:
                for known in {path, self._root + path}:
                    self.table.setdefault(known, {})[method] = shown
        longest_first = sorted((path for path in self.table if "*" in path), key=len, reverse=True)
        self._patterns = [(path, re.compile(re.escape(path).replace(r"\*", ".+"))) for path in longest_first]
        self.generating = frozenset(
            path for path, methods in self.table.items() for route in methods.values() if route.does in GENERATING
        )
        # Its own answer for each path that is not there, and each method.
        self.routes = dict.fromkeys(("/", "/*"), dict.fromkeys(_METHODS, self.answer))
        app.check_key = self._no_key_yet
        app.read_first = self.admit
        app.header_sources.append(self._headers)
        app.max_body_bytes = max(app.max_body_bytes, 64 * 1024 * 1024)

    # Flags

    def _flag(self, name: str) -> Any:
        return getattr(self.app.settings, field_name(name), None)

    def holds(self, when: Mapping[str, Any], unless: Mapping[str, Any]) -> bool:
        """Whether flags are set as wanted."""
        return all(self._is_set(*one) for one in when.items()) and not any(self._is_set(*one) for one in unless.items())

    def _is_set(self, name: str, wanted: Any) -> bool:
        value = self.flags.get(name)
        if isinstance(wanted, bool):
            return bool(value) == wanted
        return value in wanted if isinstance(wanted, list) else bool(value == wanted)

    # Headers and names

    def names(self, turn: Turn | None = None, **more: Any) -> Names:
        """Return what templates of this server may always name."""
        settings = self.app.settings
        known: dict[str, Any] = {
            "served": settings.names[0],
            "version": self.version,
            "fingerprint": self.choices.fingerprint or ABSENT,
            "context": settings.max_model_len,
            "created": int(time()),
        }
        if turn is not None:
            headers = turn.request.headers
            known["origin"] = headers.get("origin", ABSENT)
            known["if_origin"] = "true" if "origin" in headers else ABSENT
            known["host"] = headers.get("host", "")
            known["path"], known["method"] = turn.request.path, turn.request.method
            known["right"] = turn.request.path.replace("//", "/").rstrip("/")
            known["request_id"] = headers.get("x-request-id", ABSENT)
            known["allow"] = self._allowed(self.find(turn.request.path) or {})
            known["allow_headers"] = headers.get("access-control-request-headers", ABSENT)
        return Names(self.draws, known, more)

    def _headers(self, turn: Turn) -> tuple[tuple[str, str], ...]:
        more = self.choices.head_headers if turn.request.method == "HEAD" else {}
        if self.choices.ok_headers and turn.status < 300 and self._api_of(turn.request.path):
            more = {**more, **self.choices.ok_headers}
        if turn.request.method != "OPTIONS" and self.choices.known_headers:
            methods = self.find(turn.request.path)
            if methods is not None and not any(route.bare for route in methods.values()):
                more = {**more, **self.choices.known_headers}
        if self.choices.page_headers and "origin" in turn.request.headers and turn.request.method != "OPTIONS":
            more = {**more, **self.choices.page_headers}
        return self.filled_headers({**self.choices.headers, **more}, turn)

    def filled_headers(self, headers: Mapping[str, str], turn: Turn) -> tuple[tuple[str, str], ...]:
        """Return headers with the names in them filled in."""
        if not headers:
            return ()
        names = self.names(turn)
        found = ((name, fill(value, names)) for name, value in headers.items())
        return tuple((name, str(value)) for name, value in found if value is not ABSENT)

    def _allowed(self, methods: Mapping[str, RouteChoice]) -> str:
        return ",".join("GET,HEAD" if one == "GET" and self.choices.head else one for one in methods)

    def new_hex(self) -> str:
        """Return 16 digits for an id."""
        return str(self.names()["hex16"])

    def json(self, body: Any, **more: Any) -> Draft:
        """Return an answer in JSON."""
        return Draft(content_type=self.choices.json_type, body=body, **more)

    # Errors

    def error(self, error: ApiError, path: str = "") -> Draft:
        """Return an error as the dialect tells it; a plain one where it cannot be told so."""
        try:
            draft = self._told(error, path)
            to_json([event.data for event in draft.events or ()])
            if not isinstance(draft.body, bytes):
                to_json(draft.body)
        except Exception as mistake:
            if isinstance(mistake, RecursionError) and isinstance(error, Refusal):
                # What the request holds is nested too deeply.
                raise
            import traceback

            sys.stderr.write("".join(traceback.format_exception(mistake)))
            return Draft(500, body={"error": {"message": "The simulator made a mistake; its stderr says more"}})
        return draft

    def _told(self, error: ApiError, path: str) -> Draft:
        api = self._api_of(path)
        name = error.name if isinstance(error, Refusal) else str(error.status)
        choice = self._error_choice(api, name)
        own = isinstance(error, Refusal)
        status = choice.status if own or name in self.choices.errors else error.status
        values = error.values if isinstance(error, Refusal) else {"param": error.param}
        names = self.names(None, **{**values, "path": path, "last": path.rpartition("/")[2], "status": status})
        if isinstance(error, Refusal) and error.problems:
            problems = error.problems
            names.update(problems=in_words(problems, self.choices.validation), loc=problems[0].dotted())
        words = values.get("says") or choice.message
        if isinstance(error, Refusal):
            shown = self.choices.shapes.get(choice.shape, _SHAPE).body
            names.update(made_late(error, [words, choice.param, choice.code, shown]))
        message = fill(words, names) if words else error.message
        if message is ABSENT:
            message = error.message
        param = values.get("own_param")
        if param is None:
            param = values.get("param") if choice.param is None else fill(choice.param, names)
        names.update(
            message_of_error=message, message_repr=repr(message), message_json=json.dumps(message), status=status,
            error_type=choice.type or ABSENT,
            param=None if param is ABSENT else param,
            error_code=ABSENT if choice.code is None else fill(choice.code, names),
        )  # fmt: skip
        streamed = error.streamed if isinstance(error, Refusal) else error.in_stream
        shape = self.choices.shapes.get((streamed and choice.stream_shape) or choice.shape, _SHAPE)
        body = fill(shape.body, names)
        if isinstance(error, Refusal) and error.streamed:
            events = [] if error.silent else _error_events(body)
            if self.choices.done and not error.silent:
                events.append(Event(DONE, "done"))
            headers = list(self.choices.stream_headers.items())
            return Draft(content_type=self.choices.stream_type, headers=headers, events=events)
        kind = self.choices.json_type if shape.content_type is None else shape.content_type
        if isinstance(error, Refusal) and error.labelled:
            kind = self.choices.stream_type
        headers = [(key, str(fill(value, names))) for key, value in choice.headers.items()]
        if choice.as_stream and isinstance(error, Refusal) and error.asks_stream:
            headers += list(self.choices.api_stream_headers.get(api, {}).items())
        return Draft(status, kind, headers, body.encode() if isinstance(body, str) else body, bare=choice.bare)

    def _error_choice(self, api: str, name: str) -> ErrorChoice:
        errors = self.choices.errors
        for wanted in (f"{api} {name}", name, f"{api} other", "other"):
            if wanted in errors:
                return errors[wanted]
        return _ERROR

    def _api_of(self, path: str) -> str:
        methods = self.find(path)
        words = [route.does for route in methods.values()] if methods else []
        if any(word in self.native_words for word in words):
            return "native"
        return next((word for word in words if word in _APIS), "")

    # Routes

    def find(self, path: str) -> dict[str, RouteChoice] | None:
        """Return what a path does by method."""
        return self.table.get(self.place_of(path))

    def place_of(self, path: str) -> str:
        """Return the path as the dialect has it, with * for what may be anything; empty: there is none."""
        if path in self.table:
            return path
        return next((place for place, pattern in self._patterns if pattern.fullmatch(path)), "")

    def route(self, turn: Turn) -> RouteChoice:
        """Return what the request asks for.

        Raises:
            Refusal: There is no such path, or it has no such method; or the key is wrong.
        """
        request, choices = turn.request, self.choices
        foreign = request.headers.get("origin")
        if choices.origin is not None and foreign and not re.search(r"//(localhost|127\.0\.0\.1)(:|$)", foreign):
            return choices.origin
        if request.method == "OPTIONS":
            if choices.preflight is not None and "access-control-request-method" in request.headers:
                return choices.preflight
            if choices.options is not None and not (choices.options.otherwise and self.find(request.path) is None):
                return choices.options
        if choices.request_id is not None and not _UUID.fullmatch(request.headers.get("x-request-id", _ANY)):
            return choices.request_id
        if choices.key.first:
            self._check_key(request)
        methods = self.find(request.path)
        if methods is None:
            return self._elsewhere(request.method, request.path)
        method = "GET" if request.method == "HEAD" and choices.head else request.method
        if method not in methods:
            raise Refusal(
                "wrong method", f"{request.path} takes no {request.method}",
                value=", ".join(methods), allow=self._allowed(methods),
            )  # fmt: skip
        if not choices.key.first:
            self._check_key(request)
        return methods[method]

    def _elsewhere(self, method: str, path: str) -> RouteChoice:
        right = path.replace("//", "/").rstrip("/") or "/"
        redirects = self.choices.redirects
        found = redirects.get(method) or redirects.get("*")
        if found is not None and right != path and right in self.table and (path[-1] == "/" or "//" in redirects):
            return redirects["//"] if path[-1] != "/" else found
        raise Refusal("no route", f"The path {path} does not exist")

    def _no_key_yet(self, request: Request) -> None:
        """The key is looked at with the route."""

    def _check_key(self, request: Request) -> None:
        key, wanted = self.choices.key, self.app.settings.api_key
        path = request.path.removeprefix(self._root)
        if not wanted or path in key.open or not re.search(key.guarded, path):
            return
        import hmac

        said = re.fullmatch(key.bearer, request.headers.get("authorization", ""))
        given = [said[1] or ""] if said else []
        given += [request.headers[name] for name in key.headers if name in request.headers]
        if not any(hmac.compare_digest(one.encode("latin-1", "replace"), wanted.encode()) for one in given):
            raise Refusal("wrong key" if given else "no key", "Incorrect API key provided")

    # Requests

    def admit(self, turn: Turn) -> None:
        """Read the request, before a script looks at it.

        Raises:
            Refusal: It is refused.
        """
        route = self.route(turn)
        if route.does in GENERATING and not route.error:
            turn.json = self.read(turn, route.does)

    def before(self, turn: Turn) -> bool:
        inject_failure(self.app, turn.request)
        return False

    def answer(self, turn: Turn) -> None:
        """Answer any request."""
        route = self.route(turn)
        if route.error:
            raise Refusal(route.error, f"{turn.request.path} cannot be used")
        if route.does:
            handler = self.words[route.does]
            self.gate(turn, lambda: handler(turn))
            return
        body = fill(route.body, self.names(turn))
        kind = route.content_type
        # A text that is not called otherwise is JSON: by itself, or it is made so.
        is_text = isinstance(body, str) and (body == "" or kind is not None or is_json(body))
        if kind is None:
            kind = "" if body == "" else self.choices.json_type
        headers = list(self.filled_headers(route.headers, turn))
        deliver(turn, Draft(route.status, kind, headers, body.encode() if is_text else to_json(body)))

    def read(self, turn: Turn, api: str) -> dict[str, Any]:
        """Return the body as the server reads it.

        Raises:
            Refusal: It refuses it.
        """
        if turn.json is not None:
            return dict(turn.json)
        given = body_of(turn.request, self.choices.body)
        fields = self.fields.get(api, {})
        if self.choices.unknown_fields and api in {"chat", "completions", "responses"}:
            unknown = sorted(set(given) - set(fields))
            if unknown:
                names = ", ".join(map(repr, unknown))
                raise Refusal(self.choices.unknown_fields, f"Unexpected fields: {names}", value=f"{{{names}}}")
        refuses = self.choices.refuses
        try:
            refuse(given, [one for one in refuses if one.first], api, {}, self.holds)
            data = checked(given, fields, self.choices.models)
            self._check_model(data)
            known = counted(api, data, self.app.settings, self.choices.prompt)
            refuse({**given, **data}, refuses, api, known, self.holds)
            for check in self.checks:
                check(api, data)
        except Refusal as refusal:
            refusal.asks_stream = given.get("stream") is True
            placed(refusal, turn.request.body, given, self.choices.body)
            limit = given.get("max_output_tokens", ABSENT)
            refusal.values |= {"temperature": given.get("temperature", ABSENT), "max_tokens": limit}
            raise
        return data

    def _check_model(self, data: dict[str, Any]) -> None:
        name = data.get("model")
        if isinstance(name, str) and self.choices.model_suffix:
            name = name.removesuffix(self.choices.model_suffix)
        self.on_model(name)
        if self.choices.any_model or name in (None, "", *self.app.settings.names):
            return
        if name == self.choices.default_model:
            return
        if not isinstance(name, str) or name not in self.admin.loras:
            raise Refusal("model", f"The model `{name}` does not exist.", param="model", value=name, model=name)

    def sent(self, turn: Turn) -> dict[str, Any]:
        """Return the body of a route whose fields nobody looks at before."""
        return body_of(turn.request, self.choices.body)

    def json_body(self, turn: Turn, api: str = "native") -> dict[str, Any]:
        """Return the body of a route that does not generate."""
        return self.read(turn, api)


def _error_events(body: Any) -> list[Event]:
    """Return the events of a stream that tells nothing but an error."""
    if isinstance(body, list) and all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in body):
        return [Event(one, "error", name=one["type"]) for one in body]
    return [Event(text_lines(body) if isinstance(body, str) else body, "error")]


def field_name(flag: str) -> str:
    """Return the name of a flag's setting."""
    return re.sub(r"\W", "_", flag)
