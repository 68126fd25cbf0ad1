"""The way to a server: whose certificates are trusted, who we say we are, and through which proxy."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from InferenceLibrary.errors import ServerError, describe

if TYPE_CHECKING:
    import ssl

NO_PROXY = "none"
FROM_ENVIRONMENT = "environment"
UNIX_HOST = "localhost"
"""The host that requests name to a server on a Unix socket."""


class Route(NamedTuple):
    """How a server is reached."""

    verify: bool = True
    """Whether its certificate must be valid; without, anybody may pose as the server."""
    ca_file: Path | None = None
    """Certificates that are trusted, in PEM; those of the package certifi by default."""
    client_certificate: Path | None = None
    """Certificate that we show, in PEM."""
    client_key: Path | None = None
    """Its key, in PEM; in the certificate's file by default."""
    proxy: str = NO_PROXY
    """`none`; `environment` for `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; or a proxy's URL."""
    unix_socket: Path | None = None
    """The socket that the server listens on, in place of a port: what goes to `UNIX_HOST` goes there."""

    def context(self) -> ssl.SSLContext:
        """Return what TLS connections are made with.

        Raises:
            ServerError: A file is missing or malformed.
        """
        import ssl

        for what, path in (("CA", self.ca_file), ("client", self.client_certificate), ("key", self.client_key)):
            if path is not None and not path.is_file():
                raise ServerError(describe(f"The {what} file '{path}' of a TLS connection does not exist"))
        if self.ca_file is None:
            import certifi

            made = ssl.create_default_context(cafile=certifi.where())
        else:
            try:
                made = ssl.create_default_context(cafile=str(self.ca_file))
            except ssl.SSLError as error:
                raise _unreadable("CA", self.ca_file, error) from None
        if not self.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        if self.client_certificate is not None:
            try:
                made.load_cert_chain(self.client_certificate, self.client_key)
            except ssl.SSLError as error:
                raise _unreadable("client certificate or key", self.client_certificate, error) from None
        return made

    def proxy_for(self, url: str) -> str | None:
        """Return the URL of the proxy that leads to `url`, None for the straight way."""
        if self.proxy == NO_PROXY:
            return None
        if self.proxy != FROM_ENVIRONMENT:
            return self.proxy
        from urllib.request import getproxies, proxy_bypass

        parts = urlsplit(url)
        if proxy_bypass(parts.hostname or ""):
            return None
        proxies = getproxies()
        found = proxies.get(parts.scheme) or proxies.get("all")
        return found if found is None or "://" in found else f"http://{found}"

    def check(self, url: str) -> None:
        """Refuse what cannot work, before a call has to find out.

        Raises:
            ServerError: A file is missing or malformed, or the proxy is not a URL.
        """
        if self.unix_socket is not None and not hasattr(socket, "AF_UNIX"):
            raise ServerError(
                describe(
                    f"The Unix socket '{self.unix_socket}' cannot be used",
                    expected="a system whose Python has them",
                    got=sys.platform,
                    hint="connect by an address and a port.",
                )
            )
        proxy = self.proxy_for(url)
        if proxy is not None and self.unix_socket is not None:
            raise ServerError(
                describe("A Unix socket is reached without a proxy", expected="proxy=none", got=f"'{proxy}'")
            )
        if proxy is not None and (urlsplit(proxy).scheme not in {"http", "https"} or not urlsplit(proxy).hostname):
            raise ServerError(
                describe("The proxy cannot be used", expected="none, environment or http://host:port", got=f"'{proxy}'")
            )
        if url.startswith("https:"):
            if proxy is not None and proxy.startswith("https:"):
                raise ServerError(
                    describe(
                        f"The proxy cannot be used for {url}",
                        expected="http://host:port, which tunnels TLS",
                        got=f"'{proxy}': TLS inside TLS",
                    )
                )
            self.context()
        elif self.ca_file or self.client_certificate or not self.verify:
            raise ServerError(
                describe(f"TLS options have no effect on {url}", expected="a URL that begins with https:")
            )


def _unreadable(what: str, path: Path, error: Exception) -> ServerError:
    return ServerError(describe(f"The {what} file '{path}' cannot be read", expected="PEM", got=str(error)))
