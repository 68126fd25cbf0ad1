"""One request and its answer, played on the timer heap; and what the parts of the simulator need of each other.

A turn stands between its connection, the application, the faults and the personality: each of them knows it, and it
knows them by the protocols below only.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.api_errors import ApiError
    from InferenceLibrary.simulator.core.draft import Draft, Frame
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.core.timers import Entry, Timers


class Line(Protocol):
    """A connection, as turns and faults see it."""

    transport: Any
    write_paused: bool
    current: Turn | None

    def send(self, data: bytes) -> None:
        """Write the bytes."""

    def ended(self, keep_alive: bool) -> None:
        """The current turn is complete: go on with the next, or close."""

    def unsent(self) -> int:
        """Bytes that have not left the process."""

    def close(self) -> None:
        """Close after everything was sent (FIN)."""

    def close_lingering(self) -> None:
        """End our side and drop what still comes."""

    def reset(self) -> None:
        """Cut the connection (RST)."""


class AskedFault(Protocol):
    """A fault that was asked for. The methods are the stages of an answer, in their order."""

    text: str

    @property
    def matched(self) -> int:
        """How many requests or connections it was for."""

    @property
    def struck(self) -> int:
        """How many of them it changed."""

    @property
    def lasting(self) -> bool:
        """Whether it comes from outside of the suite, which neither sees it nor takes it away."""

    @property
    def before_body(self) -> bool:
        """Whether it acts when the head of a request is there, before its body."""

    def matches(self, request: Request, generates: bool, chance: Draws) -> bool:
        """Whether it is for this request; counts it."""

    def take_connection(self, connection: Line) -> bool:
        """Act on a new connection; true when it did."""

    def take_head(self, turn: Turn) -> None:
        """Act on the head of a request."""

    def take_request(self, turn: Turn) -> bool:
        """Act in place of the answer; true when it answered."""

    def change_draft(self, draft: Draft, turn: Turn) -> None:
        """Change the objects of an answer."""

    def change_body(self, draft: Draft, turn: Turn) -> None:
        """Change the bytes of a whole answer."""

    def change_frames(self, frames: list[Frame], turn: Turn) -> list[Frame]:
        """Return the events of a streamed answer, changed as bytes."""

    def change_wire(self, steps: Iterator[Step], turn: Turn) -> Iterator[Step]:
        """Return the steps of an answer, changed as they go out."""


class Personality(Protocol):
    """A system that the simulator stands in for."""

    # Path to method to handler; a path that ends with `*` takes all below it.
    routes: dict[str, dict[str, Handler]]
    # Paths whose requests are counted and get faults: those that generate.
    generating: frozenset[str]
    # Paths that need no key.
    open_paths: frozenset[str]

    def error(self, error: ApiError, path: str = "") -> Draft:
        """Return the answer for an error, in the shape that the system has on this path."""

    def before(self, turn: Turn) -> bool:
        """Called first for generating requests; true when it answered already."""


class Account(Protocol):
    """The counters of a server, as faults see them."""

    received: int


class Application(Protocol):
    """The application, as turns and faults see it."""

    settings: Settings
    timers: Timers
    personality: Personality
    chance: Draws
    strict: bool
    chunks_for_all: bool
    draining: bool
    stuck: bool
    harmed: bool
    frozen_metrics: Any
    load: Callable[[], float]

    @property
    def ledger(self) -> Account:
        """What was served so far."""

    def answer_headers(self, turn: Turn) -> tuple[tuple[str, str], ...]:
        """Return headers that every answer bears."""

    def fail(self, turn: Turn, error: ApiError) -> None:
        """Answer with an error, in the shape of the personality."""

    def crashed(self, turn: Turn, error: Exception) -> None:
        """A mistake of the simulator itself ended the turn."""

    def ended(self, turn: Turn) -> None:
        """Keep account of a turn that is over."""


class Host(Protocol):
    """The process that serves, as its control port and the faults of the process see it."""

    ignores_signals: bool

    @property
    def listening(self) -> bool:
        """Whether new connections are taken."""

    def refuse(self, refuse: bool) -> None:
        """Refuse new connections as if nobody listened, or take them again, on the same port."""


class Beats:
    """Tokens at a pace: `count` frames of one token each, with the seconds to wait before each.

    What a busy server does most of the time, so it is played without a step of its own for each write and each wait.
    """

    __slots__ = ("frames", "gaps", "left")

    def __init__(self, frames: Iterable[bytes], count: int, gaps: float | Iterable[float]) -> None:
        self.frames = iter(frames)
        self.gaps = repeat(gaps) if isinstance(gaps, float) else iter(gaps)
        self.left = count


# Bytes to write, seconds to wait after the step before, tokens at a pace, or something to do (true: it took over, go no
# further).
Step: TypeAlias = "bytes | float | Beats | Callable[[Turn], bool]"
Handler: TypeAlias = "Callable[[Turn], None]"

# Steps without a wait before other connections are served.
_STEPS_AT_ONCE = 64


class Turn:
    """The life of one request: waiting, answering, and how it ended."""

    __slots__ = (
        "_beats",
        "_due",
        "_end_hooks",
        "_steps",
        "_timer",
        "_waits",
        "app",
        "connection",
        "counted",
        "faults",
        "finish_reason",
        "first_token",
        "id",
        "json",
        "keep_alive",
        "kind",
        "max_tokens",
        "model",
        "outcome",
        "prompt_tokens",
        "request",
        "request_id",
        "scripted",
        "started",
        "status",
        "stays",
        "struck",
        "token_times",
        "tokens",
    )

    def __init__(self, app: Application, connection: Line, request: Request) -> None:
        self.app = app
        self.connection = connection
        self.request = request
        self.id = ""
        self.request_id = ""
        self.json: Any = None
        self.keep_alive = request.keep_alive
        self.counted = False
        self.kind = ""
        self.model = ""
        self.finish_reason = ""
        self.status = 0
        self.prompt_tokens = 0
        self.max_tokens: int | None = None
        self.tokens = 0
        self.started = request.received
        self.first_token = 0.0
        self.token_times: array[float] | None = None
        self.outcome = ""
        self.faults: list[AskedFault] = []
        self.struck: tuple[AskedFault, ...] = ()
        self.scripted: Any = None
        self.stays = False
        self._steps: Iterator[Step] | None = None
        self._beats: Beats | None = None
        self._timer: Entry | None = None
        self._due = request.received
        self._waits = False
        self._end_hooks: list[Callable[[Turn], None]] = []

    def at_end(self, hook: Callable[[Turn], None]) -> None:
        """Call `hook` when the answer is complete, broken off or abandoned."""
        self._end_hooks.append(hook)

    def sent_tokens(self, count: int, moments: Sequence[float] = ()) -> None:
        """Note that `count` tokens were written just now; or that they were made before, at `moments` of the answer."""
        if moments and count:
            # Tokens of several choices are made in one step.
            made = array("d", (self.started + moments[place * len(moments) // count] for place in range(count)))
            self.first_token = self.first_token or made[0]
            self.tokens += count
            self.token_times = made if self.token_times is None else self.token_times + made
            return
        now = monotonic()
        if not self.first_token:
            self.first_token = now
        self.tokens += count
        times = self.token_times
        if times is None:
            self.token_times = array("d", (now,)) * count
        elif count == 1:
            times.append(now)
        else:
            times.extend((now,) * count)

    def play(self, steps: Iterator[Step], start: float | None = None) -> None:
        """Write the steps; waits count from `start`, which is the arrival of the request if not given."""
        self._steps = steps
        if start is not None:
            self._due = start
        self._advance()

    def answer(self, data: bytes, tokens: int) -> None:
        """Write a whole answer that waits for nothing, as `play` would."""
        connection = self.connection
        if connection.write_paused:
            self.play(iter((data, lambda turn: turn.sent_tokens(tokens))))
            return
        connection.send(data)
        if tokens:
            self.sent_tokens(tokens)
        self.finish()

    @property
    def playing(self) -> bool:
        """Whether an answer has begun."""
        return self._steps is not None

    def _advance(self) -> None:
        self._timer = None
        steps = self._steps
        connection = self.connection
        if steps is None:
            return
        for _ in range(_STEPS_AT_ONCE):
            if connection.write_paused:
                self._waits = True
                return
            try:
                step = next(steps)
            except StopIteration:
                self.finish()
                return
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
                self.app.crashed(self, error)
                return
            kind = type(step)
            if kind is bytes:
                connection.send(step)  # type: ignore[arg-type]
            elif kind is float:
                self._due += step  # type: ignore[operator]
                self._timer = self.app.timers.at(self._due, self._advance)
                return
            elif kind is Beats:
                self._beats = step  # type: ignore[assignment]
                self._due += next(step.gaps)  # type: ignore[union-attr]
                self._timer = self.app.timers.at(self._due, self._beat)
                return
            elif step(self):  # type: ignore[operator]
                return
            if self._steps is not steps:
                return
        self._timer = self.app.timers.at(monotonic(), self._advance)

    def _beat(self) -> None:
        """Write the token whose time has come; after the last one, go on with the steps."""
        connection = self.connection
        if connection.write_paused:
            self._waits = True
            return
        beats: Beats = self._beats  # type: ignore[assignment]
        connection.send(next(beats.frames))
        self.tokens += 1
        self.token_times.append(monotonic())  # type: ignore[union-attr]
        beats.left -= 1
        if beats.left:
            self._due = due = self._due + next(beats.gaps)
            self._timer = self.app.timers.at(due, self._beat)
        else:
            self._beats = None
            self._advance()

    def resume(self) -> None:
        """Go on when the client reads again, or what a step waits for has come."""
        if self._waits and not self.outcome:
            self._waits = False
            if self._beats is None:
                self._advance()
            else:
                self._beat()

    def pause(self) -> bool:
        """For a step that waits for an event: `resume` calls it once more. Returns true."""
        self._waits = True
        return True

    def replace(self, steps: Iterator[Step]) -> None:
        """Drop what is left of the answer, and play other steps at once."""
        self.app.timers.cancel(self._timer)
        self._waits = False
        self._beats = None
        self.play(steps, monotonic())

    def again(self, seconds: float) -> bool:
        """For a step that waits for something: call it once more, `seconds` from now. Returns true."""
        self._timer = self.app.timers.at(monotonic() + seconds, self._advance)
        return True

    def finish(self, outcome: str = "") -> None:
        """The answer is complete."""
        if not self.outcome:
            self._end(outcome or ("completed" if self.status < 400 else "failed"))
            self.connection.ended(self.keep_alive and not self.app.draining)

    def broken(self) -> None:
        """The answer was broken off by us; the connection is left to the caller."""
        if not self.outcome:
            self._end("failed")
            self.connection.current = None

    def client_left(self) -> None:
        """The client closed the connection before the answer was complete."""
        if not self.outcome and not self.stays:
            self._end("cancelled")

    def _end(self, outcome: str) -> None:
        self.outcome = outcome
        self.app.timers.cancel(self._timer)
        self._timer = None
        self._steps = self._beats = None
        hooks, self._end_hooks = self._end_hooks, []
        for hook in hooks:
            hook(self)
        self.app.ended(self)
