"""When a server is ready, in stages; each failure says which stage, what was seen, and why the process ended.

Spawned, listening, healthy, model listed, checks passed, first token: each stage has a budget of its own within that of
the whole.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from InferenceLibrary.causes import find_cause
from InferenceLibrary.client.http import Client
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.processes.listeners import held_by, strangers
from InferenceLibrary.processes.output import LogFollower
from InferenceLibrary.processes.program import Program
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.checks import Check, Facts, ask, facts_of, label, pause_of
from InferenceLibrary.servers.probes import (
    GIVE_KEY,
    LISTS_OTHERS,
    OK,
    ask_token,
    connects,
    generate_one,
    lists_model,
    probe,
    share_of,
)
from InferenceLibrary.servers.profile import Profile

__all__ = ["ForeignServerError", "Watch", "generate_one", "probe"]

SPAWNED, LISTENING, HEALTHY, MODEL_LISTED, CHECKS_PASSED, FIRST_TOKEN = (
    "spawned", "listening", "healthy", "model listed", "checks passed", "first token"
)  # fmt: skip
STAGES = (SPAWNED, LISTENING, HEALTHY, MODEL_LISTED, CHECKS_PASSED, FIRST_TOKEN)
_LISTED_AT = "/v1/models"
"""Where the list of models is asked for that the profile does not name."""

PROGRESS_EVERY = 5.0
"""Seconds between lines about a stage that lasts."""
LONG_LOAD = 2.0
"""Seconds of a start from which on the end of a stage is worth a line on the console."""
_REFUSED_FOR_GOOD = 2.0
"""Seconds that a refusal must last; gateways answer 404 until their backends have come."""
_ENDS_BY_ITSELF = 1.0
"""Seconds in which a server whose port is taken should notice it and end."""
_CLOSELY = 2.0
"""Seconds of each stage in which the server is asked every ten milliseconds."""
_LONGEST_LINE = 120


class Goal(NamedTuple):
    """When a start is over."""

    stage: str
    """The last stage; what the profile does not ask for before it is left out."""
    ways: tuple[str, ...] = ()
    """How a first token is asked for: `chat`, `completion`; the next where the one before is refused for good."""

    def reaches(self, stage: str) -> bool:
        """Whether a stage is gone through."""
        return STAGES.index(stage) <= STAGES.index(self.stage)


def goal_of(profile: Profile, wait_for: str | None) -> Goal:
    """Return the goal of a start: a stage that is asked for, or else what the profile says."""
    way = profile.ready.first_token
    if wait_for is None:
        return Goal(CHECKS_PASSED) if way == "none" else Goal(FIRST_TOKEN, (way,))
    if wait_for != FIRST_TOKEN:
        return Goal(wait_for)
    # Whoever asks for a token wants one of the model as it is: one without a chat template refuses chats.
    return Goal(FIRST_TOKEN, ("completion", "chat") if way == "completion" else ("chat", "completion"))


class ForeignServerError(ServerError):
    """Another program listens on the port on which ours was started."""


@dataclass
class Watch:
    """Follows a starting process until it is ready."""

    name: str
    process: Program
    profile: Profile
    deadline: Deadline
    redact: Redactor
    checks: Sequence[Check] = ()
    """Checks of a user's own."""
    cwd: Path | None = None
    """The server's working directory."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds from the start at which each stage was reached."""
    report: Callable[[str], None] = lambda line: None
    """Takes a line when a stage ends."""
    progress: Callable[[str], None] = lambda line: None
    """Takes the lines that are worth to be seen while one waits: those about long loads."""

    def spawned(self) -> None:
        """The process was started."""
        self._reached(SPAWNED)

    def announced_url(self) -> str:
        """Wait for the line that tells where the process listens and return its URL.

        Raises:
            ServerError: The process ended, or the time is over.
        """
        assert self.profile.start is not None
        pattern = re.compile(self.profile.start.announcement or "")
        found: list[re.Match[str]] = []
        follower = LogFollower(self.process.log_path, pattern)

        def announced() -> bool:
            match = follower.find()
            if match is not None:
                found.append(match)
            return match is not None

        self._await(LISTENING, announced, lambda: f"no line that matches '{pattern.pattern}'", "the announced address")
        groups = found[0].groupdict()
        return _reachable((groups.get("url") or f"http://127.0.0.1:{groups['port']}").rstrip("/"))

    def listening(self, base_url: str) -> None:
        """Wait until the port accepts connections, unless that was announced; it must be the process that listens.

        Raises:
            ForeignServerError: Another program listens there.
            ServerError: The process ended, or the time is over.
        """
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if LISTENING not in self.stages:
            last = [""]
            budget = self._budget(LISTENING)

            def connected() -> bool:
                last[0] = connects(host, port, share_of(budget.remaining))
                return last[0] == OK

            self._await(
                LISTENING,
                connected,
                lambda: last[0],
                f"a listener on port {port}",
                budget,
                advice=lambda: self._elsewhere(host, port),
            )
        if host in {"127.0.0.1", "localhost", "::1"}:
            self._refuse_foreigner(host, port)

    def until_ready(self, client: Client, goal: Goal) -> None:
        """Wait for health, for the model in the list of models, for checks and for a first generated token.

        Args:
            client: Asks the server.
            goal: The last of these that is waited for.

        Raises:
            ServerError: The process ended, the time is over, or the server refuses for good.
        """
        health = self.profile.ready.health
        last = ["nothing"]

        budget = self._budget(HEALTHY)

        def healthy() -> bool:
            last[0] = probe(client.base_url, health, share_of(budget.remaining), client.given_headers)
            return last[0] == OK

        expected = f"{' or '.join(map(str, health.statuses))} on GET {health.path}" if health else "a listening port"
        if HEALTHY not in self.stages:

            def advice() -> str | None:
                return "is ready.health.path of the profile right?" if last[0] == "status 404" else None

            self._await(HEALTHY, healthy, lambda: last[0], expected, budget, advice=advice)
        listing = self.profile.ready.model_list or (_LISTED_AT if goal.stage == MODEL_LISTED else None)
        if listing is not None and goal.reaches(MODEL_LISTED) and MODEL_LISTED not in self.stages:
            self._await_model(client, listing, last)
        if self.checks and goal.reaches(CHECKS_PASSED) and CHECKS_PASSED not in self.stages:
            self._await_checks(client)
        if goal.ways:
            self._await_token(client, goal.ways, last)

    def _await_checks(self, client: Client) -> None:
        budget = self._budget(CHECKS_PASSED)
        last = [""]
        for check in self.checks:
            facts = facts_of(client.base_url, client.model, self.process.pid, self.process.log_path, self.cwd)

            def passed(check: Check = check, facts: Facts = facts) -> bool:
                last[0] = ask(check, facts, budget.remaining)
                return last[0] == OK

            self._await(
                CHECKS_PASSED,
                passed,
                lambda: last[0],
                f"{label(check)} to pass",
                budget,
                closely=pause_of(check),
                ends_stage=check is self.checks[-1],
            )

    def _await_model(self, client: Client, listing: str, last: list[str]) -> None:
        """Wait for the model in the list. A list of others that stays the same is told: more time changes nothing."""
        same: list[Deadline] = []
        budget = self._budget(MODEL_LISTED)

        def listed() -> bool:
            before = last[0]
            last[0] = lists_model(client, listing, budget.remaining)
            if not last[0].startswith(LISTS_OTHERS) or last[0] != before:
                same.clear()
            if last[0].startswith(LISTS_OTHERS):
                same.append(same[0] if same else Deadline(_REFUSED_FOR_GOOD))
            return last[0] == OK or bool(same and same[0].expired)

        wanted = f"the model '{client.model}'" if client.model else "a model"
        expected = f"{wanted} on GET {listing}"
        self._await(MODEL_LISTED, listed, lambda: last[0], expected, budget)
        if last[0] != OK:
            del self.stages[MODEL_LISTED]
            what = f"Server '{self.name}' is not ready ({MODEL_LISTED})"
            hint = "give one of the listed names with model=, or as model: in the profile."
            raise self._failure(what, expected, last[0], f"{self.process.label} runs", seen=hint)

    def _await_token(self, client: Client, ways: Sequence[str], last: list[str]) -> None:
        refused: list[Deadline] = []
        budget = self._budget(FIRST_TOKEN)

        def generated() -> bool:
            last[0], final = ask_token(client, ways[0], budget.remaining)
            for way in ways[1:] if final else ():
                seen, again = ask_token(client, way, budget.remaining)
                if not again:
                    last[0], final = seen, False
                    break
            if final:
                refused.append(refused[0] if refused else Deadline(_REFUSED_FOR_GOOD))
            else:
                refused.clear()
            return last[0] == OK or bool(refused and refused[0].expired)

        expected = f"a first token from a {' or a '.join(ways)}"
        self._await(FIRST_TOKEN, generated, lambda: last[0], expected, budget)
        if last[0] != OK:
            del self.stages[FIRST_TOKEN]
            what = f"Server '{self.name}' is not ready ({FIRST_TOKEN})"
            hint = "it refuses the request: check the model's name, the key, and ready.first_token of the profile."
            if " got 401" in last[0] and not client.api_key:
                hint = f"it wants a key: {GIVE_KEY}"
            raise self._failure(what, expected, last[0], f"{self.process.label} runs", hint)

    def _await(
        self,
        stage: str,
        check: Callable[[], bool],
        got: Callable[[], str],
        expected: str,
        budget: Deadline | None = None,
        advice: Callable[[], str | None] = lambda: None,
        closely: float = 0.01,
        ends_stage: bool = True,
    ) -> None:
        budget = budget or self._budget(stage)
        next_line = [PROGRESS_EVERY]

        def done() -> bool:
            if not self.process.running or check():
                return True
            if budget.elapsed >= next_line[0]:
                next_line[0] = budget.elapsed + PROGRESS_EVERY
                self.progress(self._line(f"waiting until it is {stage}, {self.deadline.elapsed:.0f} s, {got()}"))
            return False

        # Closely at first, so that a fast server is not waited for; what loads for long is not asked so often.
        reached = wait_until(done, min(_CLOSELY, budget.remaining), longest=closely) or wait_until(
            done, budget, longest=max(closely, 0.05)
        )
        # A foreign server on the port would answer for a process that has just ended.
        ended = self.process.how_it_ended()
        if ended is not None:
            raise self._failure(f"Server '{self.name}' ended before it was ready", expected, ended)
        if not reached:
            state = f"{self.process.label} runs"
            hint = None
            if not self.deadline.expired:
                key = f"ready.budgets.{stage.replace(' ', '_')}"
                state = f"the stage's budget is {budget.budget:g} s; {state}"
                hint = f"give it more time with {key} in the profile, or read its log."
            what = f"Server '{self.name}' is not ready ({stage})"
            raise self._failure(what, expected, got(), state, hint, advice())
        if ends_stage:
            self._reached(stage)

    def _budget(self, stage: str) -> Deadline:
        """Return the stage's own time limit, or what is left of the whole."""
        own = getattr(self.profile.ready.budgets, stage.replace(" ", "_"))
        left = self.deadline.remaining
        return Deadline(left if own is None else min(parse_duration(own), left))

    def _reached(self, stage: str) -> None:
        self.stages[stage] = self.deadline.elapsed
        line = self._line(f"{stage} after {self.stages[stage]:.2f} s")
        (self.progress if self.stages[stage] >= LONG_LOAD else self.report)(line)

    def _line(self, what: str) -> str:
        last = self.redact(next((line.strip() for line in reversed(self.process.log_tail()) if line.strip()), ""))
        shown = cut(last, _LONGEST_LINE)
        return f"Server '{self.name}': {what}" + (f"; its log: {shown}" if shown else "")

    def _elsewhere(self, host: str, port: int) -> str | None:
        """Whether it listens elsewhere than where it is asked."""
        found = held_by(self.process.pids())
        if not found:
            return None
        listener, pid = next((each for each in found if each[0].port == port), found[0])
        if listener.port == port:
            where = f"[{listener.host}]" if ":" in listener.host else listener.host
            return (
                f"process {pid} listens at {where} alone, and is asked at {host}: pass {{host}} in start.command of "
                f"the profile, or let start.announcement find the address that it tells, http://{where}:{port}."
            )
        return (
            f"process {pid} listens on port {listener.port}, not {port}: use {{port}} in start.command of the profile."
        )

    def _refuse_foreigner(self, host: str, port: int) -> None:
        process = self.process
        holders = strangers(port, host, process.pids())
        if not holders:
            return
        # Most servers say themselves that the port is taken, and better.
        wait_until(lambda: not process.running, _ENDS_BY_ITSELF)
        ended = process.how_it_ended()
        expected = f"its own listener on port {port}"
        if ended is not None:
            raise self._failure(f"Server '{self.name}' ended before it was ready", expected, ended)
        what = f"Server '{self.name}' is not ready ({LISTENING})"
        hint = "another program answers there: leave the port to the library, or stop its holder."
        error = self._failure(what, expected, f"one of {', '.join(holders)}", f"{process.label} runs", hint)
        raise ForeignServerError(str(error))

    def _failure(
        self,
        what: str,
        expected: str,
        got: str,
        state: str | None = None,
        hint: str | None = None,
        seen: str | None = None,
    ) -> ServerError:
        """What failed; `seen` is a cause that was seen, and counts more than words in the log."""
        log = [self.redact(line) for line in self.process.log_tail()]
        cause = seen or find_cause(log, got if state is None else None, self.profile.hints)
        if state is not None:
            cause = cause or hint or "give it more time with timeout=..., or read its log."
        detail = (f"Last lines of {self.process.log_path}", list(_counted(log)) or ["(it wrote nothing)"])
        return ServerError(
            self.redact(
                describe(
                    what,
                    expected=expected,
                    got=got,
                    after=self.deadline.elapsed,
                    state=state,
                    hint=cause,
                    detail=detail,
                )
            )
        )


def _counted(lines: Iterable[str]) -> Iterator[str]:
    """Lines that repeat the one before are told once: a server writes one for each time that it is asked."""
    for line, same in itertools.groupby(lines):
        count = len(list(same))
        yield line if count == 1 else f"{line} ({count} times)"


def _reachable(url: str) -> str:
    """A server that announces that it listens everywhere is reached on this machine."""
    return re.sub(r"//(0\.0\.0\.0|\[::\])(?=[:/]|$)", "//127.0.0.1", url)
