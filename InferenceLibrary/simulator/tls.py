"""HTTPS for the simulator: from files, or with a certificate made on the spot."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.settings import StartError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings

_SECONDS = 30


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return a context with the certificate that the settings name, or a self-signed one.

    A named certificate that is renewed on the disk is served from the next connection on; while the new one cannot be
    used, the old one is, and stderr says why.

    Raises:
        StartError: The certificate cannot be read or made.
    """
    if settings.ssl_certfile:
        return _renewing(settings.ssl_certfile, settings.ssl_keyfile or None)
    program = shutil.which("openssl")
    if program is None:
        raise StartError("--self-signed-certs needs the program openssl; or give --ssl-certfile and --ssl-keyfile")
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        command += [
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            raise StartError(f"openssl could not make a certificate: {error}") from None
        return _load(str(certificate), str(key))


def _renewing(certificate: str, key: str | None) -> ssl.SSLContext:
    files = [Path(certificate), Path(key or certificate)]
    current = entrance = _load(certificate, key)
    seen = _state_of(files)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal current, seen
        found = _state_of(files)
        if found != seen:
            seen = found
            try:
                current = _load(certificate, key)
            except StartError as error:
                sys.stderr.write(f"inference-simulator: serves the old certificate: {error}\n")
                sys.stderr.flush()
        connection.context = current

    # The contexts of later certificates stand behind this one, which each handshake asks.
    entrance.sni_callback = choose
    return entrance


def _state_of(files: list[Path]) -> list[tuple[int, int, int] | None]:
    """Return what changes when one of the files is written anew; None for one that cannot be read."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return found


def _load(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"cannot use the certificate '{certificate}': {error}") from None
    return context
