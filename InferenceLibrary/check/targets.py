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
from InferenceLibrary.protocol.rules.rule import Reference
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server, connect
from InferenceLibrary.servers.starting import StartSettings, start
from InferenceLibrary.servers.versions import known_of

PLAIN = "openai"
"""The profile of a server of which nothing is known."""


class CheckTarget(NamedTuple):
    """A target as it is asked for."""

    name: str
    """A URL, the name of a profile, or the path of one."""
    model: str | None = None
    api_key: str | None = None
    dialect: str | None = None
    """The dialect whose deviations are waived: a name, with a version or without, or a path; that of the target's
    profile by default."""
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

    @property
    def receiver(self) -> str:
        """Who gets its key: the host of a URL with its port, or the profile whose server is started."""
        return urlsplit(self.name).netloc.rpartition("@")[2].lower() if self.is_url else self.name


class Opened(NamedTuple):
    """A target that can be called."""

    server: Server
    reference: Reference
    """The text that decides where two differ."""
    dialect: str = ""
    """How its dialect is called; empty where nothing is known of the server."""
    waivers: tuple[Waiver, ...] = ()
    lacks: Mapping[str, str] = {}
    """What it does not offer, as its profile or dialect says."""
    notices: tuple[str, ...] = ()
    """What is to be told of the choice of the dialect."""


@contextmanager
def opened(wanted: CheckTarget, redact: Redactor, report: Callable[[str], None]) -> Iterator[Opened]:
    """Start or connect to a target; a server that was started is stopped at the end.

    Raises:
        TargetError: It is neither a URL nor a profile that can be started or tells a URL.
        ProfileError: The profile, or the dialect, does not exist.
        ServerError: It does not start.
    """
    profile = load_profile(PLAIN if wanted.is_url else wanted.name, wanted.dialect)
    url = wanted.name if wanted.is_url else profile.url if profile.start is None else None
    if url is not None:
        server = connect(
            url,
            profile,
            name=wanted.shown,
            model=wanted.model,
            api_key=wanted.api_key,
            limits=Limits(total=wanted.timeout),
            redact=redact,
        )
        yield _known(server)
        return
    if profile.start is None:
        raise TargetError(
            describe(
                f"'{wanted.name}' is not started, but connected to",
                expected="its URL, or a line `url:` in the profile",
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
            yield _known(server)
        finally:
            server.stop()


def _known(server: Server) -> Opened:
    """Return the target with what is known of it, by its profile and its dialect."""
    profile, chosen = known = known_of(server.client, server.profile, ask=True)
    ended = profile.ended_waivers
    if chosen is None:
        own = profile.name if profile.waives else ""
        return Opened(server, profile.reference, own, known.waivers, profile.lacks, _told(ended))
    notices = ((chosen.notice,) if chosen.notice else ()) + _told(ended + chosen.ended)
    name = f"{chosen.dialect.name} {chosen.dialect.version}"
    return Opened(server, chosen.dialect.reference, name, known.waivers, profile.lacks, notices)


def _told(ended: tuple[Waiver, ...]) -> tuple[str, ...]:
    return tuple(f"waiver past its date, {one.until}, and no longer applied: {one}" for one in ended)
