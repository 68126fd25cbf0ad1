"""Keywords that tell a simulator what to do wrong, and ask it what truly happened."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.servers.control import Behaviour


class SimulatorControlKeywords(KeywordGroup):
    """Faults, counters and settings of a simulator."""

    @keyword(tags=["simulator"])
    def inject_fault(self, *faults: str, server: Any = None) -> list[str]:
        """Let a simulator do something wrong from its next request on, until the test or suite ends.

        Faults of the process, such as `never-ready`, are given at its start. A header `X-Inference-Fault` strikes one
        request alone.

        Args:
            faults: A fault each, as `inference-simulator --list-faults` has them: `missing-done`,
                `status:code=503,first=2`.
            server: Alias, handle or object; None for the current one.

        Returns:
            All faults that it has now.

        Raises:
            TargetError: The server has no control API, or one of them is not a fault that can begin while it runs.
            ValueError: There is none.

        Example:
        ```robotframework
        *** Test Cases ***
        Overloaded At First
            Start Server    simulator
            Inject Fault    status:code=503,first=1
            Chat    Hello    expected_status=503
            Chat    Hello
        ```
        """
        if not faults:
            raise ValueError("Expected a fault such as missing-done, got none.")
        behaviour = self._behaviour(server)
        found = behaviour.inject(faults)
        self.log.info(f"{behaviour.server.name} has the faults {', '.join(found)}.")
        return found

    @keyword(tags=["simulator"])
    def clear_faults(self, *, server: Any = None) -> None:
        """Let a simulator do nothing wrong any more, also not what it was started with, until the test or suite ends.

        Args:
            server: Alias, handle or object; None for the current one.

        Raises:
            TargetError: The server has no control API.

        Example:
        ```robotframework
        *** Test Cases ***
        Well Again
            Start Server    simulator    fault=status:code=503
            Clear Faults
            Chat    Hello
        ```
        """
        behaviour = self._behaviour(server)
        behaviour.clear()
        self.log.info(f"{behaviour.server.name} has no faults.")

    @keyword(tags=["simulator"])
    def change_server_configuration(self, *, server: Any = None, **settings: Any) -> dict[str, Any]:
        """Change how a simulator behaves from its next request on, until the test or suite ends.

        Args:
            server: Alias, handle or object; None for the current one.
            settings: Settings with their values, named as its options: `time_to_first_token=200 ms`,
                `max_num_seqs=2`, `mode=echo`, `failure_types=["rate_limit"]`.

        Returns:
            All settings that can be changed, as they are now.

        Raises:
            TargetError: The server has no control API; or a setting does not exist, cannot be changed while it runs,
                or has a wrong value.
            ValueError: There is none.

        Example:
        ```robotframework
        *** Test Cases ***
        Slower
            Start Server    simulator
            Change Server Configuration    time_to_first_token=50 ms
            ${stream} =    Stream Chat    Hello
            Get Time To First Token    ${stream}    >=    50 ms
        ```
        """
        if not settings:
            raise ValueError("Expected a setting such as time_to_first_token=200 ms, got none.")
        behaviour = self._behaviour(server)
        written = {name: _written(value) for name, value in settings.items()}
        after = behaviour.change(written)
        self.log.info(f"{behaviour.server.name} has {', '.join(f'{name}={value}' for name, value in written.items())}.")
        return after

    @keyword(tags=["simulator", "getter"])
    def get_server_counters(
        self,
        name: str | None = None,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        within: timedelta = timedelta(0),
        server: Any = None,
    ) -> Any:
        """Return what a simulator counted, or one of its counts, checked inline when an operator is given.

        It counts whatever reached it: `received`, `completed`, `failed`, `cancelled`, `rejected`, `in_flight`,
        `running`, `waiting`, `connections`, `open_connections`, `bytes_sent`, `prompt_tokens`, `generated_tokens`,
        `generations`, `seconds`; and for each of its `faults` how many requests it `matched` and how many it `struck`.

        Args:
            name: One of the counts; all when not given.
            assertion_operator: `==`, `<` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.
            within: How long the check is tried again until it holds.
            server: Alias, handle or object; None for the current one.

        Returns:
            All counts as a dictionary; or the one that was named.

        Raises:
            TargetError: The server has no control API.
            CheckFailure: The count does not exist; the comparison does not hold in time; or there is one without a
                name.

        Example:
        ```robotframework
        *** Test Cases ***
        What Came
            Start Server    simulator
            Chat    Hello
            Get Server Counters    completed    ==    1    within=1 s
        ```
        """
        from InferenceLibrary.keywords.shared.waiting import checked_within

        behaviour = self._behaviour(server)
        if name is None:
            if assertion_operator is not None:
                raise CheckFailure("Counters: expected the name of a count to compare, got none.")
            return behaviour.counters()

        def checked() -> Any:
            return check_number(
                self._count(behaviour, name), assertion_operator, assertion_expected, f"counter {name}", "", message
            )

        return checked_within(checked, within)

    def _behaviour(self, ref: Any) -> Behaviour:
        """That of a server: what a test changes of it is put back when the test ends."""
        from InferenceLibrary.servers.control import Behaviour

        server = self.context.servers.get(ref)
        return self.context.behaviours.of_owner(lambda one: one.server is server, lambda: Behaviour(server))

    @staticmethod
    def _count(behaviour: Behaviour, name: str) -> float:
        counts = behaviour.counters()
        value = counts.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        import difflib

        known = [key for key, one in counts.items() if isinstance(one, int | float)]
        close = difflib.get_close_matches(name, known, n=1)
        raise CheckFailure(
            describe(
                f"The simulator '{behaviour.server.name}' has no count '{name}'",
                expected=f"one of {', '.join(known)}",
                hint=f"did you mean '{close[0]}'?" if close else None,
            )
        )


def _written(value: Any) -> Any:
    """Return a setting as the control API takes it: a list is read from JSON, a duration has no space in it."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError(f"Expected a list as JSON, such as [\"rate_limit\"], got '{value}'.") from None
    return value.replace(" ", "")
