"""Requests over a pair of sockets between two processes, one after another."""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple


class Answered(NamedTuple):
    """What came back."""

    status: int
    content_type: str
    body: bytes


class LinkBroken(Exception):
    """The other process is gone."""


class Link:
    """The asking end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> Answered:
        """Send a request and return its answer.

        Raises:
            LinkBroken: The other process is gone.
        """
        lines = [f"{method} {target} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
        if content_type:
            lines.append(f"content-type: {content_type}")
        try:
            async with self._lock:
                if self._streams is None:
                    self._streams = await asyncio.open_unix_connection(sock=self._sock)
                reader, writer = self._streams
                if writer.is_closing():
                    # To write all the same is an error of the loop's own.
                    raise ConnectionResetError("it has ended")
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                await writer.drain()
                return await _read(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise LinkBroken(str(error)) from None


async def _read(reader: asyncio.StreamReader) -> Answered:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answered(int(first.split()[1]), headers.get("content-type", ""), body)
