"""Questions to a server that may not be ready yet; each is asked once and answered by `ok` or what was seen instead."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import SplitResult, urlsplit

from InferenceLibrary.client.answers import is_listed
from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import ANY_STATUS, Sending
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.servers.limited import within
from InferenceLibrary.servers.sections import Health

OK = "ok"
NO_HOST = "no such host name"
GIVE_KEY = "give api_key=, or --variable API_KEY:... or INFERENCE_API_KEY where the target is used."
"""What to do about a 401 where no key was sent."""
LISTS_OTHERS = "a list of "
PROBE_TIMEOUT = 2.0
"""Seconds of one question among several."""
ASKED_ONCE = 10.0
"""Seconds of a question that is not repeated: to a server that runs, which may be far or busy."""
_LEAST = 0.1
"""Seconds of a question when the time is over: it is asked a last time."""
_MOST_NAMES = 20
_MOST_BODY = 65_536
_WELL = {"ok", "healthy", "ready", "up", "running"}
_FINAL_REFUSALS = {400, 401, 403, 404, 422}


def probe(base_url: str, health: Health | None, limit: float = PROBE_TIMEOUT, headers: Mapping[str, str] = {}) -> str:
    """Ask for the health. Over http.client, which costs no import.

    Args:
        base_url: The server's address.
        health: The request, and the answers that are accepted; None: a connection is enough.
        limit: Seconds that it may take.
        headers: What else the request bears, such as the key: without it some gateways answer 500.
    """
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if health is None:
        return connects(parts.hostname or "", port, limit)
    try:
        status, body = within(limit, partial(_ask_health, parts, port, health, limit, headers))
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return reason(error, limit)
    return judge_health(health, status, body)


def share_of(budget: float) -> float:
    """Return the seconds that one question may take, of those that are left; a last one is asked when none are."""
    return max(min(PROBE_TIMEOUT, budget), _LEAST)


def _ask_health(
    parts: SplitResult, port: int, health: Health, limit: float, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", port, timeout=limit)
    try:
        connection.request("GET", parts.path.rstrip("/") + health.path, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        return response.status, b"" if "any" in health.bodies else response.read(_MOST_BODY)
    finally:
        connection.close()


def connects(host: str, port: int, budget: float = PROBE_TIMEOUT) -> str:
    """Try to connect within `budget` seconds, whatever the number of the host's addresses."""
    limit = max(budget, _LEAST)
    try:
        within(limit, lambda: socket.create_connection((host, port), limit).close())
    except (OSError, UnicodeError) as error:
        return reason(error, limit)
    return OK


def judge_health(health: Health, status: int, body: bytes) -> str:
    """Return whether an answer is one of those that count as healthy."""
    if status not in health.statuses:
        return f"status {status}"
    if "any" in health.bodies:
        return OK
    text = body.decode("utf-8", "replace").strip()
    if ("empty" in health.bodies and not text) or ("ok" in health.bodies and text.lower() == "ok"):
        return OK
    if "status" in health.bodies:
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if isinstance(data, dict) and str(data.get("status", "")).lower() in _WELL:
            return OK
    return f"status {status} with the body {cut(text, 80)!r}"


def lists_model(client: Client, path: str, budget: float = PROBE_TIMEOUT) -> str:
    """Ask for the list of models: it must name the client's model; a client without one gets the first."""
    limits = client.limits.replace(total=share_of(budget))
    try:
        reply = client.send("GET", path, sending=ANY_STATUS._replace(limits=limits))
    except RequestError as error:
        return str(error).splitlines()[0]
    if reply.status != 200:
        return f"status {reply.status}"
    data = reply.json.get("data") if isinstance(reply.json, dict) else None
    names = (
        [str(item["id"]) for item in data if isinstance(item, dict) and "id" in item] if isinstance(data, list) else []
    )
    if client.model is None and names:
        client.model = names[0]
    client.seen_models = tuple(names)
    if is_listed(names, client.model):
        return OK
    return f"{LISTS_OTHERS}{_few(names)}" if names else "a list without a model"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


_TOKENS = (1, 32)
"""Most tokens of the question for a first one: of a model that thinks, the first tokens are marks that nobody sees."""


def generate_one(client: Client, kind: str, budget: float) -> str:
    """Ask for one token, by a streamed `chat` or `completion`."""
    return ask_token(client, kind, budget)[0]


def ask_token(client: Client, kind: str, budget: float) -> tuple[str, bool]:
    """Ask for one token; return what was seen, and whether it is a refusal that time will not change."""
    limits = client.limits.replace(total=max(budget, _LEAST))
    sending = Sending(limits=limits, allow_broken=True)
    seen = ""
    for most in _TOKENS:
        try:
            if kind == "chat":
                stream = client.stream_chat([{"role": "user", "content": "Hi"}], sending, max_tokens=most)
            else:
                stream = client.stream_completion("Hi", sending, max_tokens=most)
        except (RequestError, StreamError) as error:
            return str(error).splitlines()[0], getattr(error, "status", None) in _FINAL_REFUSALS
        if stream.tokens:
            return OK, False
        seen = f"a stream without a token: {stream}"
        if stream.finish_reason != "length":
            break
    return seen, False


def reason(error: Exception, limit: float) -> str:
    if isinstance(error, socket.gaierror):
        return NO_HOST if error.errno == socket.EAI_NONAME else f"{NO_HOST} could be looked up: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return f"no answer within {limit:.2g} s"
    return str(error) or type(error).__name__
