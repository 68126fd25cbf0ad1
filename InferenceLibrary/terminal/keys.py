"""Names of keys, checked: an unknown name would be typed letter by letter."""

from __future__ import annotations

import difflib

from InferenceLibrary.errors import TerminalError, describe

NAMED = (
    *("Enter", "Tab", "Space", "Escape", "Backspace", "Delete", "Insert"),
    *("Up", "Down", "Left", "Right", "Home", "End", "PageUp", "PageDown"),
    *(f"F{number}" for number in range(1, 13)),
)
MODIFIERS = ("Ctrl", "Alt", "Shift", "Super", "Meta", "Hyper")
_OTHER_NAMES = {
    "return": "Enter",
    "esc": "Escape",
    "del": "Delete",
    "ins": "Insert",
    "control": "Ctrl",
    "option": "Alt",
}


def key_name(text: str) -> str:
    """Return a key in the one spelling: `ctrl+c` as `Ctrl+c`, `esc` as `Escape`.

    Raises:
        TerminalError: The key does not exist.
    """
    *modifiers, key = text.split("+") if len(text) > 1 and not text.endswith("+") else _split_plus(text)
    named = [_known(modifier, MODIFIERS, text) for modifier in modifiers]
    return "+".join([*named, key if len(key) == 1 else _known(key, NAMED, text)])


def _split_plus(text: str) -> list[str]:
    """The key + itself: `+` and `Ctrl++`."""
    return [*text[:-2].split("+"), "+"] if len(text) > 1 else [text]


def _known(name: str, names: tuple[str, ...], whole: str) -> str:
    spelled = {known.lower(): known for known in names}
    spelled |= {other: known for other, known in _OTHER_NAMES.items() if known in names}
    if name.lower() in spelled:
        return spelled[name.lower()]
    close = difflib.get_close_matches(name.lower(), spelled, n=1)
    hint = f"Did you mean {spelled[close[0]]}?" if close else "Text is typed with Type In Terminal"
    raise TerminalError(
        describe(
            f"There is no key '{whole}'",
            expected=f"one character or one of {', '.join(NAMED[:15])}, F1 to F12, "
            f"with {', '.join(MODIFIERS)} before it: Ctrl+C",
            got=f"'{name}'",
            hint=hint,
        )
    )
