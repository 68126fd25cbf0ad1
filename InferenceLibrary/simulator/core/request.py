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

    def again(self, body: bytes, received: float, size: int | None = None) -> Request:
        """Return a request with the same head and another body, whose size may be told apart."""
        made = Request.__new__(Request)
        made.method, made.path, made.query, made.authority = self.method, self.path, self.query, self.authority
        # Faults change the headers of one request.
        made.headers = self.headers.copy()
        made.body = body
        made.body_bytes = len(body) if size is None else size
        made.received = received
        made.keep_alive, made.version = self.keep_alive, self.version
        return made

    def keep_beginning(self, count: int) -> None:
        """Forget the body but for its first bytes."""
        if len(self.body) > count:
            self.body = self.body[:count]


def _unquoted(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)
