"""Catch what native code writes to standard error, so that it stands in a message instead of on the console."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from types import TracebackType

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CapturedStderr:
    """File descriptor 2, redirected to a file in memory while the block runs.

    onnxruntime logs there from C++: why a GPU provider could not be loaded is told nowhere else. `lines` holds what was
    written once the block has ended. What other threads write meanwhile is caught as well, so keep the block short.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> CapturedStderr:
        if sys.stderr is not None:
            sys.stderr.flush()
        self._file = _scratch()
        self._saved = os.dup(2)
        os.dup2(self._file, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, 0, os.SEEK_SET)
            text = _ANSI.sub("", os.read(self._file, size).decode("utf-8", "replace"))
            self.lines = [line for line in text.splitlines() if line.strip()]
        os.close(self._file)


def _scratch() -> int:
    """A file that nobody else sees: in memory on Linux, where it costs some microseconds."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("onnxruntime-stderr")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
