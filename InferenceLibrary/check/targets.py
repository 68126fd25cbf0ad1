"""What is checked: a URL that is connected to, or a profile whose server is started for the time of the check."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.errors import TargetError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import Profile, load_profile
from InferenceLibrary.servers.server import Server, connect
from InferenceLibrary.servers.starting import StartSettings, start

PLAIN = "openai"
"""The profile of a server of which nothing is known."""


class CheckTarget(NamedTuple):
    """A target as it is asked for."""

    name: str
    """A URL, the name of a profile, or the path of one."""
    model: str | None = None
    api_key: str | None = None
    dialect: str | None = None
    """The profile whose known deviations are waived; that of the target itself by default."""
    options: Mapping[str, str] = {}
    timeout: float = 60.0
    """Seconds for one call."""

    @property
    def is_url(self) -> bool:
        return self.name.startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """Its name without a password."""
        if not self.is_url:
            return Path(self.name).stem if self.name.endswith((".yaml", ".yml")) else self.name
        return self.name.partition("://")[0] + "://" + urlsplit(self.name).netloc.rpartition("@")[2]


class Opened(NamedTuple):
    """A target that can be called."""

    server: Server
    dialect: Profile
    """Its waivers hold."""
    dialect_name: str
    """Empty where nothing is known of the server."""


@contextmanager
def opened(wanted: CheckTarget, redact: Redactor, report: Callable[[str], None]) -> Iterator[Opened]:
    """Start or connect to a target; a server that was started is stopped at the end.

    Raises:
        TargetError: It is neither a URL nor a profile that can be started.
        ProfileError: The profile, or the dialect, does not exist.
        ServerError: It does not start.
    """
    if wanted.is_url:
        dialect = load_profile(wanted.dialect or PLAIN)
        server = connect(
            wanted.name,
            dialect,
            name=wanted.shown,
            model=wanted.model,
            api_key=wanted.api_key,
            limits=Limits(total=wanted.timeout),
            redact=redact,
        )
        yield Opened(server, dialect, wanted.dialect or "")
        return
    profile = load_profile(wanted.name)
    dialect = load_profile(wanted.dialect) if wanted.dialect else profile
    if profile.start is None:
        raise TargetError(
            describe(
                f"'{wanted.name}' is not started, but connected to",
                expected="its URL",
                hint=f"rfinference check http://host:port --dialect {wanted.name}",
            )
        )
    with tempfile.TemporaryDirectory(prefix="rfinference-") as folder:
        server = start(
            profile,
            StartSettings(
                options=wanted.options,
                model=wanted.model,
                api_key=wanted.api_key,
                limits=Limits(total=wanted.timeout),
                also_allowed=("model",),
            ),
            name=profile.name,
            new_log=lambda: Path(folder) / f"{profile.name}.log",
            redact=redact,
            report=report,
        )
        try:
            yield Opened(server, dialect, dialect.name)
        finally:
            server.stop()
