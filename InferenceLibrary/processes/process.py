"""A server process under its guard: its output in a file, ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes import process_tree, tree_file
from InferenceLibrary.processes.launch import not_executed, refuse_unspeakable, watched
from InferenceLibrary.processes.output import OutputFile
from InferenceLibrary.processes.program import Exit, Orphan
from InferenceLibrary.processes.remains import Identity, Traces, find_remains, identify, kill
from InferenceLibrary.processes.words import pack, split

_START_BUDGET = 20.0
"""Seconds until the guard must have told the server's number; it takes hundredths."""
_KILL_BUDGET = 5.0
_GUARD_IS_LATE = 1.0
"""Seconds that the guard may take to act on a busy machine."""
_GUARD = "import sys; sys.path.append(sys.argv[1]); import guard; guard.main()"

MARK = "INFERENCE_LIBRARY_SERVER"
"""Variable in the environment of a server and all that it starts, by which what was left behind is found."""


class ServerProcess(OutputFile):
    """A running server program.

    Its standard input is empty, standard output and error go to one file: no pipe can fill and block it. A guard, a
    small process of its own, is its parent and ends it when this process dies, whatever the reason.
    """

    kind = "process"

    def __init__(
        self,
        argv: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        restart: bool = False,
        daemon: bool = False,
        mark: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_whole_group: bool = True,
        tree_file: Path | None = None,
        portable: bool = False,
    ) -> None:
        """Start it.

        Args:
            argv: Program and arguments.
            log_path: File for its output; written anew.
            environment: Variables set beside those of this process.
            cwd: Its working directory; this process's own by default.
            restart: Whether it is started again whenever it ends by itself.
            daemon: Whether it may put itself into the background: when it ends with 0 and has left a process behind,
                that one is the server. Linux only.
            mark: Value of the variable by which all that it starts is found again; a random one by default.
            stop_signal: What asks it to end.
            stop_whole_group: Whether its process group gets that signal, as from a terminal, or the server alone.
            tree_file: Where the guard keeps whom it guards, for whoever has to end them when it was killed itself.
            portable: Whether the guard does without what only Linux has, as it must elsewhere.

        Raises:
            ServerError: The program cannot be executed.
        """
        self.log_path = log_path
        self.exit: Exit | None = None
        """How it ended; None while it runs."""
        self.orphans: tuple[Orphan, ...] = ()
        """What it had started and did not take along when it ended; the guard, or we, have ended it since."""
        self.drops: list[Exit] = []
        """How often it ended and was started again, with `restart`."""
        self.on_event: Callable[[str], None] = lambda line: None
        """Told what happens to it meanwhile; set by whoever keeps a register."""
        self._stop_signal = stop_signal
        self._stop_whole_group = stop_whole_group
        self._tree_file = tree_file
        self._guard_failed = False
        self._guard_end = Exit(0)
        self._mark = f"{MARK}={mark or os.urandom(8).hex()}"
        self._lock = threading.Lock()
        self._words: list[tuple[Any, ...]] = []
        self._incoming = b""
        self._guard_gone = False
        self._all_gone = False
        self._let_go = False
        self._runner = os.getpid()
        self._signalled = 0
        self._killed = False
        self.guard_pid = 0
        """Process id of the guard; that of its keeper is the guard's parent."""
        if cwd is not None and not cwd.is_dir():
            raise ServerError(describe(f"'{argv[0]}' cannot be started in '{cwd}'", got="no such directory"))
        values = {**os.environ, **(environment or {}), MARK: self._mark.partition("=")[2]}
        refuse_unspeakable(argv, values, ServerError)
        log_path.write_bytes(b"")
        settings = {
            "argv": list(argv),
            "environment": values,
            "cwd": str(cwd or Path.cwd()),
            "log": str(log_path.absolute()),
            "watch": watched(),
            "restart": restart,
            "daemon": daemon,
            "portable": portable,
            "mark": self._mark,
            "tree_file": str(tree_file.absolute()) if tree_file else "",
        }
        self._channel, theirs = socket.socketpair()
        # Known before it runs: an interruption may arrive in the middle of its start.
        self._guard: subprocess.Popen[bytes] = subprocess.Popen.__new__(subprocess.Popen)
        started = False
        try:
            with theirs:
                self._guard.__init__(  # type: ignore[misc]
                    [sys.executable, "-I", "-S", "-c", _GUARD, str(Path(__file__).parent)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
            self._say("start", settings)
            self.pid = self._await_start(argv[0])
            started = True
        finally:
            if not started:
                self._abandon_start()
        self._started = identify(self.pid).started
        self._guard_started = identify(self.guard_pid).started

    @property
    def label(self) -> str:
        return f"process {self.pid}"

    @property
    def known_as(self) -> str:
        return str(self.pid)

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        self._listen()
        if self.exit is None and self._guard_gone and not Identity(self.pid, self._started).lives:
            # Stopped between two lives; or the guard was killed, and the kernel ended the server with it.
            self.exit = self.drops[-1] if self.drops and self._all_gone else Exit(-signal.SIGKILL)
        return None if self.exit is None else self.exit.code

    @property
    def running(self) -> bool:
        return self.exit_code is None

    @property
    def guarded(self) -> bool:
        """Whether its guard lives."""
        self._listen()
        return not self._guard_gone

    def how_it_ended(self) -> str | None:
        """Return `exit code 3` or `signal SIGSEGV`, None while it runs."""
        if self.running:
            return None
        if not self._guard_failed:
            return str(self.exit)
        left = f"; ended what was left: {', '.join(map(str, self.orphans))}" if self.orphans else ""
        guard = f"its guard (process {self.guard_pid}) ended with {self._guard_end}"
        return f"{self.exit}, after {guard}{left}"

    def tree(self) -> list[process_tree.ProcessInfo]:
        """Return the living processes of the server: itself and all that it started."""
        if self._all_gone:
            return []
        everyone = process_tree.everyone()
        below = process_tree.descendants(self.guard_pid, everyone)
        return below or [each for each in (everyone.get(self.pid),) if each and each.lives and self.running]

    def pids(self) -> list[int]:
        """Return the process ids of `tree`."""
        return [process.pid for process in self.tree()]

    def send_signal(self, number: signal.Signals, *, whole_tree: bool = False) -> None:
        """Send a signal to the server, or to it and all that it started; return when it has been sent."""
        if self.running:
            before = self._signalled
            self._say("signal", int(number), whole_tree)
            wait_until(lambda: not self.running or self._signalled > before, _GUARD_IS_LATE)

    def pause(self) -> None:
        """Stop it and all that it started in their tracks; return when they stand, as far as the system tells."""

        def stands() -> bool:
            # What is started in the moment of the signal is met by the next one.
            self.send_signal(signal.SIGSTOP, whole_tree=True)
            # D: within the system, where a parent stays whose new child was stopped before it ran its program; it
            # meets the signal before it runs on.
            return all(seen.state in {"T", "Z", "D"} for seen in self.tree())

        if process_tree.on_linux():
            wait_until(stands, _GUARD_IS_LATE)
        else:
            self.send_signal(signal.SIGSTOP, whole_tree=True)

    def resume(self) -> None:
        """Let it go on."""
        self.send_signal(signal.SIGCONT, whole_tree=True)

    def stop(self, grace: float) -> bool:
        """End it: its stop signal, `grace` seconds, then KILL for the whole tree.

        Returns:
            Whether it ended by itself in time.

        Raises:
            ServerError: Something of it still runs after KILL.
        """
        if self._is_not_ours() or (self._all_gone and self._guard_gone):
            return True
        self._wake_guard()
        finished = False
        try:
            graceful = True
            if self.running:
                self._say("stop", int(self._stop_signal), grace, self._stop_whole_group)
                # The guard kills when the grace is over; whether it had to is for it to tell.
                graceful = wait_until(lambda: not self.running or self._killed, grace + _GUARD_IS_LATE)
                graceful = graceful and not self._killed
            # What it left behind is told of, and ended, shortly after.
            finished = wait_until(self._ended_whole, 2.0 if graceful else 0.0)
        finally:
            # Also when an interruption arrives meanwhile.
            if not finished:
                self._kill_all()
        return graceful

    def kill(self, *, leave_children: bool = False) -> None:
        """End it and all that it started by KILL, at once.

        Args:
            leave_children: Whether only the server's own process is killed, as by a crash: what it leaves behind is
                told by `orphans` and ended shortly after.

        Raises:
            ServerError: Something of it still runs.
        """
        if leave_children:
            self._crash()
        elif not self._is_not_ours() and not (self._all_gone and self._guard_gone):
            self._kill_all()

    def _crash(self) -> None:
        drops = len(self.drops)
        self.send_signal(signal.SIGKILL)
        deadline = Deadline(_KILL_BUDGET)
        if not wait_until(lambda: not self.running or len(self.drops) > drops, deadline):
            raise ServerError(describe(f"Process {self.pid} survived KILL", after=deadline.elapsed))

    def settle(self) -> None:
        """After its end, wait until what it left behind is told of and ended."""
        if not self.running:
            wait_until(self._ended_whole, 2.0)

    def let_go(self) -> None:
        """Let it live on without us; its guard stays with it."""
        self._say("keep")
        self._let_go = True
        self._channel.close()
        # Not ours to wait for any more; without this, Popen warns of it.
        self._guard.returncode = 0

    def _is_not_ours(self) -> bool:
        """Whether it was let go, or this is a forked child of whoever started it, which ends on its own account."""
        return self._let_go or os.getpid() != self._runner

    def _wake_guard(self) -> None:
        """A guard that somebody stopped hears nothing."""
        self._signal_guard(signal.SIGCONT)
        self._guard.send_signal(signal.SIGCONT)

    def _signal_guard(self, number: signal.Signals) -> None:
        if Identity(self.guard_pid, self._guard_started).lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.guard_pid, number)

    def _kill_all(self) -> None:
        self._wake_guard()
        self._say("kill")
        deadline = Deadline(_KILL_BUDGET)
        if wait_until(self._ended_whole, _KILL_BUDGET / 2):
            return
        # It does not do its work; its keeper will, or we.
        self._signal_guard(signal.SIGKILL)
        if wait_until(self._ended_whole, _KILL_BUDGET / 4):
            return
        self._guard.kill()
        if not wait_until(self._ended_whole, deadline):
            still = ", ".join(f"{seen.name} (pid {seen.pid})" for seen in self._remains())
            raise ServerError(describe(f"Process {self.pid} survived KILL", got=still, after=deadline.elapsed))

    def _ended_whole(self) -> bool:
        """Whether the guard told that nothing lives any more, and is gone itself."""
        self._listen()
        if not self._guard_gone:
            return False
        if not self._all_gone:
            self._sweep()
        return self._all_gone

    def _sweep(self) -> None:
        """The guard was killed: end what the kernel did not end with it."""
        left = self._remains()
        kill(left)
        known = {orphan.pid for orphan in self.orphans} | {self.pid}
        self.orphans += tuple(Orphan(seen.pid, seen.name) for seen in left if seen.pid not in known)
        self._all_gone = not left
        if self._all_gone and self._tree_file is not None:
            tree_file.remove(str(self._tree_file))

    def _remains(self) -> list[process_tree.ProcessInfo]:
        files = () if self._tree_file is None else (self._tree_file,)
        known = (Identity(self.pid, self._started),)
        return find_remains(Traces(known, files, (self._mark,), (self.log_path.absolute(),)))

    def _abandon_start(self) -> None:
        """Leave nothing of a start that failed or was interrupted."""
        self._say("kill")
        # Its end of the socket closes, and the guard ends what it may have started.
        self._channel.close()
        if getattr(self._guard, "pid", None) is not None and self._guard.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(_KILL_BUDGET)

    def _await_start(self, program: str) -> int:
        deadline = Deadline(_START_BUDGET)
        while not self._words:
            self._channel.settimeout(max(deadline.remaining, 0.001))
            try:
                data = self._channel.recv(65536)
            except OSError:  # its time is over, or it is gone with words unread
                data = b""
            if not data:
                raise ServerError(
                    describe(f"'{program}' cannot be started", got="no word of its guard", after=deadline.elapsed)
                )
            self._incoming += data
            self._words, self._incoming = split(self._incoming)
        self._channel.setblocking(False)
        word = self._words.pop(0)
        if word[0] == "started":
            self.guard_pid = int(word[2])
            return int(word[1])
        self._guard.wait(_KILL_BUDGET)
        if word[0] == "failed":
            raise not_executed(program, word[1], word[2])
        raise ServerError(describe(f"'{program}' cannot be started", got=f"its guard failed: {word[1:]}"))

    def _say(self, *word: Any) -> None:
        # A guard that is gone hears nothing; the next look at it tells.
        with contextlib.suppress(OSError):
            self._channel.sendall(pack(word))

    def _listen(self) -> None:
        """Take in what the guard has told."""
        if self._guard_gone or self._let_go:
            return
        with self._lock:
            closed = False
            while not closed:
                try:
                    data = self._channel.recv(65536)
                except BlockingIOError:
                    break
                except OSError:
                    data = b""
                closed = not data
                self._incoming += data
            words, self._incoming = split(self._incoming)
            for word in [*self._words, *words]:
                self._take(word)
            self._words = []
            if closed and not self._guard_gone:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._guard.wait(_KILL_BUDGET)
                self._channel.close()
                self._guard_gone = True
                if not self._all_gone:
                    if not self._guard_failed:
                        self._guard_failed, self._guard_end = True, Exit(self._guard.returncode or 0)
                    self._sweep()

    def _take(self, word: tuple[Any, ...]) -> None:
        match word:
            case ("exited", *facts):
                self.exit = Exit(*facts)
            case ("dropped", *facts):
                self.drops.append(Exit(*facts))
                self.on_event(f"it ended with {self.drops[-1]} and is started again")
            case ("moved", pid, why):
                self.pid = pid
                self.on_event(f"process {pid} is the server now ({why})")
            case ("signalled",):
                self._signalled += 1
            case ("killing",):
                self._killed = True
            case ("left", left):
                self.orphans = tuple(Orphan(pid, name) for pid, name in left if pid != self.pid)
            case ("guard ended", code):
                self._guard_failed, self._guard_end = True, Exit(code)
            case ("gone",):
                self._all_gone = True
