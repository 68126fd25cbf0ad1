"""The processes of a load: workers that send, and makers of records beside those whose loads are long."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.plan import LoadPlan
from InferenceLibrary.load.spill import PIECE, Order

if TYPE_CHECKING:
    from InferenceLibrary.load.record import Record
    from InferenceLibrary.load.records import RecordStore
    from InferenceLibrary.load.result import WorkerFacts

_PATIENCE = 30.0


class _Member:
    """A process that delivers packets.

    Args:
        module: What it runs.
        told: Pickled for it, with the length in front.
        packets: Whether it sends packets from the beginning; else lines come first.
    """

    def __init__(self, module: str, told: Any, *, packets: bool) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"InferenceLibrary.load.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is ours to tell.
            start_new_session=True,
        )
        self.buffer = bytearray()
        self.packets = packets
        self.counts = (0, 0, 0, 0)
        self.facts: WorkerFacts | None = None
        self.done = False
        self.maker: _Member | None = None
        self.paths = b""
        """Lines that a maker has not been told yet."""
        data = pickle.dumps(told)
        try:
            self.tell(len(data).to_bytes(8, "big") + data)
        except BaseException:
            self.process.kill()
            self.end()
            raise

    @property
    def source(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def sink(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def tell(self, data: bytes) -> None:
        self.sink.write(data)
        self.sink.flush()

    def pass_on(self) -> None:
        """Tell a maker its paths, as far as it takes them without waiting."""
        os.set_blocking(self.sink.fileno(), False)
        try:
            self.paths = self.paths[os.write(self.sink.fileno(), self.paths) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise self.died() from None

    def died(self) -> MonitorError:
        code = self.process.wait(_PATIENCE)
        return MonitorError(describe("A worker of the load died", expected="its records", got=f"exit code {code}"))

    def end(self) -> None:
        for pipe in (self.sink, self.source):
            try:
                pipe.close()
            except OSError:
                continue  # it is gone
        try:
            self.process.wait(0 if not self.done else 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Crew:
    """The processes of one load.

    Args:
        plan: The load.
        hold: Bytes of answers that a worker may hold before it leaves them to a maker of records; 0: it holds none.
    """

    def __init__(self, plan: LoadPlan, hold: int) -> None:
        self._plan = plan
        self.seen: Callable[[Record], None] | None = None
        """Called with each record, as it comes."""
        self._members: list[_Member] = []
        self._workers: list[_Member] = []
        self.store: RecordStore
        self.begin = 0.0
        """The beginning of the load on the monotonic clock."""
        self._folder = tempfile.mkdtemp(prefix="inference-load-")
        try:
            for share in range(plan.workers):
                self._workers.append(_Member("worker", Order.of(plan, share, self._folder, hold), packets=False))
                self._members.append(self._workers[-1])
        except BaseException:
            self.close()
            raise

    def start(self, lead: float) -> None:
        """Wait until all workers are ready; let them begin after so many seconds.

        Raises:
            MonitorError: One died.
        """
        # While they start: what is imported here would keep them waiting before.
        from InferenceLibrary.load.records import RecordStore

        self.store = RecordStore()
        for worker in self._workers:
            if worker.source.readline() != b"ready\n":
                raise worker.died()
        self.begin = time.monotonic() + lead
        for worker in self._workers:
            worker.tell(f"{self.begin!r}\n".encode())

    @property
    def facts(self) -> list[WorkerFacts]:
        """What the workers saw of themselves."""
        return [worker.facts for worker in self._workers if worker.facts is not None]

    @property
    def counts(self) -> tuple[int, ...]:
        """Requests that were started, that ended, that failed, and that are open."""
        return tuple(sum(worker.counts[place] for worker in self._workers) for place in range(4))

    @property
    def lost(self) -> str | None:
        """What did not come in time; None: everything came."""
        if all(member.done for member in self._members):
            return None
        return f"interrupted: {len(self.store)} of {self.counts[0]} requests were told of in time"

    def follow(
        self,
        tell: Callable[[], None] | None = None,
        within: float = float("inf"),
        silence: float = float("inf"),
    ) -> None:
        """Take what comes until all have delivered, or the time is over.

        Args:
            tell: Called some ten times a second or more.
            within: Seconds in all.
            silence: Seconds in which nothing comes.

        Raises:
            MonitorError: A process died.
        """
        heard = time.monotonic()
        until = heard + within
        while time.monotonic() < min(until, heard + silence) and (
            waiting := [member for member in self._members if not member.done]
        ):
            for source in select.select([member.source for member in waiting], [], [], 0.1)[0]:
                heard = time.monotonic()
                member = next(one for one in waiting if one.source is source)
                data = os.read(source.fileno(), 1 << 20)
                if not data:
                    raise member.died()
                member.buffer += data
                self._take(member)
            for worker in self._workers:
                if worker.maker is not None and worker.maker.paths:
                    worker.maker.pass_on()
                elif worker.maker is not None and worker.done and not worker.maker.sink.closed:
                    worker.maker.sink.close()
            if tell is not None:
                tell()

    def stop(self) -> None:
        """Tell the workers to send no more and to deliver what they have."""
        for worker in self._workers:
            try:
                worker.tell(b"stop\n")
            except OSError:
                continue  # it is gone

    def close(self) -> None:
        """End all processes; a second call does nothing."""
        for member in self._members:
            member.end()
        self._members = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, member: _Member) -> None:
        buffer = member.buffer
        while not member.packets:
            end = buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if line == b"facts":
                member.packets = True
            elif line.startswith(PIECE):
                self._make(member, line.removeprefix(PIECE) + b"\n")
            else:
                started, ended, failed, active = map(int, line.split())
                member.counts = (started, ended, failed, active)
        at = 0
        while len(buffer) - at >= 4 and not member.done:
            size = int.from_bytes(buffer[at : at + 4], "big")
            if len(buffer) - at - 4 < size:
                break
            data = bytes(buffer[at + 4 : at + 4 + size])
            at += 4 + size
            self._packet(member, data)
        del buffer[:at]

    def _packet(self, member: _Member, data: bytes) -> None:
        if not data:
            member.done = True
        elif member in self._workers and member.facts is None:
            member.facts = _facts_in(data)
        else:
            record = self.store.add(data)
            if self.seen is not None:
                self.seen(record)

    def _make(self, worker: _Member, path: bytes) -> None:
        if worker.maker is None:
            worker.maker = _Member("spill", (self._plan, self.begin), packets=True)
            self._members.append(worker.maker)
        worker.maker.paths += path


def _facts_in(data: bytes) -> WorkerFacts:
    import msgspec

    from InferenceLibrary.load.result import WorkerFacts

    return msgspec.msgpack.decode(data, type=WorkerFacts)
