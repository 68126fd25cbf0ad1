"""The tokenizer of a model (`tokenizer.json`): prompts of an exact length, and counts where no usage is told.

Read by the package tokenizers (Hugging Face), which servers of the field use themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import MissingExtraError, MonitorError, describe

FILE = "tokenizer.json"
_FEWEST = 16
"""Words from which prompts are made; of fewer ones prompts would be too alike."""


class NamedTokenizer:
    """A tokenizer that results name.

    Args:
        path: A `tokenizer.json`, or the folder of a model that has one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / FILE if path.is_dir() else path

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError:
            raise MissingExtraError("tokenizers", "performance", "Counting tokens") from None
        if not self.path.is_file():
            raise MonitorError(
                describe(
                    f"The tokenizer '{self.path}' does not exist",
                    expected=f"the {FILE} of a model, or the folder that it is in",
                )
            )
        try:
            return Tokenizer.from_file(str(self.path))
        except Exception as error:  # noqa: BLE001 - the package raises no narrower class
            raise MonitorError(
                describe(f"The tokenizer '{self.path}' cannot be read", expected=f"a {FILE}", got=str(error))
            ) from None

    def count(self, text: str) -> int:
        """Return the tokens of a text, without the markers that a chat adds.

        Raises:
            MonitorError: The tokenizer cannot be read.
            MissingExtraError: The package tokenizers is not installed.
        """
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def words_of_one_token(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return those words that are one token each wherever they stand in a text.

        Raises:
            MonitorError: There are too few; the tokenizer cannot be read.
            MissingExtraError: The package tokenizers is not installed.
        """
        found = tuple(word for word in words if self.count(word) == 1 and self.count(f"{word} {word} {word}") == 3)
        if len(found) < _FEWEST:
            raise MonitorError(
                describe(
                    f"The tokenizer '{self.path}' cannot make prompts of a length",
                    expected=f"{_FEWEST} common words or more that are one token each",
                    got=str(len(found)),
                )
            )
        return found
