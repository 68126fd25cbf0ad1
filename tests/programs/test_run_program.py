"""Programs run to their end, within limits, with nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from alarm import Interruption, interruption

from InferenceLibrary.errors import ProgramError
from InferenceLibrary.programs import run as run_module
from InferenceLibrary.programs.run import run_program
from InferenceLibrary.redaction import Redactor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sessions and signals of POSIX")
PYTHON = sys.executable


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def test_a_result_tells_all_that_the_program_left() -> None:
    result = run_program([PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"])
    assert (result.exit_code, result.signal) == (3, None)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert result.elapsed > 0
    assert str(result).endswith("4 characters on stdout, 4 on stderr")


def test_a_signal_is_no_exit_code() -> None:
    result = run_program(["sh", "-c", "kill -SEGV $$"])
    assert (result.exit_code, result.signal) == (None, "SIGSEGV")
    assert result.ending == "signal SIGSEGV"


def test_standard_input_environment_and_directory_reach_the_program(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.stdin.read(), os.environ['COLOUR'], os.getcwd())"
    result = run_program([PYTHON, "-c", code], stdin="héllo", env={"COLOUR": "red"}, cwd=tmp_path)
    assert result.stdout == f"héllo red {tmp_path.resolve()}\n"


def test_standard_input_is_empty_unless_given() -> None:
    assert run_program(["cat"]).stdout == ""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux")
def test_memory_is_the_programs_own() -> None:
    """Linux hands the memory of the process that forks on to its children; it must not be taken for theirs."""
    ours = bytearray(150_000_000)
    nap = "import time; time.sleep(0.2)"
    small = run_program([PYTHON, "-S", "-c", nap])
    large = run_program([PYTHON, "-S", "-c", f"x = bytearray(100_000_000); {nap}"])
    assert small.peak_memory is not None
    assert large.peak_memory is not None
    assert small.peak_memory < len(ours) / 2
    assert large.peak_memory - small.peak_memory == pytest.approx(100e6, rel=0.05)


def test_megabytes_on_both_streams_do_not_block_and_stay_bounded() -> None:
    code = "import sys\nfor n in range(50_000):\n print('o' * 99)\n print('e' * 99, file=sys.stderr)\nprint('END')"
    result = run_program([PYTHON, "-c", code], timeout=60)
    assert result.exit_code == 0
    for stream in (result.stdout, result.stderr):
        assert len(stream) < run_module.TEXT_LIMIT + 100
        assert "bytes left out" in stream
    assert result.stdout.endswith("END\n")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert run_program([PYTHON, "-c", r"import os; os.write(1, b'a\xff\x00b')"]).stdout == "a�\x00b"


def test_the_time_limit_ends_the_program_and_its_children(tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 100 & echo $! > {tmp_path}/pids; echo $$ >> {tmp_path}/pids; echo before; sleep 100"
    with pytest.raises(ProgramError) as error:
        run_program(["sh", "-c", script], timeout=0.5)
    first, *rest = str(error.value).splitlines()
    assert "did not end: expected its end within 0.5 s, got a running program after" in first
    assert "Hint: Raise timeout=" in first
    assert "    stdout: before" in rest
    assert len(pids(tmp_path / "pids")) == 2
    assert not any(map(lives, pids(tmp_path / "pids")))


def test_processes_that_outlive_the_program_are_told_and_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    result = run_program(["sh", "-c", f"read word < {tmp_path}/never & echo $! > {tmp_path}/pids; exit 2"])
    assert result.exit_code == 2
    assert result.left_behind == (f"sh ({pids(tmp_path / 'pids')[0]})",)
    assert not lives(pids(tmp_path / "pids")[0])


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is looked up in /proc")
def test_a_daemon_that_leaves_the_session_is_ended_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    daemon = f"setsid sh -c 'echo $$ > {tmp_path}/pids; read word < {tmp_path}/never'"
    result = run_program(["sh", "-c", f"{daemon} & while [ ! -s {tmp_path}/pids ]; do sleep 0.01; done"])
    assert result.left_behind == (f"sh ({pids(tmp_path / 'pids')[0]})",)
    assert not lives(pids(tmp_path / "pids")[0])


def test_a_flood_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "OUTPUT_LIMIT", 5_000_000)
    with pytest.raises(ProgramError, match="expected at most 5 MB on a stream, got more"):
        run_program(["yes"], timeout=60)


def test_an_exception_of_a_signal_handler_ends_the_wait_and_the_program(tmp_path: Path) -> None:
    started = time.monotonic()
    with interruption(0.3), pytest.raises(Interruption):
        run_program(["sh", "-c", f"echo $$ > {tmp_path}/pids; sleep 100"], timeout=60)
    assert time.monotonic() - started < 60
    assert not lives(pids(tmp_path / "pids")[0])


def test_secrets_are_masked_in_results_and_errors() -> None:
    redactor = Redactor()
    redactor.add("hunter22")
    result = run_program(["sh", "-c", "echo it is hunter22", "x", "--api-key", "other-key"], redactor=redactor)
    assert result.stdout == "it is ***\n"
    assert "other-key" not in str(result)
    with pytest.raises(ProgramError) as error:
        run_program(["sh", "-c", "echo hunter22; sleep 100"], timeout=0.2, redactor=redactor)
    assert "hunter22" not in str(error.value)


def test_a_working_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="The working directory cannot be used: expected a directory"):
        run_program(["true"], cwd=tmp_path / "none")


@pytest.mark.parametrize(
    ("arguments", "env", "got"),
    [
        (["a\0b"], {}, "a null byte in argument 1"),
        (["-", "a\ud83d"], {}, "half of a surrogate pair in argument 2"),
        ([], {"A=B": "x"}, "the name 'A=B' of a variable"),
    ],
)
def test_what_no_system_hands_over_is_refused(arguments: list[str], env: dict[str, str], got: str) -> None:
    with pytest.raises(ProgramError, match=rf"^'cat' cannot be started: expected .*, got {got}\.$"):
        run_program(["cat", *arguments], env=env)


def test_standard_input_may_hold_half_a_character() -> None:
    result = run_program([PYTHON, "-c", "import sys; print(sys.stdin.buffer.read())"], stdin="\ud83d")
    assert result.stdout == "b'\\xed\\xa0\\xbd'\n"
