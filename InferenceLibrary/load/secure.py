"""TLS over a socket that is read with `recvmsg`, so that the kernel's time stamps are kept: bytes in, bytes out."""

from __future__ import annotations

import ssl

_READ = 1 << 16


class SecurePipe:
    """The TLS of one connection.

    Args:
        context: What connections are made with.
        host: The name that the certificate must have.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._waiting = b""
        self.ready = False
        """Whether the handshake is over."""

    def greet(self) -> bytes:
        """Return what begins the handshake."""
        return self._go_on()

    def seal(self, data: bytes) -> bytes:
        """Return what carries these bytes; until the handshake is over they wait."""
        if not self.ready:
            self._waiting += data
            return b""
        self._tls.write(data)
        return self._outgoing.read()

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; return what it carries, and what is to be sent for it.

        Raises:
            ssl.SSLError: The handshake failed: a certificate that is not trusted, another name. Or what came is not
                TLS.
        """
        self._incoming.write(data)
        answer = b"" if self.ready else self._go_on()
        plain = []
        while self.ready:
            try:
                piece = self._tls.read(_READ)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                break
            if not piece:
                break
            plain.append(piece)
        return b"".join(plain), answer + self._outgoing.read()

    def _go_on(self) -> bytes:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        self.ready = True
        waiting, self._waiting = self._waiting, b""
        return self._outgoing.read() + (self.seal(waiting) if waiting else b"")
