"""What a load client costs: CPU time of its processes from its first request on, to the last answer and to its end.

The client is watched from outside, so every client is measured alike: the server's metrics tell when requests run and
how many tokens it has generated, the kernel tells the CPU time of the client's processes. What starting costs is left
out; what goes on beside the first requests is left out by the difference of two loads of different size.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bars import ticks_of
from stand_in import TICK, Server

PATIENCE = 900
"""Seconds that a client may take."""
_BETWEEN = 0.1
"""Seconds between two looks."""


class Unusable(Exception):
    """A client cannot be had or does not run: the reason."""


class Spent(NamedTuple):
    """CPU seconds of one load, those before its first request left out."""

    sending: float
    """Until the last token was generated."""
    whole: float
    """Until the client ended."""
    tokens: int
    """How many were generated."""


class Cost(NamedTuple):
    """CPU microseconds of a token."""

    sending: float
    whole: float


class Progress(NamedTuple):
    """What a server tells of its work."""

    running: int
    """Requests."""
    tokens: int
    """Generated so far, by requests that have ended."""


def progress(server: Server) -> Progress:
    """Return what the metrics of a simulator tell."""
    with server.connect() as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        page = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode().splitlines()
    names = ("vllm:num_requests_running", "vllm:generation_tokens_total")
    return Progress(*(int(sum(float(line.split()[-1]) for line in page if line.startswith(name))) for name in names))


def watched(command: Sequence[str], folder: Path, server: Server) -> Spent:
    """Run a client in a folder to its end; raise `Unusable` where it fails or takes too long."""
    rest = last = progress(server).tokens
    begin = until = 0.0
    before = _ended()
    deadline = time.monotonic() + PATIENCE
    # A tokenizer in a folder is refused by some where this is set to anything.
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    with (folder / "said").open("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise Unusable(f"did not end within {PATIENCE} s")
                now = progress(server)
                if now == (0, rest):
                    begin = ticks_of(process.pid) / TICK
                elif now.tokens != last:
                    last, until = now.tokens, ticks_of(process.pid) / TICK
                time.sleep(_BETWEEN)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        lines = said.read().split("\n")
    if process.returncode:
        words = [line for line in lines if line.strip()] or ["no word"]
        raise Unusable(f"exit code {process.returncode}: {words[-1].strip()[:200]}")
    ended = _ended() - before
    if (tokens := progress(server).tokens) != last:
        until = ended  # the last answer and the end of the client came between two looks
    return Spent(until - begin, ended - begin, tokens - rest)


def difference(less: Spent, more: Spent) -> Cost:
    """Return what a token costs by two loads of different size."""
    tokens = more.tokens - less.tokens
    if tokens <= 0:
        raise Unusable(f"sent no larger load: {less.tokens} and {more.tokens} tokens were generated")
    if more.sending <= less.sending:
        raise Unusable(f"took no more CPU time for the larger load: {less.sending:.2f} and {more.sending:.2f} s")
    return Cost((more.sending - less.sending) / tokens * 1e6, (more.whole - less.whole) / tokens * 1e6)


def _ended() -> float:
    """CPU seconds of all processes that ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
