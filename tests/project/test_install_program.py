"""The script that installs programs of others: what it leaves, and what it tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import install_program
from install_program import Program, Step, compiled


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install_program, "CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "tool-1.0"


def made_by(monkeypatch: pytest.MonkeyPatch, *commands: str, needs: str = "", compiles: bool = False) -> None:
    def steps(folder: Path) -> list[Step]:
        where = {"FOLDER": str(folder), "PARTS": str(compiled(folder))}
        return [Step([sys.executable, "-c", f"import os, sys; {code}"], where, compiles) for code in commands]

    monkeypatch.setattr(install_program, "PROGRAMS", {"tool": Program("1.0", steps, needs)})


COMPILE = "os.makedirs(os.environ['PARTS'], exist_ok=True); print('10 of 20')"
PLACE = "os.mkdir(os.environ['FOLDER'] + '/bin')"
FAIL = "sys.exit('no such version')"


@pytest.mark.parametrize("compiles", [False, True])
def test_a_program_is_installed_once_and_its_path_alone_is_printed(cache, monkeypatch, capfd, compiles):
    made_by(monkeypatch, COMPILE, PLACE, compiles=compiles)
    assert install_program.main(["tool", "--check"]) == 77
    assert capfd.readouterr().err == "tool 1.0 is not installed\n"
    # Made twice, the second step would fail.
    for arguments in (["tool"], ["tool"], ["tool", "--check"]):
        assert install_program.main(arguments) == 0
        assert capfd.readouterr().out == f"{cache / 'bin' / 'tool'}\n"
    assert not compiled(cache).exists()


@pytest.mark.parametrize(
    ("steps", "needs", "reason"),
    [([FAIL], "", "no such version"), ([PLACE], "a-compiler-that-is-not-there", "there is no a-compiler-that")],
    ids=["fails", "no compiler"],
)
def test_what_cannot_be_had_is_told_and_is_not_there(cache, monkeypatch, capfd, steps, needs, reason):
    made_by(monkeypatch, *steps, needs=needs)
    assert install_program.main(["tool"]) == 77
    told = capfd.readouterr()
    assert told.out == ""
    assert "SKIPPED: tool 1.0 cannot be installed: " in told.err
    assert reason in told.err
    assert not cache.exists()


def test_a_build_that_fails_goes_on_with_what_it_has(cache, monkeypatch, capfd):
    made_by(monkeypatch, COMPILE, FAIL, compiles=True)
    assert install_program.main(["tool"]) == 77
    assert f"{sys.executable} ended with exit code 1" in capfd.readouterr().err
    assert compiled(cache).is_dir()
    assert not cache.exists()
