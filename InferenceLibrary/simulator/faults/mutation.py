"""A fault from outside: `rfinference mutate` gives it, by the environment, to each simulator that suites start.

The suites neither see it among the faults that they ask for, nor can they take it away. What is asked and what the
fault strikes is noted in a file as it happens: a simulator may be killed at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.catalogue import apis_at, measured_as, parse_fault
from InferenceLibrary.simulator.faults.kinds import Fault

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Line, Turn

FAULT_VARIABLE = "INFERENCE_SIMULATOR_FAULT"
NOTES_VARIABLE = "INFERENCE_SIMULATOR_NOTES"


class Notes:
    """The file of notes: one JSON object a line, each once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: set[str] = set()

    def write(self, **note: Any) -> None:
        line = json.dumps(note)
        if line not in self._written:
            self._written.add(line)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


class Mutant(Fault):
    """The fault of the environment."""

    __slots__ = ("_notes",)

    def __init__(self, fault: Fault, notes: Notes) -> None:
        super().__init__(fault.kind, fault.values, fault.text)
        self._notes = notes

    @property
    def lasting(self) -> bool:
        return True

    def take_connection(self, connection: Line) -> bool:
        taken = super().take_connection(connection)
        if taken:
            self._notes.write(struck=self.kind.name)
        return taken

    def _strike(self, turn: Turn) -> None:
        super()._strike(turn)
        self._notes.write(struck=self.kind.name)


def mutate(app: App, environment: Mapping[str, str]) -> None:
    """Give a simulator the fault of the environment, and note what it is asked.

    Raises:
        ValueError: The fault does not exist; one line.
    """
    notes = Notes(Path(environment[NOTES_VARIABLE]))
    name = measured_as(app.settings.personality)

    def asked(turn: Turn) -> None:
        notes.write(asked=name, apis=apis_at(turn.request.path))

    app.on_ended.append(asked)
    text = environment.get(FAULT_VARIABLE)
    if text:
        app.lasting = [Mutant(parse_fault(text), notes)]
