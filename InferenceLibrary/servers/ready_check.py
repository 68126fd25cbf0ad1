"""A check of readiness of a user's own, as a profile or an argument describes it."""

from __future__ import annotations

import re

import msgspec

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.typed_yaml import DURATION


class ReadyCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A check of one's own: one of `command`, `tcp`, `grpc`, `file`, `python`. The placeholders `{host}`, `{port}`,
    `{base_url}`, `{model}`, `{pid}` and `{python}` are filled."""

    command: list[str] | None = None
    """Program and arguments; it must end with 0."""
    tcp: int | str | None = None
    """Port, or `host:port`, that must accept a connection."""
    grpc: int | str | None = None
    """Port, or `host:port`, where the health service of gRPC must say SERVING. Needs the extra `grpc`."""
    service: str = ""
    """Service that gRPC is asked about; the whole server by default."""
    file: str | None = None
    """Path that must exist."""
    python: str | None = None
    """`module:function`. It is called with the facts of the server (`base_url`, `host`, `port`, `model`, `pid`,
    `log_path`) and returns True, or False or a text that says what is missing."""
    timeout: DURATION = "5s"
    """How long the check may take each time."""


READY_CHECKS = ("command", "tcp", "grpc", "file", "python")
"""The kinds of checks."""
_CHECK_VALUES = {"host", "port", "base_url", "model", "pid", "python"}


def ready_check_problem(check: ReadyCheck) -> str | None:
    """Return what is wrong with a check, beyond what its types say."""
    given = [kind for kind in READY_CHECKS if getattr(check, kind) is not None]
    if len(given) != 1:
        return f"expected one of {', '.join(READY_CHECKS)}, got {' and '.join(given) or 'none of them'}"
    if check.command == []:
        return "expected a program and its arguments, got an empty list"
    if check.file == "":
        return "expected the path of a file, got an empty text"
    if check.python is not None and not re.fullmatch(r"[\w.]+:\w+", check.python):
        return f"expected module:function, got '{check.python}'"
    if check.service and check.grpc is None:
        return "'service' belongs to grpc"
    texts = [str(text) for text in (check.tcp, check.grpc, check.file, *(check.command or [])) if text is not None]
    for address in (check.tcp, check.grpc):
        if address is not None and not re.fullmatch(r"(.+:)?(\d{1,5}|\{port\})", str(address)):
            return f"expected a port, or host:port, got '{address}'"
        port = str(address).rpartition(":")[2]
        if port.isdigit() and not 0 < int(port) < 1 << 16:
            return f"expected a port of 1 to 65535, got '{address}'"
    for name in re.findall(r"\{(\w+)\}", " ".join(texts)):
        if name not in _CHECK_VALUES:
            return f"nothing fills the placeholder '{{{name}}}': allowed are {', '.join(sorted(_CHECK_VALUES))}"
    try:
        parse_duration(check.timeout)
    except ValueError as error:
        return str(error).rstrip(".")
    return None
