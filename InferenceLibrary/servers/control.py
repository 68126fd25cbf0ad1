"""The control API of a simulator: what it counted, what it does wrong, how it behaves; changed and put back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from InferenceLibrary.errors import TargetError, describe
from InferenceLibrary.servers.server import Server

_FIXED = frozenset({"model", "as"})
"""What the configuration tells and nobody can change."""
_ADDRESS = re.compile(r"\bcontrol on (http://\S+)")


class Behaviour:
    """How a simulator behaves, asked and changed by its control API. `close` puts back what was changed.

    Args:
        server: The simulator; it was started here, with a control port.

    Raises:
        TargetError: It has no control port that is known here.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._url = _control_of(server)
        self._faults: list[str] | None = None
        """The faults that it had before the first change; None while none was changed."""
        self._configuration: dict[str, Any] = {}
        """The settings that were changed, as they were before."""

    @property
    def name(self) -> str:
        return f"behaviour of {self.server.name}"

    def counters(self) -> dict[str, Any]:
        """Return what it counted: requests, answers, tokens, connections, and the strikes of each fault."""
        return self._ask("GET", "/stats")

    def inject(self, faults: Sequence[str]) -> list[str]:
        """Add faults to those that it has; return all.

        Raises:
            TargetError: One is not a fault, or cannot be switched on while the simulator runs.
        """
        self._remember_faults()
        found: list[str] = self._ask("POST", "/faults", {"fault": list(faults)})["faults"]
        return found

    def clear(self) -> None:
        """Take all faults from it."""
        self._remember_faults()
        self._ask("DELETE", "/faults")

    def change(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings from the next request on; return all as they are now.

        Raises:
            TargetError: One does not exist, cannot be changed while the simulator runs, or has a wrong value.
        """
        before = self._ask("GET", "/config")
        self._refuse_unknown(settings, [name for name in before if name not in _FIXED])
        after = self._ask("PATCH", "/config", dict(settings))
        for name in settings:
            key = name.replace("_", "-")
            self._configuration.setdefault(key, before[key])
        return after

    def close(self) -> None:
        """Put back what was changed, unless the simulator has ended."""
        if self.server.process is not None and not self.server.process.running:
            return
        if self._configuration:
            self._ask("PATCH", "/config", self._configuration)
            self._configuration = {}
        if self._faults is not None:
            self._ask("DELETE", "/faults")
            if self._faults:
                self._ask("POST", "/faults", {"fault": self._faults})
            self._faults = None

    def _refuse_unknown(self, settings: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in settings:
            if name.replace("_", "-") not in known:
                close = difflib.get_close_matches(name.replace("_", "-"), known, n=1)
                raise TargetError(
                    describe(
                        f"The simulator '{self.server.name}' has no setting '{name}' that can be changed while it runs",
                        expected=f"one of {', '.join(setting.replace('-', '_') for setting in known)}",
                        hint=f"did you mean '{close[0].replace('-', '_')}'?" if close else None,
                    )
                )

    def _remember_faults(self) -> None:
        if self._faults is None:
            self._faults = self._ask("GET", "/faults")["faults"]

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        reply = self.server.client.send(method, f"{self._url}{path}", body)
        if reply.status >= 400:
            raise TargetError(
                describe(
                    f"The simulator '{self.server.name}' refuses {method} {path}",
                    expected="what it can do while it runs",
                    got=str(reply.json["error"] if isinstance(reply.json, dict) else reply.body[:200]),
                    hint="inference-simulator --list-faults tells the faults." if path == "/faults" else None,
                )
            )
        return reply.json if isinstance(reply.json, dict) else {}


def _control_of(server: Server) -> str:
    """Return the address of a simulator's control API, which its log tells.

    Raises:
        TargetError: It is not there.
    """
    found = _ADDRESS.search(server.process.log_text()) if server.process is not None else None
    if found is None:
        raise TargetError(
            describe(
                f"Server '{server.name}' has no control API",
                expected="a simulator that was started here",
                got="one that was not" if server.process is None else "a log that tells no address of it",
                hint="only a simulator has one; start it with the option control_port=0, which the profile "
                "'simulator' has by default.",
            )
        )
    return found[1]
