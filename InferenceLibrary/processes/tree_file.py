"""The file in which a guard keeps whom it guards, so that they are found when the guard itself was killed.

The guard writes it and starts with every server: so the module imports nothing but `os`.
"""

from __future__ import annotations

import os


def write(path: str, processes: list[tuple[int, str]]) -> None:
    """Replace what the file says: numbers and start times. A reader sees the old list or the new one, whole."""
    text = "".join(f"{pid} {started}\n" for pid, started in processes)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
    os.replace(path + ".new", path)  # noqa: PTH105 - pathlib would cost the guard its import


def read(path: str) -> list[tuple[int, str]]:
    """Return the numbers and start times; none when there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            lines = [line.rstrip("\n").partition(" ") for line in file]
    except FileNotFoundError:
        return []
    return [(int(pid), started) for pid, _, started in lines if pid.isdigit()]


def remove(path: str) -> None:
    """Remove the file; nothing of what it named lives any more."""
    for name in (path, path + ".new"):
        try:
            os.unlink(name)  # noqa: PTH108
        except FileNotFoundError:
            continue
