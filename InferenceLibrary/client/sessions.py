"""httpx sessions over watched connections, and the requests that go through them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from InferenceLibrary.client.bodies import encoded, written
from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import RequestError, describe
from InferenceLibrary.redaction import PLACEHOLDER, PLACEHOLDER_HINT

if TYPE_CHECKING:
    import httpx

    from InferenceLibrary.client.transport import WatchedTransport


class Session:
    """Requests in the form of httpx, sent past its client: that would log each call, keep cookies and cost time."""

    def __init__(self, transport: WatchedTransport) -> None:
        import httpx

        self._transport = transport
        self._client = httpx.Client(transport=transport, trust_env=False, timeout=None)

    def build_request(self, method: str, url: str, headers: Any, content: Any) -> httpx.Request:
        return self._client.build_request(method, url, headers=headers, content=content)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, its body still to be read."""
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Sessions:
    """The shared session of one client, made when first needed, and fresh ones for streams."""

    def __init__(self, base_url: str, route: Route) -> None:
        self._base_url = base_url
        self._route = route
        self._shared: Session | None = None
        self._lock = threading.Lock()

    def shared(self) -> Session:
        """Return the session that reuses connections."""
        with self._lock:
            if self._shared is None:
                self._shared = self.new(keep_alive=True)
            return self._shared

    def new(self, *, keep_alive: bool) -> Session:
        from InferenceLibrary.client.transport import WatchedTransport

        context = self._route.context() if self._base_url.startswith("https:") else None
        proxy = self._route.proxy_for(self._base_url)
        transport = WatchedTransport(context=context, keep_alive=keep_alive, proxy=proxy)
        return Session(transport)

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None


def build_request(
    session: Session, method: str, url: str, body: Any, headers: Mapping[str, str], api_key: str | None
) -> httpx.Request:
    """Return a request. Text and bytes are sent as they are, everything else as JSON; None sends no body.

    Raises:
        RequestError: It holds `<secret>` where a secret should stand.
    """
    sent = {"accept-encoding": "identity", **headers}
    if api_key and not any(name.lower() == "authorization" for name in sent):
        sent["authorization"] = f"Bearer {api_key}"
    if body is not None and not any(name.lower() == "content-type" for name in sent):
        sent["content-type"] = "application/json"
    strange = next((name for name in sent if not name.isascii()), None)
    if strange is not None:
        import httpcore

        raise httpcore.LocalProtocolError(f"Illegal header name {strange!r}")
    # Any text can be sent; what the other side makes of it is for the test to see.
    raw = [(encoded(name), encoded(value)) for name, value in sent.items()]
    content = encoded(body) if isinstance(body, str) else body
    if content is not None and not isinstance(content, bytes):
        content = written(body)
    lost = PLACEHOLDER.encode()
    where = next((name for name, value in sent.items() if PLACEHOLDER in value), None)
    if where is not None or lost in (content or b""):
        what = f"the header '{where}'" if where else "the body"
        raise RequestError(
            describe(
                f"{method} {url} is not sent",
                expected=f"the secret itself in {what}",
                got=f"the text {PLACEHOLDER}",
                hint=PLACEHOLDER_HINT,
            )
        )
    return session.build_request(method, url, raw, content)
