"""Faults in how a request is judged: errors instead of answers, and answers instead of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import read_json
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, Event
from InferenceLibrary.simulator.core.endings import ENDINGS
from InferenceLibrary.simulator.faults.kinds import FaultKind, Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn


def json_of(turn: Turn) -> dict[str, Any]:
    """Return the request's JSON object, which the handler will take; empty when it is none."""
    if turn.json is None:
        try:
            turn.json = read_json(turn.request)
        except ApiError:
            return {}
    found: dict[str, Any] = turn.json
    return found


status = define(
    "status",
    "answers with an error status instead, and Retry-After when asked",
    code=Parameter("int", 503, "the status"),
    message=Parameter("text", "Injected failure", "the error's message"),
    kind=Parameter("text", "", "what the system names the error by: its type, or its code"),
    retry_after=Parameter("text", "", "value of Retry-After: seconds, or a date without its comma"),
)


@status.answer
def status_answer(turn: Turn, values: Values) -> bool:
    headers = (("Retry-After", values["retry_after"]),) if values["retry_after"] else ()
    turn.app.fail(turn, ApiError(values["code"], values["message"], kind=values["kind"] or None, headers=headers))
    return True


retry_after_nonsense = define(
    "retry-after-nonsense", "answers 429 with a Retry-After that says nothing", breaks=("R11",)
)


@retry_after_nonsense.answer
def retry_after_nonsense_answer(turn: Turn, _values: Values) -> bool:
    turn.app.fail(turn, ApiError(429, "Too many requests", headers=(("Retry-After", "soon"),)))
    return True


error_as_500 = define(
    "error-as-500", "answers 500 where the request is wrong and 4xx would be right", breaks=("R5", "R2", "R3")
)


@error_as_500.draft
def error_as_500_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    if 400 <= draft.status < 500:
        draft.status = 500
        _change_error(draft, code=500)


def _change_error(draft: Draft, **changes: Any) -> None:
    import json

    try:
        body = json.loads(draft.body) if isinstance(draft.body, bytes) and draft.body else draft.body
    except ValueError:  # an error in words
        draft.body = str(changes["message"]).encode() if "message" in changes else draft.body
        return
    if isinstance(body, dict):
        # Some servers have the error without an object around it.
        told = body["error"] if isinstance(body.get("error"), dict) else body if "message" in body else {}
        told.update(changes if told is not body else {name: changes[name] for name in changes if name in body})
        draft.body = body


error_key_missing = define(
    "error-key-missing",
    "leaves out a key of the error object",
    breaks=("R10", "A7"),
    paths=("/",),
    key=Parameter("text", "type", "which"),
)


@error_key_missing.draft
def error_key_missing_draft(draft: Draft, values: Values, turn: Turn) -> None:
    if draft.status >= 400:
        _change_error(draft)
        if isinstance(draft.body, dict) and isinstance(draft.body.get("error"), dict):
            draft.body["error"].pop(values["key"], None)


_TRACES = {
    "python": "Traceback (most recent call last):\n  File \"/srv/engine/api.py\", line 81\nKeyError: 'sk-4f9a2b7c1d'",
    "rust": "the engine failed\n   0: engine::core::run\n             at ./src/core/run.rs:81:9\n   1: main",
}
error_leaks = define(
    "error-leaks",
    "tells a path, a key and a stack in the error's message",
    breaks=("R7",),
    paths=("/",),
    stack=Parameter("python|rust", "python", "of which language"),
)


@error_leaks.draft
def error_leaks_draft(draft: Draft, values: Values, turn: Turn) -> None:
    if draft.status >= 400:
        _change_error(draft, message=_TRACES[values["stack"]])


flat_error = define(
    "flat-error",
    "gives the error without the `error` object around it, as old servers do",
    breaks=("R1",),
    paths=("/",),
)


@flat_error.draft
def flat_error_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    if draft.status >= 400:
        _change_error(draft)
        if isinstance(draft.body, dict) and isinstance(draft.body.get("error"), dict):
            draft.body = draft.body["error"]


error_in_stream = define(
    "error-in-stream",
    "answers a wrong streaming request with 200 and the error as an event",
    breaks=("F12",),
)


@error_in_stream.draft
def error_in_stream_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    if draft.status >= 400 and json_of(turn).get("stream"):
        body = draft.body if isinstance(draft.body, (bytes, dict)) else b"{}"
        if isinstance(body, dict) and list(body) == ["message"]:
            # Errors of streams have another shape than those of refusals here.
            error = ApiError(draft.status, str(body["message"]), in_stream=True)
            body = turn.app.personality.error(error, turn.request.path).body
        draft.status, draft.content_type, draft.body = 200, EVENT_STREAM, b""
        draft.events = [Event(body, "error"), Event(DONE, "done")]


stuck_after_error = define("stuck-after-error", "hangs on every request after one that was wrong", breaks=("R8",))


@stuck_after_error.answer
def stuck_after_error_answer(turn: Turn, _values: Values) -> bool:
    from InferenceLibrary.simulator.core.endings import hang

    app = turn.app

    def watch(ended: Turn) -> None:
        if 400 <= ended.status < 500:
            app.stuck = True

    if app.stuck:
        turn.play(iter([hang]))
        return True
    turn.at_end(watch)
    return False


def _forget(turn: Turn, *keys: str) -> None:
    """Answer as if the request did not have these keys."""
    data = json_of(turn)
    for key in keys:
        if data.get(key):
            del data[key]


def _lenient(name: str, text: str, *rules: str) -> FaultKind:
    return define(name, text, breaks=rules)


accepts_stream_options = _lenient("accepts-stream-options", "takes stream_options without stream", "C18")


@accepts_stream_options.answer
def accepts_stream_options_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if not data.get("stream") and data.get("stream_options") is not None:
        del data["stream_options"]
    return False


ignores_stop = _lenient("ignores-stop", "generates past the stop strings", "C20")


@ignores_stop.answer
def ignores_stop_answer(turn: Turn, _values: Values) -> bool:
    _forget(turn, "stop", "stop_sequences")
    return False


def _second_half(text: str) -> str:
    return text if len(text) < 2 else text[(len(text) + 1) // 2 :]


stop_string_flushed = _lenient("stop-string-flushed", "sends the first half of the stop string before it stops", "C20")


@stop_string_flushed.answer
def stop_string_flushed_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    for key in ("stop", "stop_sequences"):
        stop = data.get(key)
        if isinstance(stop, str):
            data[key] = _second_half(stop)
        elif isinstance(stop, list):
            data[key] = [_second_half(text) if isinstance(text, str) else text for text in stop]
    return False


ignores_echo = _lenient("ignores-echo", "leaves out the prompt that echo asks for", "X5")


@ignores_echo.answer
def ignores_echo_answer(turn: Turn, _values: Values) -> bool:
    _forget(turn, "echo")
    return False


ignores_n = _lenient("ignores-n", "gives one choice, however many are asked for", "N2", "X4")


@ignores_n.answer
def ignores_n_answer(turn: Turn, _values: Values) -> bool:
    if json_of(turn).get("n") != 1:
        _forget(turn, "n")
    return False


ignores_response_format = _lenient("ignores-response-format", "answers with free text where a format is required", "N8")


@ignores_response_format.answer
def ignores_response_format_answer(turn: Turn, _values: Values) -> bool:
    wanted = json_of(turn).get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") != "text":
        _forget(turn, "response_format")
    config = json_of(turn).get("output_config")
    if isinstance(config, dict) and config.get("format") is not None:
        _forget(turn, "output_config")
    return False


accepts_any_key = _lenient("accepts-any-key", "asks for no API key", "R4")


@accepts_any_key.answer
def accepts_any_key_answer(turn: Turn, _values: Values) -> bool:
    if turn.app.settings.api_key:
        turn.request.headers["authorization"] = f"Bearer {turn.app.settings.api_key}"
    return False


accepts_any_model = _lenient("accepts-any-model", "answers for models that it does not have", "R2")


@accepts_any_model.answer
def accepts_any_model_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if "model" in data and data["model"] not in turn.app.settings.names:
        data["model"] = turn.app.settings.names[0]
    return False


accepts_any_content_type = _lenient("accepts-any-content-type", "takes a body that says it is not JSON", "R6")


@accepts_any_content_type.answer
def accepts_any_content_type_answer(turn: Turn, _values: Values) -> bool:
    if "json" not in turn.request.headers.get("content-type", ""):
        turn.request.headers["content-type"] = "application/json"
    return False


empty_messages_as_500 = _lenient("empty-messages-as-500", "answers 500 to a chat without messages", "R3")


@empty_messages_as_500.answer
def empty_messages_as_500_answer(turn: Turn, _values: Values) -> bool:
    if turn.request.path == "/v1/chat/completions" and not json_of(turn).get("messages"):
        turn.app.fail(turn, ApiError(500, "list index out of range"))
        return True
    return False


accepts_empty_messages = _lenient("accepts-empty-messages", "answers a chat without messages", "R3")


@accepts_empty_messages.answer
def accepts_empty_messages_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if turn.request.path.endswith("/chat/completions") and not data.get("messages"):
        data["messages"] = [{"role": "user", "content": "nothing"}]
    return False


metrics_frozen = define(
    "metrics-frozen", "always shows the metrics as they were first asked for", breaks=("R9",), paths=("/metrics",)
)


@metrics_frozen.draft
def metrics_frozen_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    app = turn.app
    if app.frozen_metrics is None:
        app.frozen_metrics = draft.body
    draft.body = app.frozen_metrics


first_request_hangs = define(
    "first-request-hangs",
    "is healthy, but never answers the first request",
    nature="time",
    breaks=(),
)


@first_request_hangs.answer
def first_request_hangs_answer(turn: Turn, _values: Values) -> bool:
    from InferenceLibrary.simulator.core.endings import hang

    if turn.app.ledger.received > 1:
        return False
    turn.play(iter([hang]))
    return True


offer_refused = define(
    "offer-refused",
    "refuses a request that offers another protocol, drops its body, or never answers it",
    breaks=("F13",),
    how=Parameter("refuse|drop|hang", "refuse", "refuse (400), drop (the body, as if there were none) or hang"),
)


@offer_refused.answer
def offer_refused_answer(turn: Turn, values: Values) -> bool:
    if "upgrade" not in turn.request.headers:
        return False
    if values["how"] == "drop":
        turn.request.body, turn.json = b"", None
        return False
    if values["how"] == "hang":
        turn.play(iter([ENDINGS["hang"]]))
    else:
        turn.app.fail(turn, ApiError(400, "Protocol upgrades are not supported"))
    return True


no_models = define("no-models", "the model list is empty", breaks=("M2",), paths=("/v1/models",))


@no_models.answer
def no_models_answer(turn: Turn, _values: Values) -> bool:
    deliver(turn, Draft(body={"object": "list", "data": []}))
    return True
