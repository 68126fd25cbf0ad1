"""What every keyword class shares."""

from __future__ import annotations

from InferenceLibrary.context import Context
from InferenceLibrary.log import Log


class KeywordGroup:
    """Base of the keyword classes: stateless but for the context that the library gives them."""

    context: Context

    @property
    def log(self) -> Log:
        return Log(self.context)
