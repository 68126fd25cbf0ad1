"""Arguments of keywords, converted by their declared types alone; a text in which a secret was lost is refused.

Robot Framework tries the type of a default where the declared type does not fit, and then takes a fraction for a whole
number; a text that is neither true nor false stays a text, which counts as true; and NaN and infinity count as numbers,
with which a check can hold everything to be right. Each slip would go unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from robot.running.arguments import ArgumentSpec

from InferenceLibrary.keywords.shared.arguments import refuse_embedded


class DeclaredArguments(ArgumentSpec):  # type: ignore[misc]
    """Stands in for the arguments of a keyword, and converts them more strictly."""

    def __init__(self, spec: ArgumentSpec) -> None:
        super().__init__(
            spec.name,
            spec.type,
            spec.positional_only,
            spec.positional_or_named,
            spec.var_positional,
            spec.named_only,
            spec.var_named,
            spec.defaults,
            spec.embedded,
            spec.types,
            spec.return_type,
        )
        types: Mapping[str, Any] = self.types or {}
        self._declared = ArgumentSpec(
            spec.name,
            spec.type,
            spec.positional_only,
            spec.positional_or_named,
            spec.var_positional,
            spec.named_only,
            spec.var_named,
            # None stays None where it is the default.
            {name: default for name, default in spec.defaults.items() if name not in types or default is None},
            spec.embedded,
            spec.types,
        )
        self._truths, self._numbers = (
            {
                name
                for name, info in types.items()
                if any(one.type is kind for one in (info.nested if info.is_union else [info]))
            }
            for kind in (bool, float)
        )

    def convert(self, positional: Any, named: Any, *options: Any, **more: Any) -> tuple[list[Any], list[Any]]:
        """Convert by the declared types.

        Raises:
            ValueError: A value does not fit; with the words that Robot Framework has for it.
            TargetError: A text holds `<secret>`, which Robot Framework puts where a secret should stand.
        """
        refuse_embedded(*positional, *(value for _, value in named))
        try:
            positional, named = self._declared.convert(positional, named, *options, **more)
        except OverflowError as error:
            raise ValueError(f"A number is too large: {error}.") from None
        if self._truths or self._numbers:
            for name, value in [*zip(self.positional, positional, strict=False), *named]:
                self._check(name, value)
        return positional, named

    def _check(self, name: str, value: Any) -> None:
        wanted = ""
        # A variable in a dry run is a text.
        if name in self._truths and isinstance(value, str) and "{" not in value:
            wanted = "boolean"
        elif name in self._numbers and isinstance(value, float) and not math.isfinite(value):
            wanted = "float"
        if wanted:
            raise ValueError(f"Argument '{name}' got value '{value}' that cannot be converted to {wanted}.")
