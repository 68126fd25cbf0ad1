"""Programs that are watched: they end when their standard input closes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any


def spawn(code: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=10)
