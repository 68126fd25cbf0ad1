"""One request as it arrived."""

from __future__ import annotations


class Request:
    """A parsed request.

    Header names are lower case; `received` is monotonic seconds; `authority` is the host of a target that has one.
    """

    __slots__ = (
        "authority",
        "body",
        "body_bytes",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "received",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        received: float,
        keep_alive: bool,
        version: str,
    ) -> None:
        self.method = method
        path, _, self.query = target.partition("?")
        self.authority: str | None = None
        if path.startswith(("http://", "https://")):
            self.authority, _, rest = path.partition("://")[2].partition("/")
            path = "/" + rest
        self.path = _unquoted(path) if "%" in path else path
        self.headers = headers
        self.body = body
        self.body_bytes = len(body)
        self.received = received
        self.keep_alive = keep_alive
        self.version = version

    def keep_beginning(self, count: int) -> None:
        """Forget the body but for its first bytes."""
        if len(self.body) > count:
            self.body = self.body[:count]


def _unquoted(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)
