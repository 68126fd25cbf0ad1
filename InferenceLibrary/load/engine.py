"""The loop that sends a load and keeps what came, byte by byte, with the time of each read. Nothing is decoded here.

One thread, sockets that do not block, one `epoll`. Where Linux stamps what arrives (SO_TIMESTAMPNS), the time of a read
is that of the kernel: a loop that is late does not make the server look slow.
"""

from __future__ import annotations

import heapq
import itertools
import os
import socket
import struct
import time
from array import array
from collections.abc import Callable, Iterator

from InferenceLibrary.foreign_text import cut
from InferenceLibrary.load.connections import CONNECTING, SECURING, LoadConnection, Raw
from InferenceLibrary.load.framing import ChunkWalk, read_head, shows_output
from InferenceLibrary.load.line import Line, kernel_offset
from InferenceLibrary.load.plan import ASKED_TO_STOP, LoadPlan, Users
from InferenceLibrary.load.polling import Poll
from InferenceLibrary.load.talks import Talks
from InferenceLibrary.load.wording import Wording

_HEARTBEAT = 0.01
"""Seconds between two looks at the clock, at most: a longer silence is a stall of this process."""
_STALL = 0.02
_SWEEP = 0.1
_READ = 1 << 16
_AT_ONCE, _FEW = 32, 8
"""Connections that are read between two looks at the clock, however many are ready; and where a request is due soon."""
_SOON = 0.0005
"""Seconds: about what it takes to read so many."""
_LAGS = 10_000
_A_READ = 50
"""Bytes of memory that half a read takes, beside what came: its object and its time."""
_HUNG = 2.0
"""Seconds that a connection may stay open and silent after `[DONE]`."""
_stamp = struct.Struct("@qq").unpack
_clock = time.monotonic


class LoadEngine:
    """One worker's part of a load.

    Args:
        plan: The load.
        share: Which part, from 0.
        begin: The monotonic time at which the schedule begins, the same for all parts.
        stop: Asked now and then, with what was counted since the last time; true ends the run.
        read: Returns the text of an answer that succeeded, empty where it has none; needed for conversations.
    """

    def __init__(
        self,
        plan: LoadPlan,
        share: int,
        begin: float,
        stop: Callable[[LoadEngine], bool],
        read: Callable[[Raw], str] | None = None,
    ) -> None:
        self.plan = plan
        self.share = share
        self.begin = begin
        self._stop = stop
        self._talks = Talks(read) if read is not None and plan.turns > 1 else None
        self._wording = Wording(plan)
        self._line = Line(plan)
        self._poll = Poll()
        self._connections: dict[int, LoadConnection] = {}
        self._idle: list[LoadConnection] = []
        self.finished: list[Raw] = []
        """What requests left that nobody has taken yet: `take`."""
        self.held = 0
        """So many bytes of memory they hold, about."""
        self.started = self.ended = self.failed = self.active = self.missed = 0
        self.lateness = array("d")
        self.lags = array("d")
        """The longest."""
        self.lag_count = 0
        self.stalls: list[float] = []
        self.steps = 0
        self.stopped: str | None = None
        self.interrupted = False
        self._exhausted = False
        self._recent: list[bool] = []
        self._offset = kernel_offset()
        self._due: list[tuple[float, int]] = []
        count = plan.warmup + plan.requests if plan.requests is not None else None
        self._numbers = (
            itertools.count(share, plan.workers) if count is None else iter(range(share, count, plan.workers))
        )
        self._ends = begin + plan.duration if plan.duration is not None else float("inf")
        self._arrivals: Iterator[float] | None = None
        if isinstance(plan.schedule, Users):
            mine = range(share, plan.schedule.count, plan.workers)
            step = plan.schedule.ramp / plan.schedule.count
            self._due = [(begin + user * step, user) for user in mine]
        else:
            self._arrivals = itertools.islice(plan.schedule.arrivals(plan.seed), share, None, plan.workers)
        self._next = self._draw()

    def _draw(self) -> float:
        """When the next request of an open loop is due; infinity when there is none."""
        if self._arrivals is None:
            return float("inf")
        offset = next(self._arrivals, None)
        return float("inf") if offset is None or self.begin + offset > self._ends else self.begin + offset

    def run(self) -> None:
        """Send everything, then wait for what is open: each request has its own time limit."""
        last = swept = _clock()
        while True:
            now = last = self._look(last)
            self._start_due(now)
            if now - swept > _SWEEP:
                swept = now
                self._sweep(now)
                if self.stopped is None and self._stop(self):
                    self.stopped, self.interrupted = ASKED_TO_STOP, True
            over = self.stopped is not None or self._exhausted
            over = over or (now >= self._ends if self._arrivals is None else self._next == float("inf"))
            if over and (self.interrupted or not self.active):
                self._look(last)
                break
            ahead = min(self._next, self._due[0][0] if self._due else float("inf")) - _clock()
            seconds = 0 if ahead <= 0 and not over else min(_HEARTBEAT, max(ahead, 0) or _HEARTBEAT)
            self._take(self._poll.wait(seconds, _AT_ONCE if ahead > _SOON else _FEW))
        self.close()

    def _look(self, last: float) -> float:
        """Look at the clock, note a stall since the last look, and return the time."""
        now = _clock()
        self.stalls += [now - last] if now - last > _STALL + _HEARTBEAT else []
        return now

    def take(self) -> list[Raw]:
        """Return what requests left, once."""
        taken, self.finished, self.held = self.finished, [], 0
        return taken

    def close(self) -> None:
        """End what is open, and keep what came of it."""
        for connection in list(self._connections.values()):
            if connection.parts is not None:
                self._finish(connection, cancelled=True)
            self._drop(connection)
        self._poll.close()

    def _start_due(self, now: float) -> None:
        if self.stopped is not None:
            self._due, self._next = [], float("inf")
        while self._due and self._due[0][0] <= now:
            due, user = heapq.heappop(self._due)
            if due < self._ends and not self._send(due, user):
                self._due = []
        while self._next <= now:
            due, self._next = self._next, self._draw()
            if not self._send(due, -1):
                self._next = float("inf")

    def _send(self, due: float, user: int) -> bool:
        number = next(self._numbers, None)
        if number is None:
            self._exhausted = True
            return False
        said, turn = self._talks.before(user) if self._talks is not None else (b"", 1)
        kind, prompt, data = self._wording.request(number, said)
        sent = _clock()
        self.started += 1
        self.active += 1
        self.lateness.append(sent - due)
        connection = self._idle.pop() if self._idle else self._open()
        connection.serve(number, user, kind, prompt, due, sent)
        connection.said, connection.turn = said, turn
        connection.warmup = number < self.plan.warmup
        connection.cancel = self.plan.cancel > 0 and self._wording.draw(number, "cancel") < self.plan.cancel
        connection.out = data if connection.tls is None else connection.tls.seal(data)
        self._write(connection)
        return True

    def _open(self) -> LoadConnection:
        connection = self._line.open()
        self._connections[connection.fd] = connection
        self._poll.watch(connection.fd, writing=True)
        return connection

    def _write(self, connection: LoadConnection) -> None:
        if connection.connected == CONNECTING or not connection.out:
            return  # when it stands, or its TLS does
        try:
            sent = connection.sock.send(connection.out)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(connection, error)
            return
        connection.out = connection.out[sent:]
        if connection.out:
            self._poll.watch(connection.fd, writing=True, again=True)

    def _take(self, ready: list[tuple[int, int]]) -> None:  # noqa: PLR0912, PLR0915 - a call costs as much as what it does here
        now = _clock()
        stamp = now
        got = False
        connections, offset = self._connections, self._offset
        for fd, mask in ready:
            connection = connections.get(fd)
            if connection is None:
                continue
            if mask & 4 and connection.parts is not None and (connection.out or connection.connected == CONNECTING):
                self._writable(connection)
                if not mask & ~4:
                    continue
            try:
                data, control, _, _ = connection.recvmsg(_READ, 64)
            except BlockingIOError:
                continue
            except OSError as error:
                self._broken(connection, error)
                continue
            if connection.tls is not None and data and not (data := self._unsealed(connection, data)):
                continue
            parts = connection.parts
            if not data or parts is None:
                self._ended_by_server(connection, unexpected=bool(data))
                continue
            if control:
                seconds, nanoseconds = _stamp(control[0][2])
                stamp = seconds + nanoseconds * 1e-9 - offset
                if not connection.sent <= stamp <= now + 1.0:
                    stamp = now
                got = True
            else:
                stamp = now
            parts.append(data)
            parts.append(stamp)
            connection.last = now
            if connection.head is None:
                self._headed(connection, now)
            elif connection.chunked:
                if data[-4:] == b"\r\n\r\n" or len(data) < 8:
                    self._walk(connection)
            else:
                connection.left -= len(data)
                if connection.left <= 0 and connection.head.length is not None:
                    self._finish(connection)
            if connection.cancel and connection.parts is parts and shows_output(data):
                self._finish(connection, cancelled=True)
                self._drop(connection)
        if got:
            self.lags.append(_clock() - stamp)
            self.lag_count += 1

    def _writable(self, connection: LoadConnection) -> None:
        if connection.connected == CONNECTING:
            problem = connection.problem or connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                self._broken(connection, OSError(problem, os.strerror(problem)))
                return
            if connection.tls is None:
                connection.connected = _clock() - connection.sent
            else:
                connection.connected, connection.out = SECURING, connection.tls.greet()
        self._poll.watch(connection.fd, again=True)
        self._write(connection)

    def _unsealed(self, connection: LoadConnection, data: bytes) -> bytes:
        """Return what bytes of TLS carry; send what its handshake asks for."""
        import ssl

        tls = connection.tls
        assert tls is not None
        try:
            plain, answer = tls.take(data)
        except ssl.SSLError as error:
            if connection.parts is not None:
                self._finish(connection, "tls", getattr(error, "verify_message", "") or error.reason or str(error))
            self._drop(connection)
            return b""
        if tls.ready and connection.connected == SECURING:
            connection.connected = _clock() - connection.sent
        if answer:
            connection.out += answer
            self._write(connection)
        return plain

    def _headed(self, connection: LoadConnection, now: float) -> None:
        parts = connection.parts or []
        data = parts[0] if len(parts) == 2 else b"".join(parts[::2])
        end = data.find(b"\r\n\r\n", connection.head_end)
        if end < 0:
            if len(data) > 1 << 20:
                self._finish(connection, "protocol", "a head without end")
                self._drop(connection)
            return
        start = connection.head_end
        connection.head_end = end + 4
        head = read_head(data[start : end + 2])
        if head is None:
            self._finish(connection, "protocol", f"an answer that is not HTTP/1: {cut(repr(bytes(data[:80])), 40)}")
            self._drop(connection)
        elif head.status < 200:
            self._headed(connection, now)
        else:
            connection.head, connection.chunked = head, head.chunked
            if head.chunked:
                connection.walk = ChunkWalk()
                self._walk(connection)
            elif head.length is not None:
                connection.left = head.length - (len(data) - connection.head_end)
                if connection.left <= 0:
                    self._finish(connection)

    def _walk(self, connection: LoadConnection) -> None:
        parts, walk = connection.parts or [], connection.walk
        assert walk is not None
        fresh = b"".join(parts[connection.fed :: 2])
        if connection.fed == 0:
            fresh = fresh[connection.head_end :]
        connection.fed = len(parts)
        if walk.feed(fresh):
            self._finish(connection)
        elif walk.broken:
            self._finish(connection, "protocol", "a chunk without a size")
            self._drop(connection)

    def _finish(
        self, connection: LoadConnection, error: str | None = None, detail: str = "", *, cancelled: bool = False
    ) -> None:
        """The request is over: keep what it left, let the connection serve another, let its user think."""
        parts, head, now = connection.parts or [], connection.head, _clock()
        connection.parts = None
        ended = parts[-1] if error is None and parts else now
        self.active -= 1
        bad = error is not None or (head is not None and head.status >= 400)
        self.failed += bad
        took = connection.connected
        raw = Raw(
            number=connection.number,
            kind=connection.kind,
            prompt=connection.prompt,
            scheduled=connection.scheduled,
            sent=connection.sent,
            connected=took if took is not None and took >= 0 else None,
            ended=ended,
            parts=parts,
            head=head,
            head_end=connection.head_end,
            error=error,
            detail=detail,
            warmup=connection.warmup,
            cancelled=cancelled,
            resent=connection.resent,
            said=connection.said,
            turn=connection.turn,
        )
        self.finished.append(raw)
        self.held += sum(map(len, parts[::2])) + _A_READ * len(parts)
        self.ended += 1
        if self._talks is not None:
            self._talks.add(connection.user, raw, good=not bad and not cancelled, last=self.plan.turns)
        connection.connected = None
        self._watch_errors(bad)
        if error is None and not cancelled and head is not None and head.keeps:
            self._idle.append(connection)
        elif error is None and not cancelled:
            self._drop(connection)
        schedule = self.plan.schedule
        if connection.user >= 0 and isinstance(schedule, Users) and now < self._ends and self.stopped is None:
            heapq.heappush(self._due, (now + schedule.think, connection.user))

    def _watch_errors(self, bad: bool) -> None:
        most = self.plan.max_error_rate
        if most is None:
            return
        self._recent = [*self._recent[-99:], bad]
        if len(self._recent) >= 20 and sum(self._recent) > most * len(self._recent):
            self.stopped = (
                f"{sum(self._recent)} of the last {len(self._recent)} requests failed, {most:.0%} are tolerated"
            )

    def _resend(self, connection: LoadConnection) -> bool:
        """Send a request once more, openly, where the server closed the idle connection that it was sent on."""
        if connection.parts != [] or connection.connected is not None or connection.resent:
            return False
        _, _, data = self._wording.request(connection.number, connection.said)
        fresh, warmup, cancel = self._open(), connection.warmup, connection.cancel
        fresh.serve(
            connection.number,
            connection.user,
            connection.kind,
            connection.prompt,
            connection.scheduled,
            connection.sent,
        )
        fresh.warmup, fresh.cancel, fresh.resent = warmup, cancel, True
        fresh.said, fresh.turn = connection.said, connection.turn
        fresh.out = data if fresh.tls is None else fresh.tls.seal(data)
        connection.parts = None
        return True

    def _broken(self, connection: LoadConnection, error: OSError) -> None:
        """A connection broke."""
        if connection.parts is not None and not self._resend(connection):
            kind = "refused" if isinstance(error, ConnectionRefusedError) or error.errno == 111 else "connection"
            self._finish(connection, kind, error.strerror or str(error))
        self._drop(connection)

    def _ended_by_server(self, connection: LoadConnection, *, unexpected: bool) -> None:
        head = connection.head if connection.parts is not None else None
        if connection.parts is None:
            self.missed += unexpected  # bytes that nobody asked for
        elif head is not None and not head.chunked and head.length is None:
            self._finish(connection)
        elif not self._resend(connection):
            kind = "cut" if connection.parts else "connection"
            place = "after a part of the answer" if connection.parts else "before an answer"
            self._finish(connection, kind, f"the server closed the connection {place}")
        self._drop(connection)

    def _drop(self, connection: LoadConnection) -> None:
        if self._connections.pop(connection.fd, None) is not None:
            self._poll.forget(connection.fd)
            connection.sock.close()
            if connection in self._idle:
                self._idle.remove(connection)

    def _sweep(self, now: float) -> None:
        """End what takes too long; see whether the kernel's clock was set."""
        offset = kernel_offset()
        self.steps += abs(offset - self._offset) > 0.001
        self._offset = offset
        if len(self.lags) > 2 * _LAGS:
            self.lags = array("d", sorted(self.lags)[-_LAGS:])
        for connection in list(self._connections.values()):
            if connection.parts is None:
                continue
            silent = now - connection.last
            if now - connection.sent > self.plan.timeout:
                self._finish(connection, "timeout", f"not over within {self.plan.timeout:g} s")
            elif silent > self.plan.idle:
                self._finish(connection, "stall", f"nothing came for {self.plan.idle:g} s")
            elif silent > _HUNG and b"[DONE]" in b"".join(connection.parts[-4::2])[-64:]:
                self._finish(connection, "hung", "the answer did not end after [DONE]")
            else:
                continue
            self._drop(connection)
