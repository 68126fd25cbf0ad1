"""A command line in the manner of clap, the parser of Rust programs: its rules, its help, its errors and exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.simulator.personalities.mistralrs_values import PROBLEMS

USAGE_ERROR = 2
_MORE = "For more information, try '--help'."
_LIMITS = {"u16": 65_535, "u32": 2**32 - 1}
_OVERFLOW = 2**64
_INTEGERS = {"u16", "u32", "usize", "u64", "usizes"}


class Exit(Exception):
    """The program ends here: with help or a version on stdout, or with an error on stderr."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True)
class Arg:
    """An option. Kinds: text, switch, count, u16, u32, usize, u64, f32, usizes (comma-separated), bool, choice, and
    those of texts of a certain form, which `PROBLEMS` has."""

    name: str
    short: str = ""
    help: str = ""
    kind: str = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    repeat: bool = False
    requires: str = ""
    conflicts: tuple[str, ...] = ()
    everywhere: bool = False  # also behind sub-commands
    key: str = ""
    aliases: tuple[str, ...] = ()  # other names, which help does not show

    @property
    def takes_value(self) -> bool:
        return self.kind not in {"switch", "count"}

    @property
    def shown(self) -> str:
        """As errors name it: `--port <PORT>`."""
        value = (self.key or self.name).replace("-", "_").upper()
        if self.kind == "bool":
            return f"--{self.name} [<{value}>]"
        return f"--{self.name} <{value}>" if self.takes_value else f"--{self.name}"


@dataclass(slots=True)
class Command:
    """A command with its options and sub-commands."""

    name: str
    about: str = ""
    args: tuple[Arg, ...] = ()
    commands: tuple[Command, ...] = ()
    needs_command: bool = False
    version: str = ""


@dataclass(slots=True)
class Parsed:
    """Names of the commands below the program, and the values of all options by name."""

    path: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)


def parse(root: Command, words: Sequence[str]) -> Parsed:
    """Read a command line.

    Raises:
        Exit: With help, version or an error.
    """
    if not words and root.needs_command:
        raise Exit(USAGE_ERROR, help_text([root]))
    parser = _Parser(root, list(words))
    return parser.run()


class _Parser:
    def __init__(self, root: Command, words: list[str]) -> None:
        self._words = words
        self._chain = [root]
        self._given: dict[str, Any] = {}
        self._parsed = Parsed()

    def run(self) -> Parsed:
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                if self._words:
                    raise self._unexpected(self._words[0])
            elif word.startswith("--"):
                self._long(word)
            elif len(word) > 1 and word.startswith("-"):
                self._shorts(word)
            else:
                self._command(word)
        self._check()
        return self._parsed

    def _args(self) -> Iterator[Arg]:
        """The options that count here; those of the innermost command first."""
        yield from self._chain[-1].args
        for command in reversed(self._chain[:-1]):
            yield from (arg for arg in command.args if arg.everywhere)

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if name in {"help", "version"} and not equals:
            self._tell(name)
        arg = next((arg for arg in self._args() if name in (arg.name, *arg.aliases)), None)
        if arg is None:
            raise self._unexpected(f"--{name}")
        if not arg.takes_value and equals:
            raise self._error(f"unexpected value '{value}' for '{arg.shown}' found; no more were expected", usage=True)
        self._take(arg, value if equals else None)

    def _shorts(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "hV":
                self._tell("help" if letter == "h" else "version")
            arg = next((arg for arg in self._args() if arg.short == letter), None)
            if arg is None:
                raise self._unexpected(f"-{letter}")
            if arg.takes_value:
                self._take(arg, letters.removeprefix("=") if letters else None)
                return
            self._take(arg, None)

    def _tell(self, what: str) -> None:
        root = self._chain[0]
        if what == "help":
            raise Exit(0, help_text(self._chain))
        raise Exit(0, f"{'-'.join(command.name for command in self._chain)} {root.version}\n")

    def _command(self, word: str) -> None:
        commands = self._chain[-1].commands
        if not commands:
            raise self._unexpected(word)
        if word == "help":
            self._help_of(self._words)
        found = next((command for command in commands if command.name == word), None)
        if found is None:
            tip = _similar(word, [command.name for command in commands])
            raise self._error(
                f"unrecognized subcommand '{word}'", tip and f"a similar subcommand exists: '{tip}'", True
            )
        self._check_here()
        self._chain.append(found)
        self._parsed.path.append(word)

    def _help_of(self, words: list[str]) -> None:
        for word in words:
            found = next((command for command in self._chain[-1].commands if command.name == word), None)
            if found is None:
                raise self._error(f"unrecognized subcommand '{word}'", usage=True)
            self._chain.append(found)
        raise Exit(0, help_text(self._chain))

    def _take(self, arg: Arg, value: str | None) -> None:
        if arg.name in self._given and not arg.repeat and arg.kind != "count":
            raise self._error(f"the argument '{arg.shown}' cannot be used multiple times", usage=True)
        if arg.kind == "switch":
            self._given[arg.name] = True
        elif arg.kind == "count":
            self._given[arg.name] = self._given.get(arg.name, 0) + 1
        else:
            if value is None and self._words and not re.match(r"--?\w|--$", self._words[0]):
                value = self._words.pop(0)
            if value is None and arg.kind == "bool":
                value = "true"
            if value is None:
                raise self._error(f"a value is required for '{arg.shown}' but none was supplied{_possible(arg)}")
            read = self._converted(arg, value)
            self._given[arg.name] = [*self._given.get(arg.name, []), read] if arg.repeat else read

    def _converted(self, arg: Arg, text: str) -> Any:
        problem = ""
        result: Any = None
        if arg.kind in _INTEGERS:
            parts = text.split(",") if arg.kind == "usizes" else [text]
            for part in parts:
                problem = problem or _integer_problem(part, arg.kind)
            if not problem:
                numbers = [int(part) for part in parts]
                result = numbers if arg.kind == "usizes" else numbers[0]
        elif arg.kind == "f32":
            try:
                result = float(text)
            except ValueError:
                problem = "invalid float literal" if text else "cannot parse float from empty string"
        elif arg.choices or arg.kind == "bool":
            choices = arg.choices or ("true", "false")
            if text not in choices:
                tip = _similar(text, list(choices))
                raise self._error(
                    f"invalid value '{text}' for '{arg.shown}'\n  [possible values: {', '.join(choices)}]",
                    tip and f"a similar value exists: '{tip}'",
                )
            result = text == "true" if arg.kind == "bool" else text
        else:
            problem = PROBLEMS[arg.kind](text) if arg.kind in PROBLEMS else ""
            result = text
        if problem:
            raise self._error(f"invalid value '{text}' for '{arg.shown}': {problem}")
        return result

    def _check(self) -> None:
        here = self._chain[-1]
        if here.needs_command:
            names = ", ".join(command.name for command in (*here.commands, Command("help")))
            raise self._error(
                f"'{_name(self._chain)}' requires a subcommand but one was not provided\n  [subcommands: {names}]",
                usage=True,
            )
        self._check_here()
        for command in self._chain:
            for arg in command.args:
                value = self._given.get(arg.name)
                if value is None and arg.default is not None and self._parsed.values.get(arg.name) is None:
                    value = self._converted(arg, arg.default)
                if value is not None or arg.name not in self._parsed.values:
                    self._parsed.values[arg.name] = value

    def _check_here(self) -> None:
        """What must be there, and what must not be there together, at one level."""
        known = {arg.name: arg for command in self._chain for arg in command.args}
        for arg in self._chain[-1].args:
            for other in arg.conflicts:
                if arg.name in self._given and other in self._given:
                    text = f"the argument '{arg.shown}' cannot be used with '{known[other].shown}'"
                    raise self._error(text, usage=True)
        missing = [arg for arg in self._chain[-1].args if arg.required and arg.name not in self._given]
        for arg in self._chain[-1].args:
            if arg.requires and arg.name in self._given and arg.requires not in self._given:
                missing.append(known[arg.requires])
        if missing and not self._words_name_help():
            lines = "".join(f"\n  {arg.shown}" for arg in missing)
            raise self._error(f"the following required arguments were not provided:{lines}", usage=True)

    def _words_name_help(self) -> bool:
        """Whether help is asked for behind: it comes before what is missing."""
        return any(word in {"-h", "--help", "help"} for word in self._words)

    def _unexpected(self, word: str) -> Exit:
        names = [f"--{arg.name}" for arg in self._args()] + ["--help"]
        tip = _similar(word, names) if word.startswith("--") else ""
        text = tip and f"a similar argument exists: '{tip}'"
        if not tip:
            below = (command for command in self._chain[-1].commands for arg in command.args if f"--{arg.name}" == word)
            owner = next(below, None)
            text = f"'{owner.name} {word}' exists" if owner else ""
        return self._error(f"unexpected argument '{word}' found", text, True)

    def _error(self, message: str, tip: str = "", usage: bool = False) -> Exit:
        parts = [f"error: {message}\n\n"]
        if tip:
            parts.append(f"  tip: {tip}\n\n")
        if usage:
            parts.append(f"Usage: {usage_of(self._chain)}\n\n")
        return Exit(USAGE_ERROR, "".join([*parts, _MORE, "\n"]))


def _integer_problem(text: str, kind: str) -> str:
    digits = text.removeprefix("+")
    if not text:
        return "cannot parse integer from empty string"
    if not (digits.isascii() and digits.isdigit()):
        return "invalid digit found in string"
    if kind in _LIMITS:
        return f"{digits} is not in 0..={_LIMITS[kind]}" if int(digits) > _LIMITS[kind] else ""
    return "number too large to fit in target type" if int(digits) >= _OVERFLOW else ""


def _similar(word: str, names: list[str]) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.7)), "")


def _possible(arg: Arg) -> str:
    return f"\n  [possible values: {', '.join(arg.choices)}]" if arg.choices else ""


def _name(chain: list[Command]) -> str:
    return " ".join(command.name for command in chain)


def usage_of(chain: list[Command]) -> str:
    """Return the line of how to call a command."""
    here = chain[-1]
    required = [arg.shown for arg in here.args if arg.required]
    command = ["<COMMAND>" if here.needs_command else "[COMMAND]"] if here.commands else []
    return " ".join([_name(chain), "[OPTIONS]", *required, *command])


def help_text(chain: list[Command]) -> str:
    """Return the help of a command, in clap's layout."""
    here = chain[-1]
    lines = [here.about, "", f"Usage: {usage_of(chain)}"]
    if here.commands:
        commands = [*((one.name, one.about) for one in here.commands)]
        commands.append(("help", "Print this message or the help of the given subcommand(s)"))
        lines += ["", "Commands:", *_columns([(f"  {name}", about) for name, about in commands])]
    options = [_option(arg) for arg in here.args]
    for command in chain[:-1]:
        options += [_option(arg) for arg in command.args if arg.everywhere]
    options += [("  -h, --help", "Print help"), ("  -V, --version", "Print version")]
    return "\n".join([*lines, "", "Options:", *_columns(options), ""])


def _option(arg: Arg) -> tuple[str, str]:
    head = f"  -{arg.short}, {arg.shown}" if arg.short else f"      {arg.shown}"
    notes = [arg.help]
    if arg.default is not None:
        notes.append(f"[default: {arg.default}]")
    if arg.choices:
        notes.append(f"[possible values: {', '.join(arg.choices)}]")
    return head + ("..." if arg.repeat or arg.kind == "count" else ""), " ".join(notes)


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(head) for head, _ in rows)
    return [f"{head:<{width}}  {text}".rstrip() for head, text in rows]
