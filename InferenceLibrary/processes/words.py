"""The words that a runner and a guard say to each other: tuples by `marshal`, behind their length in four bytes.

The guard starts with every server: so the module imports nothing that the guard does not need anyway.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHANNEL = 0
"""The guard's end of the socket is its standard input."""


def pack(word: tuple[Any, ...]) -> bytes:
    """Return a word as it is sent."""
    data = marshal.dumps(word)
    return len(data).to_bytes(4, "big") + data


def split(data: bytes) -> tuple[list[tuple[Any, ...]], bytes]:
    """Return the whole words at the beginning of `data`, and the rest."""
    words = []
    while len(data) >= 4 and len(data) >= 4 + (size := int.from_bytes(data[:4], "big")):
        words.append(marshal.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return words, data


def tell(*word: Any) -> None:
    """Say a word to the runner; when it is gone nobody listens."""
    try:
        os.write(CHANNEL, pack(word))
    except OSError:
        return
