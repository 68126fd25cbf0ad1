"""llm-d-inference-sim v0.10.2, as its recorded answers show it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.engine import Engine, Output
from InferenceLibrary.simulator.answers.latency import Latency
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.core.api_errors import ApiError, openai_error
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.personalities import llm_d_answers as answers
from InferenceLibrary.simulator.personalities import llm_d_requests as requests
from InferenceLibrary.simulator.personalities.failures import inject_failure
from InferenceLibrary.simulator.personalities.llm_d_admin import LlmDAdmin
from InferenceLibrary.simulator.personalities.llm_d_flags import TRUE
from InferenceLibrary.simulator.personalities.llm_d_metrics import LlmDMetrics, Share
from InferenceLibrary.simulator.personalities.llm_d_tools import CALL_TOKENS, call_tools, checked_tools
from InferenceLibrary.simulator.personalities.openai import OpenAI

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TEXT = "text/plain; charset=utf-8"
_TELL_POD = {
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings",
    "/v1/completions/render", "/inference/v1/generate",
}  # fmt: skip
"""Whose good answers bear the names of the pod, and the id of the request."""


class _Injected(ApiError):
    """A failure that was asked for; its parameter is told."""


class WholeMilliseconds(Latency):
    """Knows no part of a millisecond: 0.5 ms is none, 2.5 ms are two."""

    def vary(self, mean: float, deviation: float) -> float:
        return _whole(super().vary(_whole(mean), _whole(deviation)))


def _whole(seconds: float) -> float:
    # A little more first: 0.003 * 1000 is just below 3.
    return int(seconds * 1000 + 1e-6) / 1000


class _GoEngine(Engine):
    """Echoes whole, whatever the limit, and knows no stop texts. A seed is that of all answers, not of each."""

    _drawn = 0

    def draws(self, ask: Ask, prompt: str, index: int) -> Draws:
        """Return the next random source: the same request is answered differently each time, in one order a seed."""
        if self._settings.seed is None:
            return super().draws(ask, prompt, index)
        self._drawn += 1
        return Draws(self._settings.seed, self._drawn)

    def generate(
        self, ask: Ask, prompt: str, index: int, limit: int, *, text: str | None = None, fills: bool = False
    ) -> Output:
        if self._settings.mm_encoder_only:
            return Output(["!"] * (ask.max_tokens or 1), "length")
        if self._settings.mode != "echo" or text is not None:
            return super().generate(ask, prompt, index, limit, text=text, fills=fills)
        echoed = ask.echo_text if len(ask.prompts) == 1 else prompt
        ids = [f"{one}," for one in echoed.split(",")] if echoed.replace(",", "").isdecimal() else []
        tokens = [*ids[:-1], ids[-1][:-1]] if ids else requests.tokens_of(echoed)
        output = Output(tokens, "length" if ask.max_tokens and len(tokens) > ask.max_tokens else "stop")
        if ask.do_remote_decode:
            output.tokens, output.finish = output.tokens[:1], "remote_decode"
        return output


class LlmD(OpenAI):
    """The personality llm-d."""

    listens_while_draining = True
    exit_code_of_second_signal = 1
    metrics_class = LlmDMetrics
    metrics: LlmDMetrics

    def __init__(self, app: App) -> None:
        super().__init__(app)
        app.chunks_for_all = True
        app.while_draining = self.while_draining
        app.tells_pod = lambda turn: turn.status == 200 and turn.request.path in _TELL_POD
        self.generator.engine = _GoEngine(app.settings)
        self.generator.latency = WholeMilliseconds(app.settings)
        self._blocks: dict[int, None] = {}
        self.server = LlmDAdmin(app, self.metrics, self.admin)
        posts = {
            "/v1/chat/completions": self.chat,
            "/v1/completions": self.completion,
            "/v1/responses": self.respond,
            "/v1/messages": self.message,
            "/v1/embeddings": self.embeddings,
        }
        if app.settings.mm_encoder_only:
            del posts["/v1/embeddings"]
        gets = {"/health": self.health, "/health/ready": self.ready, "/ready": self.health}
        routes: dict[str, dict[str, Handler]] = {path: {"POST": handler} for path, handler in posts.items()}
        routes |= {path: {"GET": handler} for path, handler in gets.items()} | self.server.routes
        self.generating = frozenset(posts)
        self.routes = {path: self._every_method(handlers) for path, handlers in routes.items()}
        self._known = dict(self.routes)
        self._asked = {path: handlers for path, handlers in routes.items() if "GET" in handlers}
        self.routes["/"] = self.routes["/*"] = dict.fromkeys(_METHODS, self.elsewhere)

    def _every_method(self, handlers: dict[str, Handler]) -> dict[str, Handler]:
        """Return what a path does with each method: what is not there is refused with those that are."""
        allowed = ", ".join([*handlers, "OPTIONS"])

        def refuse(turn: Turn) -> None:
            wrong = turn.request.method != "OPTIONS"
            status, body = (405, b"Method Not Allowed") if wrong else (200, b"")
            deliver(turn, Draft(status, _TEXT if wrong else "", [("Allow", allowed)], body))

        def no_head(handler: Handler) -> Handler:
            return lambda turn: (refuse if turn.request.method == "HEAD" else handler)(turn)

        return {method: no_head(handlers[method]) if method in handlers else refuse for method in _METHODS}

    def elsewhere(self, turn: Turn) -> None:
        """A path that is not there: a slash too many leads to the right one."""
        path = turn.request.path.replace("//", "/")
        handler = self._known.get(path, {}).get(turn.request.method)
        if handler is not None:
            handler(turn)
        elif path.rstrip("/") in self._asked and turn.request.method == "GET":
            where = f"http://{turn.request.headers.get('host', '')}{path.rstrip('/')}"
            deliver(turn, Draft(301, "", [("Location", where)]))
        else:
            deliver(turn, Draft(404, _TEXT, body=b"Not Found"))

    def error(self, error: ApiError, path: str = "") -> Draft:
        """Return the error: a parameter is told of injected failures alone."""
        param = error.param if isinstance(error, _Injected) else None
        return Draft(error.status, body=openai_error(error.status, error.message, param, error.kind))

    def ready(self, turn: Turn) -> None:
        """Ready once the time of its start is over; without a body until then."""
        starting = monotonic() - self.app.started < self.app.settings.startup_duration
        deliver(turn, Draft(503 if starting else 200))

    @staticmethod
    def while_draining(turn: Turn) -> None:
        """Generate nothing more, but for vectors; everything else is answered until what runs is complete."""
        if turn.request.path != "/v1/embeddings":
            raise ApiError(503, "server is shutting down")

    def before(self, turn: Turn) -> bool:
        # A client that leaves ends nothing: the answer is made to its end, and keeps its place.
        turn.stays = True
        asked = turn.request.headers.get("x-return-error")
        if turn.request.path == "/v1/embeddings" or (asked == "" and not self.app.settings.failure_injection_rate):
            return False
        if asked:
            try:
                code = int(asked)
            except ValueError:
                raise ApiError(400, f"X-Return-Error must be a number, got '{asked}'") from None
            text = f"Simulated error triggered by X-Return-Error header (code {code})"
            deliver(turn, Draft(code if code > 0 else 200, body=openai_error(code, text)))
            return True
        try:
            inject_failure(self.app, turn.request)
        except ApiError as error:
            raise _Injected(error.status, error.message, param=error.param) from None
        return False

    # Generation

    def chat(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"messages": list, "tools": list, "logprobs": bool})
        self._served(data)
        ask = requests.chat_ask(data)
        checked_tools(ask, given=isinstance(data.get("tools"), list))
        after = self._picture_after(turn)
        self._send(turn, data, ask, "chatcmpl-", lambda made: self._chat_draft(turn, ask, made, True, after))

    def completion(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"logprobs": int})
        self._served(data)
        ask = requests.completion_ask(data)
        self._send(turn, data, ask, "cmpl-", lambda made: self._chat_draft(turn, ask, made, False, None))

    def respond(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"tools": list})
        if data.get("input") is None:
            requests.response_ask(data)
        self._served(data)
        ask = requests.response_ask(data)
        self._send(turn, data, ask, "resp_", lambda made: answers.response(turn.id, turn.model, data, ask, made[0]))

    def message(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"messages": list, "tools": list})
        self._served(data)
        ask = requests.message_ask(data)
        checked_tools(ask, given=isinstance(data.get("tools"), list))
        self._send(turn, data, ask, "msg_", lambda made: answers.message(turn.id, turn.model, ask, made[0]))

    def embeddings(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.embeddings import embed

        data = requests.read(turn.request, {})
        if data.get("encoding_format") not in (None, "float", "base64"):
            del data["encoding_format"]
        model = data.get("model") or self.app.settings.names[0]
        draft, _ = embed(data, self.app.settings, model)
        given = data.get("input")
        texts = given if isinstance(given, list) else [given]
        plain = all(type(one) is int for one in texts)
        counts = [1 if plain else len(one if isinstance(one, list) else requests.tokens_of(str(one))) for one in texts]
        turn.prompt_tokens = sum(counts)
        turn.request_id = self.app.new_id("")
        draft.body["usage"] = {"prompt_tokens": turn.prompt_tokens, "total_tokens": turn.prompt_tokens}
        deliver(turn, draft)

    def _served(self, data: dict[str, Any]) -> None:
        """Refuse a model that is not served; one that is missing too."""
        self.server.check_model(str(data.get("model") or ""))

    def _picture_after(self, turn: Turn) -> float | None:
        """Return how many seconds after its text an answer shows a picture; None for none."""
        settings = self.app.settings
        asked = turn.request.headers.get("x-send-image", "") in TRUE
        if not settings.omni or not (asked or self.app.chance.below(100) < settings.image_emission_rate):
            return None
        return self.generator.latency.vary(settings.time_to_generate_image, settings.time_to_generate_image_std_dev)

    def _send(
        self, turn: Turn, data: dict[str, Any], ask: Ask, prefix: str, build: Callable[[list[Output]], Draft]
    ) -> None:
        """Generate, and send the answer when a place is free."""
        settings = self.app.settings
        if ask.n * len(ask.prompts) > settings.max_num_seqs + settings.max_waiting_queue_length:
            raise ApiError(429, "Failed to enqueue request, waiting requests queue is full")
        if settings.enable_kvcache:
            ask.cached_tokens = self._cached(ask)
            self.metrics.cache_hits += ask.cached_tokens
        try:
            outputs = self.generator.outputs(turn, ask)
        except ApiError as error:
            if not ask.stream:
                raise
            body = openai_error(error.status, error.message.rstrip("."))
            deliver(turn, answers.failed_stream(body))
            return
        below = self._is_below(turn, data, ask)
        if below:
            outputs = [Output([], answers.BELOW) for _ in outputs]
        self.generator.note(turn, ask, outputs[0], prefix)
        given = turn.request.headers.get("x-request-id") if settings.enable_request_id_headers else None
        turn.request_id = given or turn.id.removeprefix(prefix)
        turn.id = prefix + turn.request_id
        if prefix == "cmpl-":
            turn.id += "-0"
        if not below and not (turn.scripted is not None and turn.scripted.answers):
            for index, output in enumerate(outputs):
                call_tools(ask, output, self.generator.engine.draws(ask, "tools" + ask.prompts[0], index), settings)
        turn.finish_reason = outputs[0].finish
        whole = Output([token for output in outputs for token in output.tokens])
        whole.tool_tokens = sum(output.tool_tokens for output in outputs)
        if not ask.stream:
            # They are made side by side.
            whole = max(outputs, key=lambda output: output.count)
        shares = [
            Share(prompt, output.count, output.count - CALL_TOKENS * len(output.tool_calls), output.finish)
            for prompt, output in zip(requests.counts_of(ask), outputs, strict=True)
        ]
        if below:
            self.metrics.plan(turn, shares, 0.0, ())
            self.app.when_free(turn, lambda: self._say_at_once(turn, build(outputs)))
        else:
            self.generator.run(
                turn,
                ask,
                whole,
                lambda: build(outputs),
                lambda first, gaps: self.metrics.plan(turn, shares, first, gaps),
            )

    @staticmethod
    def _say_at_once(turn: Turn, draft: Draft) -> None:
        turn.status = 200
        deliver(turn, draft)

    def _is_below(self, turn: Turn, data: dict[str, Any], ask: Ask) -> bool:
        """Whether less of the prompt is kept than the request, or else the server, wants; or a header says so."""
        if turn.request.headers.get("x-cache-threshold-finish-reason", "") in TRUE:
            return True
        given = data.get("cache_hit_threshold")
        wanted = given if isinstance(given, int | float) else self.app.settings.global_cache_hit_threshold
        return self.app.settings.enable_kvcache and ask.cached_tokens < wanted * ask.prompt_tokens

    def _cached(self, ask: Ask) -> int:
        """Return how many tokens of a prompt are kept, in whole blocks; keep those of this one."""
        size = self.app.settings.block_size
        tokens = requests.tokens_of(ask.prompts[0])
        most = ask.prompt_tokens // size
        blocks = [hash(tuple(tokens[: number * size])) for number in range(1, most + 1)]
        known = next((number for number, block in enumerate(blocks) if block not in self._blocks), len(blocks))
        self._blocks.update(dict.fromkeys(blocks))
        while len(self._blocks) > self.app.settings.kv_cache_size:
            del self._blocks[next(iter(self._blocks))]
        return known * size

    @staticmethod
    def _chat_draft(turn: Turn, ask: Ask, made: list[Output], chat: bool, picture_after: float | None) -> Draft:
        build = answers.streamed if ask.stream else answers.whole
        return build(turn.id, turn.model, ask, made, chat=chat, picture_after=picture_after)
