"""What can be said of a start before and when it fails: arguments, the processes to watch, the system's refusals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from InferenceLibrary.errors import InferenceError, ServerError, describe


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


def refuse_unspeakable(argv: Sequence[str], environment: Mapping[str, str], error: type[InferenceError]) -> None:
    """Refuse what the system cannot hand over to a program: it would be told late, or by another name.

    Args:
        argv: The program and its arguments.
        environment: Its variables.
        error: What is raised.
    """
    texts = {f"argument {number}" if number else "its name": text for number, text in enumerate(argv)}
    for name, value in environment.items():
        if "=" in name or not name:
            got = f"the name {name!r} of a variable"
            raise error(describe(f"'{argv[0]}' cannot be started", expected="names without an equals sign", got=got))
        texts[f"the variable '{name}'"] = f"{name}{value}"
    for where, text in texts.items():
        if "\0" in text or not _can_be_encoded(text):
            got = f"{'a null byte' if chr(0) in text else 'half of a surrogate pair'} in {where}"
            expected = "arguments and variables that the system can hand over"
            raise error(describe(f"'{argv[0]}' cannot be started", expected=expected, got=got))


def _can_be_encoded(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


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
