"""Keywords that call a server, run by other keywords: found by name, their arguments converted as Robot does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robot.errors import DataError
from robot.running.arguments import ArgumentSpec, PythonArgumentParser
from robot.running.arguments.argumentvalidator import ArgumentValidator
from robot.running.arguments.customconverters import CustomArgumentConverters
from robot.running.model import Argument
from robot.utils import escape

from InferenceLibrary.keywords.shared.argument_names import refusal
from InferenceLibrary.keywords.shared.declared_arguments import DeclaredArguments

CALL = "call"
"""The tag of keywords that call a server."""


class CallingKeyword:
    """One keyword that calls a server.

    Args:
        library: The library.
        name: The keyword's name, as a test writes it.

    Raises:
        ValueError: The library has no keyword of that name that calls a server.
    """

    def __init__(self, library: Any, name: str) -> None:
        wanted = _plain(name.removeprefix("InferenceLibrary."))
        known = _known(type(library))
        if wanted not in known:
            import difflib

            close = difflib.get_close_matches(wanted, known, n=1)
            meant = f" Did you mean '{_title(known[close[0]])}'?" if close else ""
            raise ValueError(
                f"Expected the name of a keyword that calls a server, such as Stream Chat, got '{name}'.{meant} "
                f"Hint: the others are {', '.join(_title(method) for method in known.values())}."
            )
        self._library = library
        self._method: Callable[..., Any] = getattr(library, known[wanted])
        self.name = _title(known[wanted])

    @property
    def first_argument(self) -> str | None:
        """The name of what is asked; None where nothing is."""
        return next(iter(inspect.signature(self._method).parameters), None)

    def with_arguments(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> Callable[[], Any]:
        """Return the keyword with its arguments, ready to be called.

        Raises:
            DataError: A name is misspelt, there are too many or too few arguments, or one cannot be converted.
        """
        spec: ArgumentSpec = DeclaredArguments(PythonArgumentParser().parse(self._method, self.name))
        written = [escape(value) if isinstance(value, str) else value for value in arguments]
        reason = refusal(self.name, spec, [*written, *(Argument(name, value) for name, value in named.items())])
        if reason is not None:
            raise DataError(reason)
        ArgumentValidator(spec).validate(list(arguments), list(named.items()))
        converters = CustomArgumentConverters.from_dict(self._library.ROBOT_LIBRARY_CONVERTERS)
        positional, by_name = spec.convert(list(arguments), list(named.items()), converters)
        method, given = self._method, dict(by_name)
        return lambda: method(*positional, **given)


def _known(library: type) -> dict[str, str]:
    """The methods of all keywords that call a server, by the plain form of their names."""
    found = inspect.getmembers(library, lambda member: CALL in getattr(member, "robot_tags", ()))
    return {_plain(name): name for name, _ in found}


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "")


def _title(method: str) -> str:
    return method.replace("_", " ").title()
