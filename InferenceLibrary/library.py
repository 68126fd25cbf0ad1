"""The library class: import settings, the listener that releases what was opened, and the assembled keywords."""

from __future__ import annotations

import atexit
from datetime import timedelta

from robot.api.deco import library

from InferenceLibrary import __version__
from InferenceLibrary.context import Context
from InferenceLibrary.types import CONVERTERS


@library(scope="GLOBAL", version=__version__, doc_format="MARKDOWN", listener="SELF", converters=CONVERTERS)
class InferenceLibrary:
    """Acceptance tests for LLM inference servers."""

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, *, timeout: timedelta = timedelta(seconds=60)) -> None:
        self.context = Context()
        atexit.register(self.context.close)
