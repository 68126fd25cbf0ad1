"""From a request of the OpenAI API to its answer: limits, places, latency, scripted parts, stream or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.answers.engine import Engine, Output
from InferenceLibrary.simulator.answers.fast_answers import fast_stream, fast_whole
from InferenceLibrary.simulator.answers.latency import Latency
from InferenceLibrary.simulator.answers.openai_answers import Shape, streamed_answer, whole_answer
from InferenceLibrary.simulator.answers.openai_requests import is_strict
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, with_comments

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Turn


_MOST_CHOICES = 2**14
_MOST_TOKENS = 2**17


def check_work(choices: int, tokens: int = 0) -> None:
    """Refuse a request whose answers take so long to make that others would be kept waiting.

    Args:
        choices: Answers, where there are several: prompts by choices.
        tokens: Of all of them, as far as they are made.

    Raises:
        ApiError: 400.
    """
    if choices > _MOST_CHOICES:
        told = choices if choices < 10**9 else "more than 10^9"
        raise ApiError(400, f"The stand-in makes at most {_MOST_CHOICES} choices for a request, got {told}", param="n")
    if tokens > _MOST_TOKENS:
        raise ApiError(400, f"The stand-in makes at most {_MOST_TOKENS} tokens for the choices of a request", param="n")


class Generator:
    """Answers generating requests for a personality."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.engine = Engine(app.settings)
        self.latency = Latency(app.settings)
        self.comment_after: float | None = None
        """Seconds of silence in a stream after which it has a comment; None: it has none."""
        app.load = lambda: self.latency.load_factor(app.running)

    def limit(self, ask: Ask, longest_prompt: int) -> int:
        """Return the most tokens that one choice may have.

        Raises:
            ApiError: 400, prompt and output do not fit into the context.
        """
        context = self.app.settings.max_model_len
        wanted = ask.max_tokens or 0
        if longest_prompt + wanted > context or longest_prompt >= context:
            raise ApiError(
                400,
                f"This model's maximum context length is {context} tokens. However, you requested "
                f"{longest_prompt + wanted} tokens ({longest_prompt} in the messages, {wanted} in the completion). "
                "Please reduce the length of the messages or completion.",
                param="messages",
            )
        return ask.max_tokens or context - longest_prompt

    def outputs(self, turn: Turn, ask: Ask) -> list[Output]:
        """Return the generated texts, one for each prompt and choice."""
        limit = self.limit(ask, ask.prompt_tokens if len(ask.prompts) == 1 else 1)
        check_work(len(ask.prompts) * ask.n)
        script = turn.scripted
        if script is not None and script.answers:
            return [script.output(ask, limit, fills=True) for _ in range(len(ask.prompts) * ask.n)]
        if ask.n == 1 and len(ask.prompts) == 1:
            return [self.engine.generate(ask, ask.prompts[0], 0, limit, fills=True)]
        made: list[Output] = []
        work = 0
        for prompt in ask.prompts:
            for index in range(ask.n):
                made.append(self.engine.generate(ask, prompt, index, limit, fills=True))
                work += made[-1].count
                check_work(0, work)
        return made

    def answer(self, turn: Turn, shape: Shape, ask: Ask) -> None:
        """Generate, and send the answer when a place is free.

        Raises:
            ApiError: 400, it does not fit into the context; 429, the queue is full.
        """
        outputs = self.outputs(turn, ask)
        self.note(turn, ask, outputs[0], shape.prefix)
        if ask.tools or ask.response_format:
            self._call_tools(turn, ask, outputs)
        self.app.when_free(turn, lambda: self._send(turn, shape, ask, outputs))

    def note(self, turn: Turn, ask: Ask, output: Output, prefix: str) -> None:
        """Write down what the books need."""
        turn.model = self.shown_model(ask)
        turn.prompt_tokens = ask.prompt_tokens
        turn.max_tokens = ask.max_tokens
        turn.finish_reason = output.finish
        turn.id = self.app.new_id(prefix)
        self.app.ledger.note_tokens(turn, output.tokens)

    def _call_tools(self, turn: Turn, ask: Ask, outputs: list[Output]) -> None:
        from InferenceLibrary.simulator.answers.tools import call_tools, check_tools, format_answer

        check_tools(ask)
        if turn.scripted is not None and turn.scripted.answers:
            return
        for index, output in enumerate(outputs):
            draws = self.engine.draws(ask, "tools" + ask.prompts[0], index)
            if ask.response_format is not None:
                format_answer(ask, output, draws, self.app.settings)
            call_tools(ask, output, draws, self.app.settings, f"{turn.id.rpartition('-')[2]}{index}")
        turn.finish_reason = outputs[0].finish

    def run(
        self,
        turn: Turn,
        ask: Ask,
        output: Output,
        build: Callable[[], Draft],
        timed: Callable[[float, list[float]], None] | None = None,
    ) -> None:
        """Send the answer of another API when a place is free; `build` makes it, without its times.

        Args:
            turn: The request.
            ask: What it asks for.
            output: Its tokens.
            build: Makes the answer.
            timed: Is told before how many seconds the first token takes, and each of the others.

        Raises:
            ApiError: 429, the queue is full.
        """

        def send() -> None:
            turn.status = 200
            first, gaps = self.times(turn, ask, output.count)
            if timed is not None:
                timed(first, gaps if isinstance(gaps, list) else [gaps] * max(0, output.count - 1))
            draft = build()
            if draft.events is None:
                draft.pace(first, gaps, output.count)
            else:
                waits = [gaps] * output.count if isinstance(gaps, float) else gaps
                first_token = True
                step = iter(waits)
                for event in draft.events:
                    if event.tokens:
                        event.delay = first if first_token else next(step, 0.0)
                        first_token = False
                if self.comment_after is not None:
                    draft.events = with_comments(draft.events, self.comment_after)
            if turn.scripted is not None:
                turn.scripted.change(draft)
            deliver(turn, draft)

        self.app.when_free(turn, send)

    def shown_model(self, ask: Ask) -> str:
        """Return the name that the answer bears: an alias of the base model becomes the first one."""
        names = self.app.settings.names
        return names[0] if ask.model in names else ask.model

    def times(self, turn: Turn, ask: Ask, steps: int) -> tuple[float, list[float] | float]:
        """Return the seconds to the first token and the gaps after it."""
        running = self.app.running
        script = turn.scripted
        first = self.latency.first(
            ask.prompt_tokens, running, cached=ask.cached_tokens, remote_prefill=ask.remote_prefill
        )
        gaps = self.latency.gaps(max(0, steps - 1), running)
        if script is not None:
            first = first if script.first is None else script.first
            gaps = gaps if script.gap is None else script.gap
        return first, gaps

    def _send(self, turn: Turn, shape: Shape, ask: Ask, outputs: list[Output]) -> None:
        single = outputs[0] if len(outputs) == 1 else None
        steps = max((output.count for output in outputs), default=0) if single is None else single.count
        first, gaps = self.times(turn, ask, steps)
        turn.status = 200
        if (
            single is not None
            and not turn.faults
            and turn.scripted is None
            and ask.logprobs is None
            and not ask.echo
            and not single.tool_calls
        ):
            if ask.stream and turn.request.version == "1.1":
                turn.play(fast_stream(turn, shape, turn.id, ask, single, first, gaps), turn.started)
                return
            if not ask.stream and not first and not gaps:
                fast_whole(turn, shape, turn.id, ask, single)
                return
        if ask.stream:
            draft = streamed_answer(shape, turn.id, turn.model, ask, outputs, first, gaps)
        else:
            draft = whole_answer(shape, turn.id, turn.model, ask, outputs, complete=is_strict(turn))
            draft.pace(first, gaps, steps)
        if turn.scripted is not None:
            turn.scripted.change(draft)
        deliver(turn, draft)
