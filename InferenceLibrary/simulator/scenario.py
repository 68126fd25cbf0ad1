"""Scripted answers: a YAML file of rules, each with what it matches and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.simulator.answers.engine import Output, cut_at_stop
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.faults.catalogue import parse_fault
from InferenceLibrary.simulator.faults.kinds import Fault
from InferenceLibrary.simulator.scenario_checks import (
    GENERATING,
    WITHOUT_BODY,
    check_content_type,
    check_fault,
    check_headers,
    check_json,
    check_ordinals,
    check_path,
    check_status,
)
from InferenceLibrary.simulator.searches import Pattern, Searches
from InferenceLibrary.typed_yaml import parse_yaml

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_SHIPPED = Path(__file__).parent / "scenarios"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class ScriptedCall(msgspec.Struct, forbid_unknown_fields=True):
    """A call of a tool; the arguments are an object, or text that is sent as it is."""

    name: str
    arguments: dict[str, Any] | str = {}


class ClaimedUsage(msgspec.Struct, forbid_unknown_fields=True):
    """Token counts to claim; what is not given is counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class Match(msgspec.Struct, forbid_unknown_fields=True):
    """What a request must be like; what is not given matches all."""

    path: str | None = None
    model: str | None = None
    prompt: str | None = None  # pattern, searched in the last user text
    header: dict[str, str] = {}  # name to pattern
    stream: bool | None = None
    tool_result: bool | None = None  # whether the conversation ends with the result of a tool
    tools: bool | None = None  # whether the request offers tools
    free_form: bool | None = None  # whether the request neither forces a call of a tool nor asks for JSON
    nth: int | list[int] | None = None  # of the requests that match all else, from 1
    first: int | None = None  # only the first so many of them


class ScriptedAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """What to answer. Without text, tokens or tool calls the mode of the server decides."""

    text: str | None = None
    tokens: list[str] | None = None
    tool_calls: list[ScriptedCall] = []
    finish_reason: str | None = None
    usage: ClaimedUsage | None = None
    time_to_first_token: str | None = None
    inter_token_latency: str | None = None
    status: int | None = None
    error: str | None = None
    headers: dict[str, str] = {}
    fault: str | list[str] = []


class ScriptedRule(msgspec.Struct, forbid_unknown_fields=True):
    """One rule; the first that matches is taken."""

    answer: ScriptedAnswer
    match: Match = msgspec.field(default_factory=Match)


class ScriptedRoute(msgspec.Struct, forbid_unknown_fields=True):
    """A route that the server lacks: one answer to every request. A body that is not text is sent as JSON."""

    path: str
    body: Any = ""
    method: str = "GET"
    status: int = 200
    content_type: str = ""
    headers: dict[str, str] = {}


class ScenarioFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file."""

    rules: list[ScriptedRule] = []
    routes: list[ScriptedRoute] = []
    description: str = ""


def _check_route(route: ScriptedRoute) -> None:
    check_status(route.status)
    check_headers(route.headers)
    check_content_type(route.content_type)
    check_path(route.path)
    if route.method not in _METHODS:
        raise ValueError(f"method '{route.method}' cannot be used: expected one of {', '.join(_METHODS)}")
    check_json(route.body, "body")
    if route.status in WITHOUT_BODY and route.body != "":
        raise ValueError(f"an answer with status {route.status} has no body: leave out body")


def _check_rule(rule: ScriptedRule) -> None:
    match, answer = rule.match, rule.answer
    check_ordinals("nth", [match.nth] if isinstance(match.nth, int) else match.nth)
    check_ordinals("first", None if match.first is None else [match.first])
    if answer.status is not None:
        check_status(answer.status)
    if answer.status in WITHOUT_BODY:
        raise ValueError(f"an answer with status {answer.status} has no body, and that of a rule has one: use routes")
    check_headers(answer.headers)
    for place, call in enumerate(answer.tool_calls):
        check_json(call.arguments, f"tool_calls[{place}].arguments")


def _answer_route(route: ScriptedRoute, turn: Turn) -> None:
    is_text = isinstance(route.body, str)
    body = route.body.encode() if is_text else route.body
    kind = route.content_type or ("text/plain; charset=utf-8" if is_text else "application/json")
    deliver(turn, Draft(status=route.status, content_type=kind, headers=list(route.headers.items()), body=body))


class Script:
    """A rule made ready: patterns compiled, durations and faults read."""

    def __init__(self, rule: ScriptedRule, where: str) -> None:
        match, answer = rule.match, rule.answer
        self._match = match
        self._answer = answer
        self._seen = 0
        try:
            _check_rule(rule)
            self._prompt = Pattern(match.prompt) if match.prompt is not None else None
            self._headers = {name.lower(): Pattern(pattern) for name, pattern in match.header.items()}
            self.first = None if answer.time_to_first_token is None else parse_duration(answer.time_to_first_token)
            self.gap = None if answer.inter_token_latency is None else parse_duration(answer.inter_token_latency)
            texts = [answer.fault] if isinstance(answer.fault, str) else answer.fault
            self.faults: list[Fault] = [parse_fault(text) for text in texts]
            for fault in self.faults:
                check_fault(fault)
        except ValueError as error:
            raise ProfileError(f"{where}: {error}.") from None
        self._nth = {match.nth} if isinstance(match.nth, int) else set(match.nth or ())
        self.path = match.path
        """The one path whose requests it takes, where it names one."""
        self.answers = answer.text is not None or answer.tokens is not None or bool(answer.tool_calls)

    def matches(
        self, path: str, headers: Mapping[str, str], data: dict[str, Any], prompt: str, searches: Searches
    ) -> bool:
        """Whether the rule takes this request; counts it when all but its number fits."""
        match = self._match
        if match.path is not None and match.path != path:
            return False
        if match.model is not None and match.model != data.get("model"):
            return False
        if match.stream is not None and match.stream != bool(data.get("stream")):
            return False
        if match.tool_result is not None and match.tool_result != ends_with_tool_result(data):
            return False
        if match.tools is not None and match.tools != bool(data.get("tools")):
            return False
        if match.free_form is not None and match.free_form != leaves_the_form_free(data):
            return False
        if self._prompt is not None and not searches.found(self._prompt, prompt):
            return False
        if any(not searches.found(pattern, headers.get(name, "")) for name, pattern in self._headers.items()):
            return False
        self._seen += 1
        return (not self._nth or self._seen in self._nth) and (match.first is None or self._seen <= match.first)

    def refuse(self) -> None:
        """Raise the error that the rule answers with, if it does."""
        answer = self._answer
        if answer.status is not None and answer.status >= 400:
            raise ApiError(answer.status, answer.error or "Scripted failure", headers=tuple(answer.headers.items()))

    def output(self, ask: Ask, limit: int, *, fills: bool = False) -> Output:
        """Return the scripted answer within the limits of the request; `fills` as for the engine."""
        answer = self._answer
        tokens = answer.tokens if answer.tokens is not None else tokenize(answer.text or "")
        full = fills and len(tokens) == limit and ask.max_tokens is not None
        output = Output(list(tokens[:limit]), "length" if full or len(tokens) > limit else "stop")
        if ask.stop:
            cut_at_stop(output, ask.stop)
        for place, call in enumerate(answer.tool_calls):
            text = call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(call.arguments).decode()
            call_id = f"call_{self._seen:06d}{place}"
            function = {"name": call.name, "arguments": text}
            output.tool_calls.append({"id": call_id, "type": "function", "function": function})
            output.tool_tokens += len(tokenize(text)) + 1
            output.finish = "tool_calls"
        if answer.finish_reason is not None:
            output.finish = answer.finish_reason
        return output

    def change(self, draft: Draft) -> None:
        """Put status, headers and usage into the answer."""
        answer = self._answer
        draft.headers.extend(answer.headers.items())
        draft.status = answer.status or draft.status
        if answer.usage is not None:
            objects = [draft.body] if draft.events is None else [event.data for event in draft.events]
            for item in objects:
                if isinstance(item, dict) and isinstance(item.get("usage"), dict):
                    given = {
                        key: value for key, value in msgspec.to_builtins(answer.usage).items() if value is not None
                    }
                    item["usage"] = {**item["usage"], **given}


class Scenario:
    """The rules of one server. Counting starts anew when the scenario is loaded."""

    def __init__(self, name: str, scripts: list[Script], routes: list[ScriptedRoute]) -> None:
        self.name = name
        self._scripts = scripts
        self._routes: dict[str, dict[str, Handler]] = {}
        for route in routes:
            self._routes.setdefault(route.path, {})[route.method] = partial(_answer_route, route)

    def routes_of(self, path: str) -> dict[str, Handler] | None:
        """Return the handlers by method of a path that the scenario adds, None for any other path."""
        return self._routes.get(path)

    def check_beside(self, has_route: Callable[[str], bool], generating: AbstractSet[str]) -> None:
        """Refuse what would do nothing: routes that the server has itself, rules for requests that have no rule.

        Args:
            has_route: Whether the server itself answers on a path.
            generating: Paths at which it generates. A scenario may have rules for other servers too: those of the
                reference are known everywhere.

        Raises:
            ProfileError: There is one.
        """
        for index, script in enumerate(self._scripts):
            if script.path is not None and script.path not in generating | GENERATING:
                raise ProfileError(
                    f"{self.name}: rules[{index}]: match.path: no answer is generated at {script.path}: expected "
                    f"one of {', '.join(sorted(generating))}. Hint: routes answer at other paths."
                )
        for path in self._routes:
            if has_route(path):
                raise ProfileError(
                    f"{self.name}: routes: the server itself answers {path}: a scenario replaces no route."
                )

    def read(self, turn: Turn) -> None:
        """Find the rule for a request, and note it there.

        Raises:
            ApiError: The rule answers with an error, or a pattern takes too long.
        """
        from InferenceLibrary.simulator.answers.openai_requests import read_json

        if turn.json is None:  # a fault may have read and changed it
            turn.json = read_json(turn.request)
        script = self.find(turn.request.path, turn.request.headers, turn.json)
        if script is None:
            return
        turn.scripted = script
        turn.faults = [*turn.faults, *script.faults]
        for fault in script.faults:
            if fault.take_request(turn):
                return
        script.refuse()

    def find(self, path: str, headers: Mapping[str, str], data: dict[str, Any]) -> Script | None:
        """Return the first rule that takes this request.

        Raises:
            ApiError: 500, a pattern takes too long for the text.
        """
        prompt = last_user_text(data)
        searches = Searches()
        try:
            return next(
                (script for script in self._scripts if script.matches(path, headers, data, prompt, searches)), None
            )
        except TimeoutError as error:
            raise ApiError(500, f"The scenario cannot be played: {error}") from None


def ends_with_tool_result(data: dict[str, Any]) -> bool:
    """Whether the last thing in a conversation of any API is what a tool gave."""
    items = data.get("messages", data.get("input"))
    last = items[-1] if isinstance(items, list) and items else None
    if not isinstance(last, dict):
        return False
    parts = last.get("content")
    # A message of a tool, an item of the Responses API, or blocks of the Messages API.
    return (
        last.get("role") == "tool"
        or last.get("type") == "function_call_output"
        or (
            isinstance(parts, list)
            and any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
        )
    )


def leaves_the_form_free(data: dict[str, Any]) -> bool:
    """Whether a request of any API takes a plain text: it forces no call of a tool and asks for no JSON."""
    choice = data.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind not in (None, "auto", "none"):
        return False
    text = data.get("text")  # the Responses API
    output = data.get("output_config")  # the Messages API
    formats = [data.get("response_format"), *(item.get("format") for item in (text, output) if isinstance(item, dict))]
    return all(not isinstance(item, dict) or item.get("type") in (None, "text") for item in formats)


def last_user_text(data: dict[str, Any]) -> str:
    """Return the text that a person asked last, whatever the API."""
    messages = data.get("messages")
    if not isinstance(messages, list):
        text = data.get("prompt", data.get("input", ""))
        if isinstance(text, list):
            if all(isinstance(item, dict) for item in text):
                return last_user_text({"messages": text})
            return " ".join(item for item in text if isinstance(item, str))
        return text if isinstance(text, str) else ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                return " ".join(text for text in texts if isinstance(text, str))
            return content if isinstance(content, str) else ""
    return ""


def load_scenario(name: str) -> Scenario:
    """Read a scenario: a file, or the name of a shipped one.

    Raises:
        ProfileError: There is none, or it is wrong; the message names file, line and key.
    """
    path = Path(name)
    if not path.is_file():
        shipped = _SHIPPED / f"{name}.yaml"
        if not shipped.is_file():
            names = ", ".join(sorted(item.stem for item in _SHIPPED.glob("*.yaml")))
            raise ProfileError(f"there is no file '{name}', and no shipped scenario of that name ({names})")
        path = shipped
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read '{path}': {error}") from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, source: str) -> Scenario:
    """Return the scenario in `text`; `source` names it in errors."""
    data = parse_yaml(text, source, ScenarioFile)
    scripts = [Script(rule, f"{source}: rules[{index}]") for index, rule in enumerate(data.rules)]
    seen: set[tuple[str, str]] = set()
    for index, route in enumerate(data.routes):
        try:
            _check_route(route)
            if (route.method, route.path) in seen:
                raise ValueError(f"{route.method} {route.path} is given twice")
            seen.add((route.method, route.path))
        except ValueError as error:
            raise ProfileError(f"{source}: routes[{index}]: {error}.") from None
    if not scripts and not data.routes:
        raise ProfileError(f"{source}: expected rules or routes, got neither.")
    return Scenario(source, scripts, data.routes)
