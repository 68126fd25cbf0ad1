"""What can be said of a start before and when it fails: arguments, the processes to watch, the system's refusals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from InferenceLibrary.errors import ServerError, describe


def watched() -> list[int]:
    """Return whose end the server must not outlive: ours, and pabot's where it started us."""
    found = [os.getpid()]
    try:
        line = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return found
    if any(Path(part).name in {"pabot", "pabot.exe"} or part == "pabot.pabot" for part in line.split("\0")):
        found.append(os.getppid())
    return found


def refuse_unspeakable(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """What the system cannot hand over: a null byte anywhere, an equals sign in the name of a variable."""
    reason = None
    if any("\0" in text for text in (*argv, *environment, *environment.values())):
        reason = "embedded null byte"
    elif any("=" in name or not name for name in environment):
        reason = "illegal environment variable name"
    if reason is not None:
        raise ServerError(describe(f"'{argv[0]}' cannot be started", got=reason))


def not_executed(program: str, number: int, step: str) -> ServerError:
    """Return the error for a program that the system did not execute: its `errno`, and at which step."""
    reason = os.strerror(number).lower()
    if step == "cwd":
        return ServerError(describe(f"'{program}' cannot be started in its working directory", got=reason))
    if reason == "exec format error" or "bad cpu" in reason:
        hint = "a script needs a first line such as #!/bin/sh, a binary must fit this machine."
    elif reason == "no such file or directory":
        hint = "the interpreter that its first line names, or its loader, is missing: see head -1 or file."
    else:
        hint = "check the command of the profile."
    return ServerError(describe(f"'{program}' cannot be executed", got=reason, hint=hint))
