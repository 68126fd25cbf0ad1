"""Files and servers that a request names: what llama.cpp's server would read, and what it refuses to."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

_METADATA = {"metadata.google.internal", "metadata.goog"}
"""Hosts at which clouds tell machines their secrets."""
_FAILED = "failed"


def check_media(api: str, data: dict[str, Any], folder: str) -> None:
    """Refuse pictures that cannot be read.

    Args:
        api: Which API is asked.
        data: The request.
        folder: That of `--media-path`, below which files may be named; empty: none may.

    Raises:
        Refusal: A file is not allowed or not there, or the data are not base64.
    """
    messages = data.get("messages") if api == "chat" else None
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else []:
            holder = part.get("image_url") if isinstance(part, dict) else None
            if isinstance(holder, dict):
                _check_picture(str(holder.get("url", "")), folder)


def _check_picture(url: str, folder: str) -> None:
    if url.startswith("data:"):
        try:
            base64.b64decode(url.partition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            raise Refusal("range", "Invalid url value") from None
        return
    if not url.startswith("file://"):
        raise Refusal("range", "Failed to download image: the stand-in asks no other server")
    if not folder:
        raise Refusal("range", "file:// URLs are not allowed unless --media-path is specified")
    root = Path(folder).resolve()
    path = (root / url.removeprefix("file://").lstrip("/")).resolve()
    if not path.is_relative_to(root):
        raise Refusal("range", "file path is not allowed")
    if not path.is_file():
        raise Refusal("range", f"file does not exist or cannot be opened: {path.name}")


def check_target(query: str) -> None:
    """Refuse to pass a request on to a server of the own network, or to what is not an address.

    Raises:
        Refusal: The address is malformed, has a user, or is private.
    """
    url = parse_qs(query, keep_blank_values=True).get("url", [""])[0]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refusal("range", f"invalid url: {error}") from None
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme not in {"http", "https"} or not host or port == 0 or "@" in parts.netloc or not parts.path:
        raise Refusal("range", "invalid url: it must be http://host/path, without a user")
    if host in _METADATA or host == "localhost" or _is_private(host):
        raise Refusal("range", f"the host {host} is not allowed")


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global
