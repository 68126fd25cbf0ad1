"""The signature that `takes` gives to a keyword is the one that writing its arguments out would give."""

from __future__ import annotations

import inspect
from typing import Any

from InferenceLibrary.keywords.shared.shared_arguments import BREAKING, MESSAGE_SAMPLING, takes

DOC = """What it does.

        Returns:
            Nothing.
"""


def test_own_arguments_of_every_kind_stay_before_the_shared_ones() -> None:
    def own(self: Any, first: int, second: str = "b", *rest: str, third: float, fourth: bool = True) -> list[int]: ...

    def keyword(
        self: Any, first: int, second: str = "b", *rest: str, third: float, fourth: bool = True, **options: Any
    ) -> list[int]: ...

    keyword.__doc__ = DOC
    given = inspect.signature(takes(BREAKING, MESSAGE_SAMPLING)(keyword))
    shared = [item.parameter for item in (*BREAKING, *MESSAGE_SAMPLING)]
    assert [*given.parameters.values()] == [*inspect.signature(own).parameters.values(), *shared]
    assert given.return_annotation == "list[int]"
    assert "\n        Args:\n            cancel_after: Close the connection" in (keyword.__doc__ or "")


def test_a_keyword_without_defaults_keeps_its_arguments() -> None:
    def keyword(self: Any, first: int, **options: Any) -> None: ...

    keyword.__doc__ = DOC
    given = inspect.signature(takes(BREAKING)(keyword))
    assert list(given.parameters) == ["self", "first", "cancel_after", "allow_broken"]
    assert given.parameters["first"].default is inspect.Parameter.empty
    assert "options" not in keyword.__annotations__
