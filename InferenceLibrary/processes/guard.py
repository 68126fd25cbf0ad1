"""The guard: a small program that owns one server process and lets nothing of it outlive the runner.

It is started beside every server, so it is kept small: it imports a few modules of the standard library, and those
beside it that do the same, not the package. The runner holds one end of a socket, the guard the other as its
standard input. When the runner's end closes, whatever the reason, the guard ends the server's whole tree: TERM, a
grace, KILL.

On Linux the guard is a sub-reaper: whatever descends from the server comes back to it when its parent ends, so that a
daemon that forked twice is still its descendant, and no process is missed. Elsewhere it looks at the tree from time to
time and remembers whom it saw. Should the guard itself be killed, its parent ends the tree, the keeper, which only
waits. Whom it guards it also writes into a file: should both be killed, the runner, or the next one, finds them there.

Words from the runner: `("start", settings)`, `("stop", signal, grace, whole_group)`, `("signal", number, whole_tree)`,
`("kill",)`, `("keep",)`. Words to the runner: `("started", pid, guard)`, `("failed", errno, step)`, `("moved", pid,
why)`, `("signalled",)`, `("killing",)` when the grace is over, `("exited", status, core, max_rss, user, system,
lifetime)`, `("dropped", ...)` alike before a restart, `("left", [(pid, name), ...])`, `("gone",)`, `("broken", text)`;
and of the keeper `("guard ended", exit_code)`. See `words.py`.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import sys
import time

import keeper  # type: ignore[import-not-found]
import limit_marks  # type: ignore[import-not-found]
import process_tree  # type: ignore[import-not-found]
import tree_file  # type: ignore[import-not-found]
from words import CHANNEL, split, tell  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module typing would cost more to import than all the others
    import ctypes
    from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

ORPHAN_GRACE = 0.8
"""Seconds after TERM when the runner is gone."""
SETTLE = 0.3
"""Seconds that what the server started has to follow it, before it counts as left behind."""
STRAGGLER_GRACE = 0.7
"""Seconds after TERM for what was left behind."""
KILL_ROUND = 0.02
LOOK_ROUND = 0.1
"""Seconds between looks at the tree. On Linux a look is made only when a process was born since the last one."""
LIVELY_ROUND = 0.02
"""The same while the server starts processes."""
LIVELY = 1.0
"""Seconds after a start for which that holds."""
LOOK_SHARE = 0.01
"""Part of the time that looks may take, at most, where processes are born all the time or many are there."""
WATCH_ROUND = 0.5
"""Seconds between looks at the runner where the system does not tell of its end."""
FIRST_PAUSE, LONGEST_PAUSE, STABLE = 0.2, 5.0, 10.0
"""Seconds before a server that is to be restarted comes again: doubled each time, anew when it ran stably."""

RUNNING, TERMINATING, SETTLING, KILLING = "running", "terminating", "settling", "killing"


class Guard:
    """Owns one server process."""

    def __init__(self, settings: dict) -> None:  # type: ignore[type-arg]
        self.settings = settings
        self.portable = settings["portable"] or not process_tree.on_linux()
        self.main = 0
        self.main_lives = False
        self.phase = RUNNING
        self.deadline: float | None = None
        self.keep = False
        self.runner_gone = False
        self.told_left = False
        self.told_to_end = False
        self.remembered: dict[int, str] = {}
        self.next_look = 0.0
        self.births = ""
        self.births_are_told = False
        self.lively_until = 0.0
        self.looked_in_quiet = False
        self.written: list[tuple[int, str]] = []
        self.restart_at: float | None = None
        self.pause = FIRST_PAUSE
        self.started_at = 0.0
        self.incoming = b""
        self.watched: dict[int, int] = {}
        self.libc = None if self.portable else own_orphans()

    def run(self) -> None:
        """Start the server and stay until nothing of it lives."""
        wake, self.waker = os.pipe()
        os.set_blocking(self.waker, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, lambda number, frame: setattr(self, "told_to_end", True))
        self.spawn()
        if not self.main_lives:
            return
        os.set_blocking(CHANNEL, False)
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(CHANNEL, select.POLLIN)
        for pid in self.settings["watch"]:
            self.watch(pid, poll)
        while True:
            if self.reap():
                break
            for descriptor, _ in poll.poll(self.patience()):
                if descriptor == wake:
                    os.read(wake, 4096)
                elif descriptor == CHANNEL:
                    if not self.listen():
                        poll.unregister(CHANNEL)
                        self.leave_runner()
                else:
                    poll.unregister(descriptor)
                    self.leave_runner()
            self.advance()
        if self.settings["tree_file"]:
            tree_file.remove(self.settings["tree_file"])
        tell("gone")

    def spawn(self) -> None:
        """Fork and execute the server; tell its number, or why it could not be executed."""
        settings = self.settings
        reading, writing = os.pipe()
        births = process_tree.births()
        pid = os.fork()
        if pid == 0:
            step = "prepare"
            try:
                os.setsid()
                if self.libc is not None:
                    # Should somebody kill the guard, the kernel ends the server.
                    self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                    # Should somebody kill guard and keeper, this is what no descendant loses.
                    limit_marks.put_on(0, settings["mark"].partition("=")[2])
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                nothing = os.open(os.devnull, os.O_RDONLY)
                log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
                os.dup2(nothing, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                step = "cwd"
                os.chdir(settings["cwd"])
                step = "execute"
                os.execve(settings["argv"][0], settings["argv"], settings["environment"])
            except OSError as error:
                os.write(writing, marshal.dumps((error.errno, step)))
            finally:
                os._exit(127)
        os.close(writing)
        problem = os.read(reading, 4096)
        os.close(reading)
        if problem:
            os.waitpid(pid, 0)
            if not self.main:
                tell("failed", *marshal.loads(problem))
                return
            self.restart_at = None
            self.begin_killing()
            return
        # Sandboxes exist whose /proc says the same for ever.
        self.births_are_told = not self.portable and process_tree.births() != births
        moved = bool(self.main)
        self.main, self.main_lives = pid, True
        self.started_at = time.monotonic()
        tell("moved", pid, "restarted") if moved else tell("started", pid, os.getpid())

    def watch(self, pid: int, poll: select.poll) -> None:
        """Notice the end of a process that the server must not outlive; the closed socket tells of the runner alone."""
        if hasattr(os, "pidfd_open") and not self.portable:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                self.leave_runner()
                return
            except OSError:
                pass
            else:
                poll.register(descriptor, select.POLLIN)
                return
        self.watched[pid] = pid

    def listen(self) -> bool:
        """Obey what the runner says; return False when its end is closed."""
        try:
            data = os.read(CHANNEL, 65536)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            return False
        self.incoming += data
        words, self.incoming = split(self.incoming)
        for word in words:
            if word[0] == "stop":
                self.stop(*word[1:])
            elif word[0] == "kill":
                self.begin_killing()
            elif word[0] == "keep":
                self.keep = True
            elif word[0] == "signal":
                number, whole_tree = word[1:]
                self.send(number, self.tree() if whole_tree else [self.main])
                tell("signalled")
        return True

    def leave_runner(self) -> None:
        """The runner is gone."""
        if not self.keep:
            self.abandon()

    def abandon(self) -> None:
        """Nobody wants the server any more."""
        if self.phase == RUNNING:
            self.restart_at = None
            if not self.main_lives:
                self.begin_killing()
                return
            self.phase, self.deadline = TERMINATING, time.monotonic() + ORPHAN_GRACE
            tree = self.tree()
            self.send(signal.SIGTERM, tree)
            self.send(signal.SIGCONT, tree)
        elif self.deadline is not None:
            self.deadline = min(self.deadline, time.monotonic() + ORPHAN_GRACE)

    def stop(self, number: int, grace: float, whole_group: bool) -> None:
        self.restart_at = None
        if not self.main_lives and self.phase == RUNNING:
            self.begin_killing()
        elif self.main_lives and self.phase in {RUNNING, TERMINATING}:
            self.phase, self.deadline = TERMINATING, time.monotonic() + grace
            for each in (number, signal.SIGCONT):  # a stopped process would not see the first before it goes on
                if whole_group:
                    quietly(os.killpg, self.main, each)
                else:
                    self.send(each, [self.main])

    def begin_killing(self) -> None:
        self.restart_at = None
        self.phase, self.deadline = KILLING, None

    def look(self) -> None:
        """Write down who lives, for whoever has to end them should guard and keeper be killed."""
        began = time.monotonic()
        births = process_tree.births() if self.births_are_told else ""
        quiet = bool(births) and births == self.births
        # A list of children may lack one when another ends meanwhile, so the last look is made when all is quiet.
        if not quiet or not self.looked_in_quiet:
            self.births, self.looked_in_quiet = births, quiet
            self.write_down()
        now = time.monotonic()
        least = LIVELY_ROUND if now < self.lively_until and not self.portable else LOOK_ROUND
        self.next_look = now + max(least, (now - began) / LOOK_SHARE)

    def write_down(self) -> None:
        living = None if self.portable else process_tree.below(os.getpid())
        pairs: list[tuple[int, str]] = [
            (seen.pid, seen.started) for seen in (self.living() if living is None else living)
        ]
        if self.settings["tree_file"] and pairs != self.written:
            self.lively_until = time.monotonic() + LIVELY
            try:
                tree_file.write(self.settings["tree_file"], pairs)
            except OSError:  # a full disk, or a folder that was removed, must not end the guard
                self.births = ""
            else:
                self.written = pairs

    def tree(self) -> list[int]:
        """Return the numbers of all living processes that descend from the server, itself included."""
        return [seen.pid for seen in self.living()]

    def living(self) -> list[process_tree.ProcessInfo]:
        """Return all living processes that descend from the server, itself included."""
        everyone = process_tree.everyone(self.portable)
        if not self.portable:
            return list(process_tree.descendants(os.getpid(), everyone))
        known = {
            pid for pid, started in self.remembered.items() if pid in everyone and everyone[pid].started == started
        }
        # The group that the server leads stays findable when the parents of its members have ended.
        known |= {seen.pid for seen in everyone.values() if seen.group == self.main}
        for pid in list(known):
            known |= {below.pid for below in process_tree.descendants(pid, everyone)}
        known |= {seen.pid for seen in process_tree.bearers(self.settings["mark"]) if seen.pid in everyone}
        found = [everyone[pid] for pid in sorted(known) if everyone[pid].lives]
        self.remembered = {seen.pid: seen.started for seen in found}
        return found

    def send(self, number: int, pids: list[int]) -> None:
        for pid in pids:
            # The server's own number stays taken until it is reaped, so it cannot meet a stranger.
            if pid != self.main or self.main_lives:
                quietly(os.kill, pid, number)

    def reap(self) -> bool:
        """Fetch the status of what has ended; return whether nothing lives any more."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                if self.main_lives or self.restart_at is not None:
                    return False
                return not (self.portable and self.tree())
            if pid == 0:
                return False
            if pid == self.main:
                self.main_ended(status, usage)

    def main_ended(self, status: int, usage: Any) -> None:
        now = time.monotonic()
        self.main_lives = False
        if self.phase == RUNNING and self.settings["daemon"] and status == 0:
            below = process_tree.descendants(os.getpid(), process_tree.everyone(self.portable))
            children = [seen for seen in below if seen.parent == os.getpid()]
            if children:
                # It put itself into the background, and came back to us: its status is ours to fetch.
                self.main, self.main_lives = children[0].pid, True
                tell("moved", self.main, "daemon")
                return
        # Linux counts in KiB, macOS in bytes.
        max_rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        code = os.waitstatus_to_exitcode(status)
        ended = (code, os.WCOREDUMP(status), max_rss, usage.ru_utime, usage.ru_stime, now - self.started_at)
        if self.phase == RUNNING and self.settings["restart"]:
            self.pause = FIRST_PAUSE if now - self.started_at > STABLE else min(self.pause * 2, LONGEST_PAUSE)
            self.restart_at = now + self.pause
            tell("dropped", *ended)
            return
        tell("exited", *ended)
        if self.phase != KILLING:
            self.phase, self.deadline = SETTLING, now + SETTLE

    def patience(self) -> int:
        """Return how many milliseconds may pass until something is to be done."""
        now = time.monotonic()
        times = [at - now for at in (self.deadline, self.restart_at) if at is not None]
        if self.phase == KILLING:
            times.append(KILL_ROUND)
        times.append(self.next_look - now)
        if self.watched:
            times.append(WATCH_ROUND)
        return max(0, int(min(times) * 1000) + 1)

    def advance(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self.told_to_end:
            self.told_to_end = False
            self.abandon()
        for pid in list(self.watched):
            seen = process_tree.look(pid)
            if seen is None or not seen.lives:
                del self.watched[pid]
                self.leave_runner()
        if now >= self.next_look:
            self.look()
        if self.restart_at is not None and now >= self.restart_at:
            self.restart_at = None
            self.spawn()
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            if self.phase == SETTLING and not self.told_left:
                left = [(seen.pid, seen.name) for seen in self.living()]
                self.told_left = True
                tell("left", left)
                self.send(signal.SIGTERM, [pid for pid, _ in left])
                self.send(signal.SIGCONT, [pid for pid, _ in left])
                self.deadline = now + STRAGGLER_GRACE
            else:
                if self.phase == TERMINATING and self.main_lives:
                    tell("killing")
                self.phase = KILLING
        if self.phase == KILLING:
            self.send(signal.SIGKILL, self.tree())


def own_orphans() -> ctypes.CDLL:
    """Become the sub-reaper of all descendants; return the C library for prctl(2)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return libc


def quietly(send: Any, *arguments: int) -> None:
    try:
        send(*arguments)
    except (ProcessLookupError, PermissionError):
        return  # gone already; macOS answers EPERM for a group of zombies


def main() -> None:
    """Wait for the settings of the server, guard it to its end."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Whoever ignores it bequeaths that, and then nobody is told how a child ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    incoming = b""
    words: list[tuple] = []  # type: ignore[type-arg]
    while not words:
        data = os.read(CHANNEL, 65536)
        if not data:
            return
        words, incoming = split(incoming + data)
    settings = words[0][1]
    if process_tree.on_linux() and not settings["portable"]:
        own_orphans()
        inner = os.fork()
        if inner:
            sys.exit(keeper.keep(inner, settings["tree_file"]))
    guard = Guard(settings)
    guard.incoming = incoming
    try:
        guard.run()
    except BaseException as error:
        tell("broken", f"{type(error).__name__}: {error}")
        for _ in range(100):
            guard.send(signal.SIGKILL, guard.tree())
            guard.phase = KILLING
            if guard.reap():
                break
            time.sleep(KILL_ROUND)
        raise
