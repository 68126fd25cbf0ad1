"""Which key goes to which target: a key is never sent to a server that it was not given for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from InferenceLibrary.check.targets import CheckTarget
from InferenceLibrary.errors import TargetError, describe
from InferenceLibrary.redaction import Redactor

KEY_VARIABLE = "INFERENCE_API_KEY"
"""Holds the key where no other variable is named."""


def with_keys(
    targets: Sequence[CheckTarget], named: Sequence[str], environment: Mapping[str, str], redact: Redactor
) -> list[CheckTarget]:
    """Return the targets with their keys.

    Args:
        targets: What is checked.
        named: Variables that hold keys: one for the only server, or `TARGET=VARIABLE` for each that has a key.
        environment: Where the variables stand.
        redact: Masks the keys from now on.

    Raises:
        TargetError: A variable is not set, is for a target that is not checked, or would be sent to several servers.
    """
    pairs = [one.rpartition("=")[::2] for one in named] or [("", KEY_VARIABLE)]
    names = [one.name for one in targets]
    shown = ", ".join(one.shown for one in targets)
    variables: dict[str, str] = {}
    for target, variable in pairs:
        if not environment.get(variable) and named:
            raise TargetError(f"The variable {variable} of --api-key-env is not set, or empty.")
        if target and target not in names:
            where = describe(
                "--api-key-env names a target that is not checked", expected=shown, got=CheckTarget(target).shown
            )
            raise TargetError(where)
        if target in variables:
            raise TargetError(f"--api-key-env is given twice for {target or 'the same targets'}.")
        variables[target] = variable
    keys = {target: environment.get(variable) for target, variable in variables.items()}
    for key in filter(None, keys.values()):
        redact.add(key)
    if keys.get("") and len({one.receiver for one in targets}) > 1:
        raise TargetError(
            describe(
                f"The key of {variables['']} would be sent to several servers",
                expected="a variable for each that has a key",
                got=shown,
                hint=f"--api-key-env {targets[0].shown}=VARIABLE",
            )
        )
    return [one._replace(api_key=keys.get(one.name, keys.get("")) or None) for one in targets]
