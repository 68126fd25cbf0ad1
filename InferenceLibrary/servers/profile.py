"""Profiles: how a kind of server is started, asked if it is ready, spoken to and stopped. YAML, strictly validated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from InferenceLibrary.dialects.dialect import WaivedRule, check_capabilities, check_waived
from InferenceLibrary.dialects.files import is_file, load_dialect, pair_of
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.rules.rule import Reference
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.servers.command import literal
from InferenceLibrary.servers.ready_check import ready_check_problem
from InferenceLibrary.servers.sections import (
    Hint,
    MetricsSection,
    ModelRoutes,
    Option,
    ProfilePart,
    ProgramSection,
    Ready,
    Start,
    Stop,
    TerminalSection,
)
from InferenceLibrary.sizes import parse_bytes
from InferenceLibrary.typed_yaml import locator, parse_yaml

Place = Callable[[str], str]
"""Tells where a key stands, for errors: file, line and key."""

SHIPPED = Path(__file__).parent / "profiles"
"""Where the profiles lie that come with the library."""


class Profile(ProfilePart, frozen=True):
    """A kind of server."""

    filled_in: ClassVar[tuple[str, ...]] = ("file",)  # Keys that no file holds: set when it is read.
    title: str
    homepage: str = ""
    model: str | None = None
    """Model to ask for; None: the first of the model list."""
    url: str | None = None
    """Where it runs already, for a profile without `start` that is given as the target."""
    start: Start | None = None
    """None: it cannot be started, only connected to."""
    ready: Ready = Ready()
    stop: Stop = Stop()
    program: ProgramSection | None = None
    terminal: TerminalSection | None = None
    metrics: MetricsSection | None = None
    model_routes: ModelRoutes = ModelRoutes()
    reference: Reference = Reference.OPENAI
    """The text that decides where two references differ: `openai`, `open-responses` or `anthropic`."""
    dialect: str | None = None
    """The dialect of the server, whose deviations are waived and whose capabilities hold: a name as in
    docs/dialects.md, with a version as in `vllm@0.32.0` or without, or the path of a file. None: it has none."""
    waives: list[WaivedRule] = msgspec.field(default_factory=list)
    """Further rules of the wire that are not held against it."""
    offers: list[str] = msgspec.field(default_factory=list)
    """Capabilities that it has and no request finds out."""
    lacks: dict[str, str] = msgspec.field(default_factory=dict)
    """Capability to reason: what `Skip Unless Server Supports` skips."""
    hints: list[Hint] = msgspec.field(default_factory=list)
    name: str = ""
    """How messages call it; the file's name without suffix by default."""
    file: str = ""  # The file that it stands in.

    @property
    def own_waivers(self) -> tuple[Waiver, ...]:
        """Its own waivers that have not ended."""
        return tuple(one for one in (waived.waiver() for waived in self.waives) if not one.has_ended(date.today()))

    @property
    def ended_waivers(self) -> tuple[Waiver, ...]:
        """Its own waivers that are past their date, and so held against it again."""
        return tuple(one for one in (waived.waiver() for waived in self.waives) if one.has_ended(date.today()))


def profile_names() -> list[str]:
    """Return the names of the profiles that come with the library."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_profile(name_or_path: str, dialect: str | None = None) -> Profile:
    """Read and validate a profile.

    Args:
        name_or_path: A shipped profile's name (`simulator`) or the path of a YAML file.
        dialect: The dialect in place of its own: a name, with a version or without, or a path.

    Raises:
        ProfileError: There is none of that name, or it is malformed; the message gives file, line and key.
    """
    path = SHIPPED / f"{name_or_path}.yaml"
    if name_or_path not in profile_names():
        path = Path(name_or_path)
        if not path.is_file():
            raise ProfileError(_no_profile(name_or_path))
    try:
        return _parsed(path, path.read_bytes().decode("utf-8"), dialect)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"Profile {path} cannot be read: {error}.") from None


@lru_cache(maxsize=64)
def _parsed(path: Path, text: str, dialect: str | None = None) -> Profile:
    """Parsing takes as long as all else that comes before the start of a server, and most runs use one profile."""
    profile = _in_its_folder(parse_yaml(text, str(path), Profile), str(path.parent.absolute()))
    _check(profile, locator(text, str(path)))
    profile = msgspec.structs.replace(profile, name=profile.name or path.stem, file=str(path.absolute()))
    if dialect is not None:
        return _with_dialect(msgspec.structs.replace(profile, dialect=dialect), Path())
    return _with_dialect(profile, path)


def _in_its_folder(profile: Profile, folder: str) -> Profile:
    """Return a profile whose commands have the file's folder for `{profile_dir}`: what they run may lie beside it."""

    # Braces in the folder's name are not placeholders.
    kept = literal(folder)

    def put(text: str) -> str:
        return text.replace("{profile_dir}", kept)

    parts: dict[str, Any] = {}
    for name, section in (("start", profile.start), ("program", profile.program), ("terminal", profile.terminal)):
        if section is not None:
            parts[name] = msgspec.structs.replace(section, command=[put(part) for part in section.command])
    for name, section in (("start", profile.start), ("terminal", profile.terminal)):
        if section is not None:
            variables = {variable: put(value) for variable, value in section.environment.items()}
            parts[name] = msgspec.structs.replace(parts[name], environment=variables)
    return msgspec.structs.replace(profile, **parts)


def _with_dialect(profile: Profile, path: Path) -> Profile:
    """Return a profile with the capabilities of its dialect, where it says nothing else of them."""
    if profile.dialect is None:
        return profile
    parts = filter(None, pair_of(profile.dialect, path.parent))
    name = "".join(str(path.parent / part) if is_file(str(path.parent / part)) else part for part in parts)
    dialect = load_dialect(name).dialect
    return msgspec.structs.replace(
        profile,
        dialect=name,
        offers=[*profile.offers, *(word for word in dialect.offers if word not in profile.lacks)],
        lacks={**{word: why for word, why in dialect.lacks.items() if word not in profile.offers}, **profile.lacks},
    )


def _no_profile(name_or_path: str) -> str:
    """Say what is missing: a file, a scheme, or a name."""
    if re.fullmatch(r"(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}(/.*)?", name_or_path, re.IGNORECASE):
        return f"'{name_or_path}' is not a profile. Hint: is it a server's address? Then write http://{name_or_path}"
    if Path(name_or_path).is_dir() or re.search(r"[/\\]|\.ya?ml$", name_or_path, re.IGNORECASE):
        kind = "it is a folder" if Path(name_or_path).is_dir() else "nothing at that path"
        return f"There is no profile file {Path(name_or_path).absolute()}: {kind}."
    close = difflib.get_close_matches(name_or_path, profile_names(), n=1, cutoff=0.7)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return (
        f"No profile '{name_or_path}': expected the path of a YAML file or one of "
        f"{', '.join(profile_names())}.{meant} Hint: rfinference profiles lists them."
    )


def _check(profile: Profile, place: Place) -> None:
    """Refuse what the types cannot: durations, paths, patterns, formats, and placeholders that nothing fills."""
    _check_readiness(profile, place)
    _check_model_routes(profile.model_routes, place)
    check_capabilities(profile.offers, profile.lacks, place)
    check_waived(profile.waives, "waives", place)
    patterns = [(f"hints[{index}].pattern", hint.pattern) for index, hint in enumerate(profile.hints)]
    commands: list[tuple[str, list[str], dict[str, Option]]] = []
    options: dict[str, Option] = {}
    if profile.start is not None:
        options = profile.start.options
        _check_alternatives(profile.start, place)
        commands.append(("start.command", profile.start.command, options))
        if profile.start.announcement is not None:
            patterns.append(("start.announcement", profile.start.announcement))
    if profile.terminal is not None:
        commands.append(("terminal.command", profile.terminal.command, options | profile.terminal.options))
        patterns.append(("terminal.prompt", profile.terminal.prompt))
        patterns.append(("terminal.answer_end", profile.terminal.answer_end or ""))
    if profile.program is not None:
        commands.append(("program.command", profile.program.command, options))
        probes = (("version", profile.program.version), ("help", profile.program.help))
        patterns += [(f"program.{name}.pattern", probe.pattern) for name, probe in probes if probe is not None]
    for key, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ProfileError(f"{place(key)}: not a regular expression: {error}.") from None
    if profile.start is not None and profile.start.announcement is not None:
        _check_announcement(profile.start.announcement, place)
    for key, command, known in commands:
        _check_formats(known, key.partition(".")[0], place)
        allowed = {"port", "host", "model", "python", *known}
        for index, part in enumerate(command):
            for name in re.findall(r"\{(\w+)\}", part):
                if name not in allowed:
                    close = difflib.get_close_matches(name, sorted(allowed), n=1)
                    meant = f" Did you mean {{{close[0]}}}?" if close else ""
                    raise ProfileError(
                        f"{place(f'{key}[{index}]')}: nothing fills the placeholder '{{{name}}}'. "
                        f"Allowed: {', '.join(sorted(allowed))}.{meant}"
                    )


def _check_alternatives(start: Start, place: Place) -> None:
    """Refuse groups of options that are not options, or of which one is always needed."""
    for index, group in enumerate(start.alternatives):
        for name in group:
            at = place(f"start.alternatives[{index}]")
            if name not in start.options:
                close = difflib.get_close_matches(name, start.options, n=1)
                meant = f" Did you mean '{close[0]}'?" if close else ""
                raise ProfileError(f"{at}: '{name}' is not one of the options of the start.{meant}")
            if start.options[name].required:
                raise ProfileError(f"{at}: the option '{name}' is required, so that no other can stand in its place.")


def _check_readiness(profile: Profile, place: Place) -> None:
    durations = [("ready.timeout", profile.ready.timeout), ("stop.grace", profile.stop.grace)]
    if profile.program is not None:
        durations.append(("program.timeout", profile.program.timeout))
    stages = msgspec.structs.asdict(profile.ready.budgets)
    durations += [(f"ready.budgets.{stage}", budget) for stage, budget in stages.items() if budget is not None]
    if profile.start is not None and profile.start.gpu is not None:
        durations.append(("start.gpu.wait", profile.start.gpu.wait))
        try:
            parse_bytes(profile.start.gpu.most_used)
        except ValueError as error:
            raise ProfileError(f"{place('start.gpu.most_used')}: {error}.") from None
    for key, value in durations:
        try:
            parse_duration(value)
        except ValueError as error:
            raise ProfileError(f"{place(key)}: {error}.") from None
    for number, check in enumerate(profile.ready.checks):
        problem = ready_check_problem(check)
        if problem is not None:
            raise ProfileError(f"{place(f'ready.checks[{number}]')}: {problem}.")
    health = None if profile.ready.health is None else profile.ready.health.path
    listing = profile.ready.model_list
    for key, path, example in (("model_list", listing, "/v1/models"), ("health.path", health, "/health")):
        if path is not None and not path.startswith("/"):
            raise ProfileError(f"{place(f'ready.{key}')}: expected a path such as {example}, got '{path}'.")


def _check_model_routes(routes: ModelRoutes, place: Place) -> None:
    for name, path in (("load", routes.load), ("unload", routes.unload)):
        others = set(re.findall(r"\{(.*?)\}", path)) - {"model"}
        if not path.startswith("/") or others or ("{model}" in path) == (routes.body_key is not None):
            raise ProfileError(
                f"{place(f'model_routes.{name}')}: expected a path that names the model as in "
                f"/v1/models/{{model}}/{name}, or one without it and a body_key, got '{path}'."
            )


def _check_announcement(pattern: str, place: Place) -> None:
    if not {"url", "port"} & set(re.compile(pattern).groupindex):
        raise ProfileError(
            f"{place('start.announcement')}: expected a group that holds the address, (?P<url>...) or "
            f"(?P<port>...), got '{pattern}'."
        )


def _check_formats(options: dict[str, Option], section: str, place: Place) -> None:
    """Refuse a format that could not be written."""
    for name, option in options.items():
        values = {"value": ""} | ({"milliseconds": "", "seconds": ""} if option.type == "duration" else {})
        try:
            option.format.format(**values)
        except (ValueError, LookupError, AttributeError):
            allowed = ", ".join(f"{{{value}}}" for value in values)
            raise ProfileError(
                f"{place(f'{section}.options.{name}.format')}: expected text with one of {allowed}, "
                f"got '{option.format}'."
            ) from None
