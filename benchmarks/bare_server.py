"""A server that only writes chunks at a pace: the least that a stream costs on this machine, as a yardstick.

One protocol, one heap, one timerfd; no parsing, no tokens, no usage, no counters: after the first bytes of a request it
waits, then writes one constant chunk after another. Prints its port.

    python benchmarks/bare_server.py FIRST GAP TOKENS    (seconds, seconds, tokens of a stream; without tokens it
                                                          answers whole, at once)
"""

from __future__ import annotations

import asyncio
import sys
from heapq import heappop, heappush
from time import monotonic
from typing import Any

import uvloop

from InferenceLibrary.simulator.core.timers import TimerFd

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"token"},"finish_reason":null}],"usage":null}\n\n'
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
BODY = b'{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","choices":[],"usage":null}'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Stream(asyncio.Protocol):
    """A connection; each piece that comes in is a request."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.WriteTransport = transport

    def data_received(self, data: bytes) -> None:
        if not self.pace.tokens:
            self.transport.write(WHOLE)
            return
        self.transport.write(HEAD)
        self.pace.begin(self.transport)


class Pace:
    """The heap of what is due."""

    def __init__(self, first: float, gap: float, tokens: int) -> None:
        self.first, self.gap, self.tokens = first, gap, tokens
        self.heap: list[tuple[float, int, asyncio.WriteTransport, int]] = []
        self.count = 0
        self.clock = TimerFd()

    def begin(self, transport: asyncio.WriteTransport) -> None:
        self.count += 1
        heappush(self.heap, (monotonic() + self.first, self.count, transport, self.tokens))
        self.clock.set(self.heap[0][0])

    def wake(self) -> None:
        heap, now = self.heap, monotonic()
        while heap and heap[0][0] <= now:
            due, _, transport, left = heappop(heap)
            if left:
                transport.write(CHUNK)
                self.count += 1
                heappush(heap, (due + self.gap, self.count, transport, left - 1))
            else:
                transport.write(END)
        if heap:
            self.clock.set(heap[0][0])
        else:
            self.clock.clear()


async def main(first: float, gap: float, tokens: int) -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(first, gap, tokens)
    loop.add_reader(pace.clock.fd, pace.wake)
    server = await loop.create_server(lambda: Stream(pace), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
