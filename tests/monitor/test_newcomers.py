"""Which processes are new: on a folder that plays procfs, and on the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from InferenceLibrary.monitor.newcomers import Newcomers

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Machine:
    """A folder that has what is looked at of procfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loadavg = folder / "loadavg"
        self.newest(1)

    def newest(self, number: int) -> None:
        self.loadavg.write_text(f"0.10 0.20 0.30 1/123 {number}\n")

    def begin(self, *numbers: int) -> None:
        for number in numbers:
            (self.folder / str(number)).mkdir()
        self.newest(numbers[-1])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def telling(machine: Machine) -> Newcomers:
    """One that trusts the count, which does not move by our threads here."""
    found = Newcomers(str(machine.folder))
    found._tells = True
    return found


def test_only_new_ones_are_told(machine: Machine) -> None:
    machine.begin(10, 40)
    newcomers = telling(machine)
    assert sorted(newcomers.look()) == [10, 40]
    machine.begin(51, 53)
    # The latest ones once more: one that has its number already may not be seen yet.
    assert newcomers.look() == [40, 51, 53]
    assert newcomers.look() == [40, 51, 53]
    assert newcomers.look() == []
    newcomers.close()
    newcomers.close()


def test_many_new_ones_and_numbers_that_begin_anew(machine: Machine) -> None:
    machine.begin(10, 100)
    newcomers = telling(machine)
    newcomers.look()
    machine.begin(300, 500)
    assert sorted(newcomers.look()) == [100, 300, 500]
    machine.begin(501, 7)
    assert sorted(newcomers.look()) == [7, 500, 501]


def test_a_count_that_does_not_move_is_not_trusted(machine: Machine, tmp_path: Path) -> None:
    machine.begin(10)
    newcomers = Newcomers(str(machine.folder))
    newcomers.look()
    (machine.folder / "11").mkdir()
    assert sorted(newcomers.look()) == [10, 11]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert Newcomers(str(empty)).look() == []


@linux_only
def test_the_kernel_counts_what_begins() -> None:
    newcomers = Newcomers("/proc")
    assert os.getpid() in newcomers.look()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process.pid in newcomers.look()
    process.communicate(b"\n", timeout=60)
    newcomers.close()
