"""What keyword classes need to take arguments: secrets unwrapped, profiles and their commands found."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from robot.api.types import Secret

from InferenceLibrary.context import Context
from InferenceLibrary.errors import ProfileError, TargetError, describe
from InferenceLibrary.programs.result import RunResult
from InferenceLibrary.redaction import PLACEHOLDER, PLACEHOLDER_HINT
from InferenceLibrary.terminal.answer import TerminalAnswer
from InferenceLibrary.types import ReadyChecks, ReadyStage, shown_kind

if TYPE_CHECKING:
    from InferenceLibrary.servers.profile import Profile
    from InferenceLibrary.servers.sections import Option
    from InferenceLibrary.servers.server import Server

_SHOWN = 60


def plain(context: Context, value: Any) -> str:
    """Return an argument as text. The value of a Secret is masked from now on wherever the library writes.

    Raises:
        TargetError: Robot Framework put `<secret>` where a secret should stand.
    """
    return str(revealed(context, value))


def plain_mapping(context: Context, values: dict[str, Any] | None) -> dict[str, str]:
    """Return a mapping of arguments as texts. As `plain` else."""
    return {str(name): plain(context, value) for name, value in (values or {}).items()}


def revealed(context: Context, value: Any) -> Any:
    """Return an argument with the values of the secrets in it, at any depth; they are masked from now on.

    Raises:
        TargetError: Robot Framework put `<secret>` where a secret should stand.
    """
    if isinstance(value, Secret):
        context.redactor.add(value.value)
        return value.value
    if isinstance(value, str):
        refuse_embedded(value)
        return value
    if isinstance(value, Mapping):
        shown = {name: revealed(context, item) for name, item in value.items()}
        return value if all(shown[name] is item for name, item in value.items()) else shown
    if isinstance(value, list | tuple):
        items = [revealed(context, item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def ready_when(context: Context, wait_for: ReadyStage, checks: ReadyChecks) -> dict[str, Any]:
    """Return the settings of a start that say when the server is ready.

    Raises:
        ValueError: A check is not one, or would never be asked.
        TargetError: Robot Framework put `<secret>` where a secret should stand.
    """
    from InferenceLibrary.servers.checks import checks_of

    found = checks_of(revealed(context, list(checks)))
    if found and wait_for in {"healthy", "model listed"}:
        raise ValueError(
            f"Expected wait_for=checks passed or first token where checks= is given, got '{wait_for}', after which no "
            "check is asked."
        )
    return {"wait_for": None if wait_for == "profile" else wait_for, "checks": found}


def refuse_embedded(*values: Any) -> None:
    """Refuse texts, at any depth of lists and mappings, in which a secret was to stand.

    Raises:
        TargetError: Robot Framework put `<secret>` where a secret should stand.
    """
    waiting, seen = list(values), set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if PLACEHOLDER in value:
                raise TargetError(
                    describe(
                        f"An argument holds the text {PLACEHOLDER}",
                        expected="the secret itself",
                        got=repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…"),
                        hint=PLACEHOLDER_HINT,
                    )
                )
        elif isinstance(value, Mapping | list | tuple | set) and id(value) not in seen:
            # A list may hold itself.
            seen.add(id(value))
            waiting += [*value, *value.values()] if isinstance(value, Mapping) else value


def prompt_of(prompt: str | list[str] | None, tokens: list[int] | None) -> str | list[str] | list[int]:
    """Return what a completion continues: a text, several where they are given as a list or as JSON of one, or tokens.

    Raises:
        ValueError: There is neither a text nor tokens, or both.
    """
    if (prompt is None) is (tokens is None):
        raise ValueError(
            f"Expected either a text or tokens= to continue, got {'neither' if prompt is None else 'both'}."
        )
    if tokens is not None:
        return tokens
    assert prompt is not None
    if isinstance(prompt, str) and prompt.lstrip().startswith("["):
        # Templates of chats begin so too: `[INST]`.
        try:
            read = json.loads(prompt)
        except (ValueError, RecursionError):
            return prompt
        if isinstance(read, list) and read and all(isinstance(item, str) for item in read):
            return read
    return prompt


def profile_or_current(context: Context, name: str | None) -> Profile:
    """Return the profile of that name or file; without a name, that of the current server.

    Raises:
        ProfileError: There is none of that name, or it is malformed.
        TargetError: No name is given and no server is open.
    """
    if name is not None:
        from InferenceLibrary.servers.profile import load_profile

        return load_profile(name)
    return context.servers.get().profile


def command_of(
    context: Context, profile: Profile, section: str, options: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Return the command line of a profile's `program` or `terminal` section, with its placeholders filled.

    The current server's own model, address and start options fill them where it is of this profile, unless `options`
    says otherwise.

    Raises:
        ProfileError: An option is unknown, missing or of the wrong type.
        ServerError: A program or file that an option names cannot be found.
        TargetError: The profile has no such section.
    """
    import msgspec

    from InferenceLibrary.servers.command import build_command

    part = getattr(profile, section)
    if part is None:
        reason = profile.lacks.get(section, f"its profile has no section '{section}'")
        raise TargetError(f"The {section} of '{profile.name}' cannot be used: {reason}. Hint: name the program itself.")
    known: dict[str, Option] = {
        name: msgspec.structs.replace(option, flag=None, required=False)
        for name, option in (profile.start.options if profile.start else {}).items()
    }
    known |= getattr(part, "options", {})
    given = dict(options or {})
    _refuse_without_effect(profile, section, given)
    started = _current(context, profile)
    if started is not None and started.asked is not None:
        given = {name: value for name, value in started.asked.options.items() if name in known} | given
    placeholders = placeholders_of(context, profile)
    alternatives = profile.start.alternatives if profile.start else ()
    return tuple(
        build_command(
            part.command,
            known,
            given,
            source=profile.name,
            placeholders=placeholders,
            alternatives=alternatives,
        )
    )


def placeholders_of(context: Context, profile: Profile) -> dict[str, str]:
    """Return what fills `{model}`, `{host}` and `{port}`: the current server's own where it is of this profile."""
    found = {"model": profile.model or "", "host": "127.0.0.1", "port": "0"}
    current = _current(context, profile)
    if current is not None:
        address = urlsplit(current.base_url)
        found |= {"host": address.hostname or "127.0.0.1", "port": str(address.port or 80)}
        found["model"] = current.model or found["model"]
    return found


def _current(context: Context, profile: Profile) -> Server | None:
    current = context.servers.get() if len(context.servers) else None
    return current if current is not None and current.profile.name == profile.name else None


def _refuse_without_effect(profile: Profile, section: str, given: Mapping[str, Any]) -> None:
    """An option of the server's start that the section's command does not use would be taken and do nothing."""
    part = getattr(profile, section)
    allowed = [*getattr(part, "options", {}), *re.findall(r"\{(\w+)\}", " ".join(part.command))]
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            raise ProfileError(
                f"The {section} of profile '{profile.name}' has no option '{name}': "
                f"expected one of {', '.join(sorted(set(allowed))) or 'none'}."
                + (f" Did you mean '{close[0]}'?" if close else "")
            )


def refuse_run_result(value: object) -> RunResult:
    """The result of a program that was run.

    Its attributes, told on the page on what keywords return (docs/objects.md): `command`, `exit_code`, `signal`,
    `stdout`, `stderr`, `elapsed`, `peak_memory`, `left_behind`, `ending`.
    """
    raise ValueError(f"Expected a result of Run Program, got {shown_kind(value)}.")


def refuse_terminal_answer(value: object) -> TerminalAnswer:
    """An answer on the screen of a terminal.

    Its attributes, told on the page on what keywords return (docs/objects.md): `question`, `text`,
    `time_to_first_token`, `elapsed`, `statistics`, `interrupted`, `screen`.
    """
    raise ValueError(f"Expected an answer of Ask In Terminal, got {shown_kind(value)}.")


CONVERTERS: dict[type, Any] = {RunResult: refuse_run_result, TerminalAnswer: refuse_terminal_answer}
"""What program and terminal keywords take besides the common types; the library registers it at Robot Framework."""
