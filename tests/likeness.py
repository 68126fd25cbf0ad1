"""Play recorded requests to the stand-in, and tell where its answers differ from the real server's.

Compared are the status, the headers and each value of the body by its place; of what a model says the kinds of values
alone, so that null is not taken for a text. Times, ids, the words of errors, numbers of tokens and vectors are not:
they differ from run to run, or are the server's own.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from threading import Thread
from typing import Any

from recordings import Recorded

from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.processes.ports import free_port
from InferenceLibrary.protocol.exchange import Exchange, Held

_CHANGING_HEADERS = re.compile("-id$|-ms$|duration|cost|spend|content-length$")
"""Headers whose values are others each time."""
_OWN_HEADERS = {
    "date", "server", "content-length", "connection", "vary", "x-request-id", "x-inference-port", "transfer-encoding",
    "location",
}  # fmt: skip
_NOT_COMPARED = re.compile(r"(error\.message|created|created_at|port|seed)$|tokens\[|token_ids|embedding|engine_id")
_ID = re.compile(r"^(?:[a-z]+[-_])*[0-9a-f]{8}[-0-9a-f]{4,}|^(?:chatcmpl-tool|toolu|call)[-_]\w+|^[0-9a-f-]{36}")
_ABSENT = "(absent)"
_EMPTY = "empty"


def played(
    records: Sequence[Recorded], command: Sequence[str], models: Mapping[str, Sequence[str]] | None = None
) -> Iterator[tuple[Recorded, Exchange]]:
    """Yield each record with the stand-in's answer; the stand-in starts anew for each group.

    `models` are further arguments by group, where another model was recorded.
    """
    for (group, flags), members in groupby(records, key=lambda one: (one.group, one.flags)):
        asked = list(members)
        model = (models or {}).get(group, ())
        with served([*command, *model, *flags], asked[0].environment, tls=asked[0].tls) as port:
            for one in asked:
                yield one, ask(port, one)


def compared(one: Recorded, got: Exchange) -> list[str]:
    """Return the places where an answer is not the recorded one; of what a model says the kinds alone are compared."""
    exact = not one.varies and "echo" in one.flags
    real = _view(one.answer["status"], one.answer["headers"], one.answer["body"])
    here = _view(got.status or 0, dict(got.headers), got.text)
    if one.varies:
        real, here = {"status": real["status"]}, {"status": here["status"]}
    if not exact or not one.whole:
        real, here = _shape(real, whole=one.whole), _shape(here, whole=one.whole)
    return [
        f"{place}: {real.get(place, _ABSENT)!r:.80}, here {here.get(place, _ABSENT)!r:.80}"
        for place in {**real, **here}
        if not _NOT_COMPARED.search(place) and real.get(place, _ABSENT) != here.get(place, _ABSENT)
    ]


def told_otherwise(one: Recorded, got: Exchange) -> str:
    """Return the message of a refusal with the recorded one, where they differ; empty where they do not."""
    real, here = _message(one.answer["body"]), _message(got.text)
    if one.answer["status"] < 400 or one.varies or not one.whole or real is None or real == here:
        return ""
    return f"{real!r:.160}, here {here!r:.160}"


def _message(body: str) -> str | None:
    """Return the message of an error; None where the body has none."""
    told = _json(body)
    error = told.get("error") if isinstance(told, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else None


def _shape(view: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """The places of what is there, of all frames and items together, with the kinds of their values."""
    found: dict[str, Any] = {}
    kinds: dict[str, set[str]] = {}
    for place, value in view.items():
        if place == "status" or place.startswith("header"):
            found[place] = value
        elif whole and place != "frames":
            kinds.setdefault(re.sub(r"frame \d+|\[\d+\]", "", place), set()).add(_kind(value))
    # An empty list says nothing of the kind of its items.
    return found | {place: " or ".join(sorted(each - {_EMPTY} or each)) for place, each in kinds.items()}


def _kind(value: Any) -> str:
    if value in ([], {}):
        return _EMPTY
    if isinstance(value, bool):
        return "boolean"
    return "null" if value is None else "text" if isinstance(value, str) else "number"


def _view(status: int, headers: Mapping[str, str], body: str) -> dict[str, Any]:
    found: dict[str, Any] = {"status": status}
    found |= {
        f"header {name}": "there" if _CHANGING_HEADERS.search(name) else value
        for name, value in headers.items()
        if name not in _OWN_HEADERS
    }
    kind = headers.get("content-type", "")
    if "event-stream" in kind:
        frames = [frame for frame in body.split("\n\n") if frame.strip()]
        found["frames"] = len(frames)
        for number, frame in enumerate(frames):
            for line in frame.splitlines():
                field, _, value = line.partition(":")
                found |= _leaves(_json(value), f"frame {number} {field}")
    elif "# TYPE" in body:
        found |= {line.rpartition(" ")[0]: True for line in body.splitlines() if not line.startswith("# HELP")}
    else:
        found |= _leaves(_json(body), "body")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _leaves(value: Any, place: str) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {at: leaf for key, one in value.items() for at, leaf in _leaves(one, f"{place}.{key}").items()}
    if isinstance(value, list) and value:
        return {at: leaf for key, one in enumerate(value) for at, leaf in _leaves(one, f"{place}[{key}]").items()}
    if isinstance(value, str) and _ID.search(value):
        return {place: "an id"}
    return {place: value}


@contextmanager
def served(command: Sequence[str], environment: Mapping[str, str], *, tls: bool = False) -> Iterator[int]:
    """Start the stand-in for a while, in a folder with a model where its command names MODEL; give its port.

    Without `{port}` in the command it takes a free one by itself, and tells it.

    Raises:
        ValueError: It does not start; with its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        if "-m" in command:
            create_tiny_safetensors(Path(folder) / "MODEL" / "model.safetensors")
        words = [word.replace("{port}", str(free_port())) for word in command]
        words += [] if "{port}" in command else ["--port", "0"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "InferenceLibrary.simulator", *words],
                stdout=subprocess.PIPE, stderr=out, env={**os.environ, **environment}, cwd=folder,
            )  # fmt: skip
        try:
            assert process.stdout is not None
            lines = (line.decode() for line in process.stdout)
            found = next(filter(None, (re.search(r"http\S*:(\d+)\s*$", line) for line in lines)), None)
            if found is None:
                process.wait(5)
                raise ValueError(f"{' '.join(command)} does not start: {log.read_text()[-300:].strip()}")
            # What nobody reads fills the pipe, and then the server waits with its next line, and its answer.
            reader = Thread(target=deque, args=(lines, 0))
            reader.start()
            try:
                yield int(found[1])
            finally:
                process.terminate()
                reader.join(10)
        finally:
            process.terminate()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


def ask(port: int, one: Recorded) -> Exchange:
    """Ask what was asked then, on a connection of its own; without an answer the status is None."""
    length = {"content-length": str(len(one.body))} if one.has_body else {}
    lines = {"host": f"127.0.0.1:{port}", "connection": "close", **length}
    for name, value in {**one.headers, **one.request.get("headers", {})}.items():
        lines.pop(name.lower(), None)
        lines |= {} if value is None else {name.lower(): value}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    raw = b""
    with suppress(ConnectionError), _line(port, tls=one.tls) as line:
        line.sendall(f"{one.request['method']} {one.request['path']} HTTP/1.1\r\n{head}\r\n".encode() + one.body)
        while piece := line.recv(65536):
            raw += piece
    if not raw:
        return Exchange(one.exchange().request, None)
    top, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in rest))
    if dict(headers).get("transfer-encoding") == "chunked":
        body = _joined(body)
    held = frozenset({Held.REQUEST, Held.HEADERS})
    return Exchange(one.exchange().request, int(first.split()[1]), headers, body, held=held)


def _line(port: int, *, tls: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=15)
    if not tls:
        return plain
    context = ssl.create_default_context()
    # It made its certificate itself.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def _joined(body: bytes) -> bytes:
    """Return the content of chunks."""
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole
