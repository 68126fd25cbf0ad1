"""When a server is ready, in stages; each failure says which stage, what was seen, and why the process ended."""

from __future__ import annotations

import http.client
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from InferenceLibrary.client.http import Client
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import RequestError, ServerError, StreamError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import Health, Profile
from InferenceLibrary.servers.program import Program

_PROBE_TIMEOUT = 2.0

KNOWN_CAUSES: tuple[tuple[str, str], ...] = (
    (r"address (is )?already in use|EADDRINUSE", "the port is taken: leave it to the library, or stop its holder."),
    (r"out of memory|OutOfMemoryError", "memory ran out: use a smaller model or free the GPU."),
    (r"(error while loading shared libraries|cannot open shared object file)", "a shared library is missing: see ldd."),
    (r"no such file or directory|failed to (open|load) model|model .*not found", "a file is missing: check the paths."),
    (r"unrecognized arguments?|unknown (flag|option|argument)|invalid (argument|option)|no such option",
     "the program does not know an argument: compare the command line with its --help."),
)  # fmt: skip
"""Words in a log and what they hint at."""


@dataclass
class Watch:
    """Follows a starting process until it is ready."""

    name: str
    process: Program
    profile: Profile
    deadline: Deadline
    redact: Redactor
    stages: dict[str, float] = field(default_factory=dict)

    def announced_url(self) -> str:
        """Wait for the line that tells where the process listens and return its URL.

        Raises:
            ServerError: The process ended, or the time is over.
        """
        assert self.profile.start is not None
        pattern = re.compile(self.profile.start.announcement or "")
        found: list[str] = []

        def announced() -> bool:
            match = pattern.search(self.process.log_text())
            if match is None:
                return False
            groups = match.groupdict()
            found.append(groups.get("url") or f"http://127.0.0.1:{groups['port']}")
            return True

        self._await(
            "listening", announced, lambda: f"no line that matches '{pattern.pattern}'", "the announced address"
        )
        return found[0].rstrip("/")

    def until_ready(self, client: Client, first_token: str) -> None:
        """Wait for health and for a first generated token.

        Raises:
            ServerError: The process ended, or the time is over.
        """
        health = self.profile.ready.health
        last = ["nothing"]

        def healthy() -> bool:
            last[0] = probe(client.base_url, health)
            return last[0] == "ok"

        expected = f"{' or '.join(map(str, health.statuses))} on GET {health.path}" if health else "a listening port"
        self._await("healthy", healthy, lambda: last[0], expected)
        if first_token == "none":
            return

        def generated() -> bool:
            last[0] = generate_one(client, first_token, self.deadline.remaining)
            return last[0] == "ok"

        self._await("first token", generated, lambda: last[0], f"a first token from a {first_token}")

    def _await(self, stage: str, check: object, got: object, expected: str) -> None:
        assert callable(check)
        assert callable(got)
        reached = wait_until(lambda: not self.process.running or check(), self.deadline)
        # A foreign server on the port would answer for a process that has just ended.
        ended = self.process.how_it_ended()
        if ended is not None:
            raise self._failure(f"Server '{self.name}' ended before it was ready", expected, ended)
        if not reached:
            state = f"{self.process.label} runs"
            raise self._failure(f"Server '{self.name}' is not ready ({stage})", expected, got(), state)
        self.stages[stage] = self.deadline.elapsed

    def _failure(self, what: str, expected: str, got: str, state: str | None = None) -> ServerError:
        log = [self.redact(line) for line in self.process.log_tail()]
        causes = [(hint.pattern, hint.hint) for hint in self.profile.hints] + list(KNOWN_CAUSES)
        text = "\n".join(log)
        hint = next((hint for pattern, hint in causes if re.search(pattern, text, re.IGNORECASE)), None)
        if hint is None and state is not None:
            hint = "give it more time with timeout=..., or read its log."
        detail = (f"Last lines of {self.process.log_path}", log or ["(it wrote nothing)"])
        return ServerError(
            self.redact(
                describe(
                    what, expected=expected, got=got, after=self.deadline.elapsed, state=state, hint=hint, detail=detail
                )
            )
        )


def probe(base_url: str, health: Health | None) -> str:
    """Ask once; return `ok` or what was seen instead. Over http.client, which costs no import."""
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if health is None:
        try:
            socket.create_connection((parts.hostname or "", port), _PROBE_TIMEOUT).close()
        except OSError as error:
            return _reason(error)
        return "ok"
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", port, timeout=_PROBE_TIMEOUT)
    try:
        connection.request("GET", parts.path.rstrip("/") + health.path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return _reason(error)
    finally:
        connection.close()
    return "ok" if status in health.statuses else f"status {status}"


def generate_one(client: Client, kind: str, budget: float) -> str:
    """Ask for one token; return `ok` or what was seen instead."""
    limits = client.limits._replace(total=max(budget, 0.1))
    options = {"max_tokens": 1, "limits": limits, "allow_broken": True}
    try:
        if kind == "chat":
            stream = client.stream_chat([{"role": "user", "content": "Hi"}], **options)
        else:
            stream = client.stream_completion("Hi", **options)
    except (RequestError, StreamError) as error:
        return str(error).splitlines()[0]
    return "ok" if stream.tokens else f"a stream without a token: {stream}"


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return f"no answer within {_PROBE_TIMEOUT:g} s"
    return str(error) or type(error).__name__
