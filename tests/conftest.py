"""Fixtures that several test modules share; the time limit of every test; one failure for one failed inner run."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence

import hypothesis
import pytest
import pytest_timeout
from inner_suites import InnerRunError
from machine import Limit, slowness
from wire_server import Step, WireServer

# A run in the background, or under nohup, ignores these, and every program that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says nothing about what it tests.
hypothesis.settings.register_profile(
    "ours", hypothesis.settings.default, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ours")

SLOWNESS = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SLOWNESS] = slowness()


def stacks() -> str:
    """Where all threads are: in the failure itself, since a worker of xdist has no terminal."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames().items()
    return "\n".join(
        f"Thread {names.get(number)}:\n{''.join(traceback.format_stack(frame))}" for number, frame in frames
    )


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool | None:
    """End a test that hangs with the stacks of all threads; the limit grows with the machine.

    Tests that need the alarm themselves borrow it: `alarm.interruption`.
    """
    if settings.method != "signal":
        return None
    limit = Limit(settings.timeout, item.config.stash[SLOWNESS])

    def reached(_number: int, _frame: object) -> None:
        if (left := limit.left()) > 0:
            signal.setitimer(signal.ITIMER_REAL, left)
        elif not pytest_timeout.is_debugging():
            pytest.fail(f"The test did not end within {limit.seconds:.0f} s. Stacks of all threads:\n{stacks()}")

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    signal.signal(signal.SIGALRM, reached)
    signal.setitimer(signal.ITIMER_REAL, limit.seconds)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell a failed inner run once: the tests that would have read it are skipped, and say where it is told."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if call.when == "setup" and isinstance(error, InnerRunError):
        if error.told_by and error.told_by != item.nodeid:
            report.outcome = "skipped"
            path, line, _ = item.location
            report.longrepr = (path, line or 0, f"Skipped: its inner run failed, see {error.told_by}")
        error.told_by = error.told_by or item.nodeid
    return report


@pytest.fixture
def wire() -> Iterator[Callable[..., WireServer]]:
    """Start wire servers that end with the test."""
    servers: list[WireServer] = []

    def start(*scripts: Sequence[Step], keep_alive: bool = False) -> WireServer:
        server = WireServer(scripts, keep_alive)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
