"""What the programs of all Python clients share: cases are played one by one, each told in a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""Where the server is, without a path."""
MODEL = "fake-model"
MESSAGES = [{"role": "user", "content": "one two three"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
SLOW = {"X-Case": "slow"}
"""Asks for the scripted answer that takes a minute."""


def fault(name: str) -> dict[str, str]:
    return {"X-Inference-Fault": name}


def broken(*statuses: int) -> dict[str, str]:
    """Return the faults of whole answers by the names of their cases, with a refusal for each status."""
    return {
        "closed": "close-before-status",
        "reset": "close-before-status:how=reset",
        "body cut": "cut-after-events",
        **{str(status): f"status:code={status}" for status in statuses},
    }


def error_text(error: BaseException) -> str:
    """Return the class of an error and, where it has one, its status."""
    status = getattr(error, "status_code", None)
    return f"{type(error).__name__} {status}" if isinstance(status, int) else type(error).__name__


def waited(call: Callable[[], str]) -> str:
    """Return what the call returns, and whether it took at least the second that Retry-After asks for."""
    began = time.monotonic()
    text = call()
    return f"{text}, {'waited' if time.monotonic() - began >= 1 else 'did not wait'}"


def running() -> float:
    """Return how many requests the server works on."""
    with urllib.request.urlopen(f"{URL}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (count,) = [float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{")]
    return count


def released() -> str:
    """Wait until the server works on nothing more; say so where that is long before the answer would have ended."""
    began = time.monotonic()
    while running():
        if time.monotonic() - began > 30:
            return "the server goes on"
        time.sleep(0.02)
    return "the server stopped"


async def cancel(call: Coroutine[Any, Any, Any]) -> None:
    """Cancel the call as soon as the server works on it."""
    task = asyncio.create_task(call)
    while not (task.done() or await asyncio.to_thread(running)):  # noqa: ASYNC110  it happens elsewhere
        await asyncio.sleep(0.02)
    task.cancel()
    await task


def cancelled(ask: Callable[[], Coroutine[Any, Any, None]]) -> str:
    """Return what the server did after the call was cancelled."""
    try:
        asyncio.run(ask())
    except asyncio.CancelledError:
        return released()
    return "not cancelled"


def play(cases: Mapping[str, Callable[[], Any]]) -> None:
    for name, case in cases.items():
        try:
            outcome, detail = str(case()), ""
        except Exception as error:  # noqa: BLE001  what a client raises is what is asked here
            outcome, detail = error_text(error), f"{type(error).__mro__[1].__name__}: {error}"
        print(json.dumps({"case": name, "outcome": outcome, "detail": detail}), flush=True)
