"""Profiles: how a kind of server is started, asked if it is ready, spoken to and stopped. YAML, strictly validated."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.typed_yaml import parse_yaml

SHIPPED = Path(__file__).parent / "profiles"
"""Where the profiles lie that come with the library."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a profile."""


class Option(_Part, frozen=True):
    """An option that `Start Server` takes for this kind of server."""

    help: str = ""
    type: Literal["text", "integer", "number", "duration", "switch", "list", "path", "model-file", "program"] = "text"
    """`switch` adds the flag alone, `list` repeats it; `model-file` is looked up below `TEST_MODEL_PATH`, `program`
    beside the running Python and on the PATH."""
    flag: str | None = None
    """How it is put on the command line; without one it only fills its `{placeholder}`."""
    format: str = "{value}"
    """How the value is written: `{value}`; for durations also `{milliseconds}`."""
    default: str | int | float | bool | list[str] | None = None
    environment: str | None = None
    """Variable that is read when the option is not given."""
    required: bool = False
    hint: str = ""
    """What to do when it is missing or cannot be found."""


class Start(_Part, frozen=True):
    """How the process is started."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    """Arguments with placeholders: `{port}`, `{host}`, `{model}`, `{python}` and every option by name."""
    environment: dict[str, str] = {}
    """Variables set for the process."""
    announcement: str | None = None
    """Pattern of the line that tells where the server listens; its group `url` or `port` is read and port 0 is passed.
    Without one, a free port is chosen and passed."""
    options: dict[str, Option] = {}


class Health(_Part, frozen=True):
    """The request that tells whether the server is up."""

    path: str = "/health"
    statuses: list[int] = msgspec.field(default_factory=lambda: [200])


class Ready(_Part, frozen=True):
    """When the server counts as ready."""

    health: Health | None = Health()
    """None: no health route; listening is enough."""
    first_token: Literal["chat", "completion", "none"] = "chat"
    """The generation that must give a token before the server counts as ready; servers that list a model or answer
    health checks may still be minutes away from it."""
    timeout: str = "60s"


class Stop(_Part, frozen=True):
    """How the process is ended: TERM, then KILL for the whole process group."""

    grace: str = "10s"
    """How long TERM may take."""


class Probe(_Part, frozen=True):
    """One way to run the program that must succeed, and what it prints where."""

    arguments: list[str]
    stream: Literal["stdout", "stderr"] = "stdout"
    pattern: str = "."


class BadArgument(_Part, frozen=True):
    """What the program does with arguments that it does not know."""

    exit_codes: list[int] = msgspec.field(default_factory=lambda: [1, 2])
    stream: Literal["stdout", "stderr"] = "stderr"


class Binary(_Part, frozen=True):
    """How the program behaves on a command line."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    version: Probe | None = None
    help: Probe | None = None
    bad_argument: BadArgument = BadArgument()


class Terminal(_Part, frozen=True):
    """How the program is used as a chat in a terminal."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    prompt: str
    """Pattern of the line at which it waits for input."""
    answer_end: str | None = None
    """Pattern of the text that closes an answer (a line of statistics); None: the next prompt does."""
    quit_command: str = "/exit"
    quit_keys: tuple[str, ...] = ("Ctrl+D",)
    """Keys that leave at the prompt."""
    interrupt_keys: tuple[str, ...] = ("Ctrl+C",)
    """Keys that stop an answer."""
    continuation: str | None = None
    """What is typed before Enter to go on on the next line; None: a question has one line."""
    options: dict[str, Option] = {}


class Hint(_Part, frozen=True):
    """A cause that is known by the words in the log."""

    pattern: str
    hint: str


class Profile(_Part, frozen=True):
    """A kind of server."""

    title: str
    homepage: str = ""
    model: str | None = None
    """Model to ask for; None: the first of the model list."""
    start: Start | None = None
    """None: it cannot be started, only connected to."""
    ready: Ready = Ready()
    stop: Stop = Stop()
    binary: Binary | None = None
    terminal: Terminal | None = None
    lacks: dict[str, str] = {}
    """Feature to reason: what `Skip Unless Server Supports` skips."""
    hints: list[Hint] = []
    name: str = ""
    """How messages call it; the file's name without suffix by default."""


def profile_names() -> list[str]:
    """Return the names of the profiles that come with the library."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_profile(name_or_path: str) -> Profile:
    """Read and validate a profile.

    Args:
        name_or_path: A shipped profile's name (`simulator`) or the path of a YAML file.

    Raises:
        ProfileError: There is none of that name, or it is malformed; the message gives file, line and key.
    """
    path = SHIPPED / f"{name_or_path}.yaml"
    if name_or_path not in profile_names():
        path = Path(name_or_path)
        if not path.is_file():
            close = difflib.get_close_matches(name_or_path, profile_names(), n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise ProfileError(
                f"No profile '{name_or_path}': expected the path of a YAML file or one of "
                f"{', '.join(profile_names())}.{meant} Hint: rfinference profiles lists them."
            )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"Profile {path} cannot be read: {error}.") from None
    profile = parse_yaml(text, str(path), Profile)
    _check(profile, str(path))
    return msgspec.structs.replace(profile, name=profile.name or path.stem)


def _check(profile: Profile, source: str) -> None:
    """Refuse what the types cannot: durations, paths, patterns, formats, and placeholders that nothing fills."""
    _check_readiness(profile, source)
    patterns = [(f"hints[{index}].pattern", hint.pattern) for index, hint in enumerate(profile.hints)]
    commands: list[tuple[str, list[str], dict[str, Option]]] = []
    options: dict[str, Option] = {}
    if profile.start is not None:
        options = profile.start.options
        commands.append(("start.command", profile.start.command, options))
        if profile.start.announcement is not None:
            patterns.append(("start.announcement", profile.start.announcement))
    if profile.terminal is not None:
        commands.append(("terminal.command", profile.terminal.command, options | profile.terminal.options))
        patterns.append(("terminal.prompt", profile.terminal.prompt))
        patterns.append(("terminal.answer_end", profile.terminal.answer_end or ""))
    if profile.binary is not None:
        commands.append(("binary.command", profile.binary.command, options))
        probes = (("version", profile.binary.version), ("help", profile.binary.help))
        patterns += [(f"binary.{name}.pattern", probe.pattern) for name, probe in probes if probe is not None]
    for key, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ProfileError(f"{source}: key '{key}': not a regular expression: {error}.") from None
    if profile.start is not None and profile.start.announcement is not None:
        _check_announcement(profile.start.announcement, source)
    for key, command, known in commands:
        _check_formats(known, key.partition(".")[0], source)
        allowed = {"port", "host", "model", "python", *known}
        for name in re.findall(r"\{(\w+)\}", " ".join(command)):
            if name not in allowed:
                raise ProfileError(
                    f"{source}: key '{key}': nothing fills the placeholder '{{{name}}}'. "
                    f"Allowed: {', '.join(sorted(allowed))}."
                )


def _check_readiness(profile: Profile, source: str) -> None:
    for key, value in (("ready.timeout", profile.ready.timeout), ("stop.grace", profile.stop.grace)):
        try:
            parse_duration(value)
        except ValueError as error:
            raise ProfileError(f"{source}: key '{key}': {error}.") from None
    if profile.ready.health is not None and not profile.ready.health.path.startswith("/"):
        path = profile.ready.health.path
        raise ProfileError(f"{source}: key 'ready.health.path': expected a path such as /health, got '{path}'.")


def _check_announcement(pattern: str, source: str) -> None:
    if not {"url", "port"} & set(re.compile(pattern).groupindex):
        raise ProfileError(
            f"{source}: key 'start.announcement': expected a group that holds the address, (?P<url>...) or "
            f"(?P<port>...), got '{pattern}'."
        )


def _check_formats(options: dict[str, Option], section: str, source: str) -> None:
    """Refuse a format that could not be written."""
    for name, option in options.items():
        values = {"value": ""} | ({"milliseconds": "", "seconds": ""} if option.type == "duration" else {})
        try:
            option.format.format(**values)
        except (ValueError, LookupError, AttributeError):
            allowed = ", ".join(f"{{{value}}}" for value in values)
            raise ProfileError(
                f"{source}: key '{section}.options.{name}.format': expected text with one of {allowed}, "
                f"got '{option.format}'."
            ) from None
