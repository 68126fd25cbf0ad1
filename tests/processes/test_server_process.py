"""A server's process: its output, its end, and that nothing of its group outlives it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alarm import Interruption, interruption

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ServerError
from InferenceLibrary.processes.process import ServerProcess
from InferenceLibrary.redaction import Redactor

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[ServerProcess] = []

    def run(code: str, **options: object) -> ServerProcess:
        process = ServerProcess([sys.executable, "-c", code], tmp_path / "server.log", **options)  # type: ignore[arg-type]
        started.append(process)
        return process

    yield run
    for process in started:
        process.stop(0)


def ended(process: ServerProcess) -> str | None:
    assert wait_until(lambda: not process.running, 60)
    return process.how_it_ended()


def said(process: ServerProcess, text: str) -> None:
    assert wait_until(lambda: text in process.log_text(), 60), process.log_text()


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("pass", "exit code 0"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("import os; os.kill(os.getpid(), 40)", "signal 40"),
    ],
)
def test_how_it_ended(start: Start, code: str, how: str) -> None:
    process = start(code)
    assert ended(process) in {how, "signal SIGRTMIN+6" if how == "signal 40" else how}
    assert not process.running


def test_a_running_process_has_not_ended(start: Start) -> None:
    process = start("import time; time.sleep(60)")
    assert process.running
    assert process.exit_code is None
    assert process.how_it_ended() is None
    assert process.stop(10) is True
    assert process.how_it_ended() == "signal SIGTERM"


def test_it_has_a_session_of_its_own_and_no_input(start: Start) -> None:
    process = start("import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))")
    ended(process)
    assert process.log_text() == "True ''\n"


def test_environment_and_folder(start: Start, tmp_path: Path) -> None:
    code = "import os; print(os.environ['MINE'], 'PATH' in os.environ, os.getcwd())"
    process = start(code, environment={"MINE": "yes"}, cwd=tmp_path)
    ended(process)
    assert process.log_text() == f"yes True {tmp_path}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cwd": Path("/no/such/folder")}, r"cannot be started in '/no/such/folder': got no such directory\."),
        ({"environment": {"A=B": "x"}}, r"expected names without an equals sign, got the name 'A=B' of a variable\."),
        ({"environment": {"": "x"}}, r"expected names without an equals sign, got the name '' of a variable\."),
        (
            {"environment": {"A": "x\0"}},
            r"cannot be started: expected arguments and .*, got a null byte in the variable 'A'",
        ),
        (
            {"environment": {"A": "\ud83d"}},
            r"cannot be started: .*, got half of a surrogate pair in the variable 'A'\.",
        ),
    ],
)
def test_what_cannot_be_started(start: Start, options: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ServerError, match=message):
        start("pass", **options)


def test_children_that_outlive_their_parent_are_ended(start: Start) -> None:
    process = start(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', child.pid, flush=True)"
    )
    ended(process)
    pid = int(process.log_text().split()[1])
    assert process.stop(10) is True
    assert not lives(pid)


def test_what_ignores_term_is_killed_with_its_children(start: Start) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = start(
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {code!r}])\n"
        f"print('child', child.pid, flush=True)\n{code}"
    )
    assert wait_until(lambda: process.log_text().count("deaf") == 2, 60)
    pid = next(int(line.split()[1]) for line in process.log_text().splitlines() if line.startswith("child"))
    assert process.stop(0.2) is False
    assert process.how_it_ended() == "signal SIGKILL"
    assert not lives(pid)
    assert not lives(process.pid)


def test_a_graceful_end_is_told_from_a_kill(start: Start) -> None:
    process = start(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    said(process, "ready")
    assert process.stop(20) is True
    assert process.how_it_ended() == "exit code 5"


def test_an_interrupted_stop_still_kills(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    )
    said(process, "x")

    with interruption(0.2), pytest.raises(Interruption):
        process.stop(60)
    assert not lives(process.pid)


def test_a_second_stop_signals_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number may belong to another group by then."""
    process = start("import time; time.sleep(600)")
    process.stop(10)
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("signalled what is gone"))
    assert process.stop(10) is True


def test_fifty_megabytes_of_output_do_not_block(start: Start) -> None:
    process = start("import sys\nfor _ in range(50): sys.stdout.write('x' * 2**20 + '\\n')\nprint('the end')")
    assert ended(process) == "exit code 0"
    assert process.log_path.stat().st_size > 50 * 2**20
    assert process.log_tail()[-1] == "the end"
    assert len("".join(process.log_tail())) <= 16_384


def test_the_tail_is_short_plain_and_replaces_what_is_no_text(start: Start) -> None:
    process = start(
        "import sys\nfor n in range(30): print('line', n)\n"
        "sys.stdout.flush(); sys.stdout.buffer.write(b'\\x1b[31mred\\x1b[0m \\xff\\x07\\n')"
    )
    ended(process)
    tail = process.log_tail()
    assert len(tail) == 12
    assert tail[0] == "line 19"
    assert tail[-1] == "red \ufffd"
    assert process.log_tail(2) == ["line 29", "red \ufffd"]
    assert process.log_text(len("line 0\n")).startswith("line 1\n")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "0;titletext"),
        ("a\tb\x00\x08c", "a\tbc"),
        ("\x1b[2K\x1b[1Gdone", "done"),
        ("plain é 漢", "plain é 漢"),
    ],
)
def test_lines_without_escapes(start: Start, line: str, shown: str) -> None:
    process = start(f"import sys; sys.stdout.buffer.write({line!r}.encode())")
    ended(process)
    assert process.log_tail() == [shown]


def test_secrets_are_taken_out_of_the_output(start: Start) -> None:
    redact = Redactor()
    said = b"key sk-abcdefgh\n\xff raw\n\x1b[1msk-ab\x1b[0;31mcdefgh\x1b[0m red\n"
    process = start(f"import sys; sys.stdout.buffer.write({said!r} + b'x' * 65_530 + b'sk-abcdefgh\\n')")
    ended(process)
    process.mask_log(redact)
    assert "sk-abcdefgh" in process.log_text(), "nothing is known yet"
    redact.add("sk-abcdefgh")
    process.mask_log(redact)
    assert process.log_path.read_bytes() == (
        b"key ***\n\xff raw\n\x1b[1m***\x1b[0;31m\x1b[0m red\n" + b"x" * 65_530 + b"***\n"
    )
    assert list(process.log_path.parent.iterdir()) == [process.log_path]
