"""HTTPS for the simulator: from files, or with a certificate made on the spot."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.settings import StartError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings

_SECONDS = 30


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return a context with the certificate that the settings name, or a self-signed one.

    Raises:
        StartError: The certificate cannot be read or made.
    """
    if settings.ssl_certfile:
        return _load(settings.ssl_certfile, settings.ssl_keyfile or None)
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


def _load(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"cannot use the certificate '{certificate}': {error}") from None
    return context
