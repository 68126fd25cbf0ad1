"""The dialects that come with the library, and those in files of one's own: found by name, version or path."""

from __future__ import annotations

import difflib
import re
from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from InferenceLibrary.dialects.choices import OpenChoices
from InferenceLibrary.dialects.dialect import Dialect, capabilities_over, parse_dialect, version_key
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.typed_yaml import locator

SHIPPED = Path(__file__).parent / "shipped"
"""Where the dialects lie that come with the library."""


class Chosen(NamedTuple):
    """The dialect for a server of some version."""

    dialect: Dialect
    notice: str = ""
    """What is to be told of the choice; empty where the version is one that the dialect knows."""
    shipped: bool = True
    """Whether it comes with the library."""

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """What is not held against the server. One's own waivers end with their date; of the library's it is told."""
        return tuple(one for one in self.dialect.waivers if self.shipped or not one.has_ended(date.today()))

    @property
    def ended(self) -> tuple[Waiver, ...]:
        """Waivers of one's own that are past their date, and so held against the server again."""
        return () if self.shipped else tuple(one for one in self.dialect.waivers if one.has_ended(date.today()))


def dialect_names() -> list[str]:
    """Return the names of the dialects that come with the library."""
    return sorted(_stems())


def shipped_dialects() -> list[Dialect]:
    """Return all dialects that come with the library, each name's from the oldest to the newest."""
    return [one for name in dialect_names() for one in _family(name)]


def load_dialect(wanted: str) -> Chosen:
    """Return the dialect of a name, of a name with a version, or in a file.

    Args:
        wanted: `vllm`, `llama.cpp@b11434`, `litellm+llama.cpp` (a gateway and what stands behind it), or a path.

    Raises:
        ProfileError: There is none, or it is malformed.
    """
    front, plus, behind = pair_of(wanted)
    if plus:
        if not front or not behind:
            raise ProfileError(
                f"No dialect '{wanted}': expected GATEWAY+SERVER, such as litellm+llama.cpp; the "
                f"{'gateway before' if behind else 'server after'} the '+' is missing."
            )
        return _standing_on(load_dialect(front), load_dialect(behind))
    name, at, version = wanted.partition("@")
    if name in _stems():
        return dialect_for(name, version if at else None)
    path = Path(wanted)
    if is_file(wanted):
        shipped = path.resolve().parent == SHIPPED.resolve()
        return Chosen(_read(path) if shipped else _own(path), shipped=shipped)
    close = difflib.get_close_matches(name.lower(), dialect_names(), n=1, cutoff=0.6)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    raise ProfileError(
        f"No dialect '{wanted[:200]}': expected the path of a YAML file or one of {', '.join(dialect_names())}, "
        f"with a version as in NAME@VERSION or without.{meant}"
    )


def is_file(text: str) -> bool:
    """Whether a text is the path of a file; what cannot be a path is not."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def pair_of(wanted: str, folder: Path = Path()) -> tuple[str, str, str]:
    """Divide GATEWAY+SERVER as `str.partition` does; a `+` in the name of a file in the folder divides nothing."""
    if is_file(str(folder / wanted)):
        return wanted, "", ""

    def is_there(one: str) -> bool:
        return one.partition("@")[0] in _stems() or is_file(str(folder / one))

    ways = [(wanted[:place], "+", wanted[place + 1 :]) for place, sign in enumerate(wanted) if sign == "+"]
    there = (way for way in ways if all(map(is_there, way[::2])))
    return next(there, ways[0] if ways else (wanted, "", ""))


def _own(path: Path) -> Dialect:
    """Return a dialect of one's own; what it says to be recorded must be there, and whole."""
    dialect = _read(path)
    if dialect.recording is not None:
        from InferenceLibrary.dialects.recorded import check_recording

        where = locator(path.read_text(encoding="utf-8"), str(path))("recording")
        check_recording(dialect.recording, path.resolve().parent, where)
    return dialect


def dialect_for(name: str, version: str | None) -> Chosen:
    """Return the dialect of that name for a version; without one the newest."""
    files = _family(name)
    newest = files[-1]
    if version is None:
        return Chosen(newest, f"the version is not known, {name} {newest.version} is assumed" if files[1:] else "")
    if not version_key(version) or not re.fullmatch(r"[\w.+-]+", version):
        raise ProfileError(f"'{version[:80]}' is not a version of {name}: expected one such as {newest.version}.")
    found = next((one for one in files if one.is_for(version)), None)
    if found is None:
        raise ProfileError(
            f"No dialect of {name} is for version {version}: the oldest is for {files[0].first} and later."
        )
    if version_key(version) > version_key(found.version):
        return Chosen(
            _unproven(found), f"{name} {version} is newer than the recorded {found.version}: its waivers are unproven"
        )
    return Chosen(found)


def _unproven(dialect: Dialect) -> Dialect:
    deviations = [msgspec.structs.replace(one, unproven=True) for one in dialect.deviations]
    return msgspec.structs.replace(dialect, deviations=deviations)


def _standing_on(front: Chosen, behind: Chosen) -> Chosen:
    """Return the dialect of a gateway before a server: what either does may be seen."""
    stood = front.dialect
    if stands_on(stood, behind.dialect) and front.shipped:
        stood = _read(SHIPPED / f"{stood.file}.yaml", behind=behind.dialect.choices)
    both = msgspec.structs.replace(
        front.dialect,
        choices=stood.choices,
        name=f"{front.dialect.name}+{behind.dialect.name}",
        title=f"{front.dialect.title} before {behind.dialect.title}",
        deviations=[*front.dialect.deviations, *behind.dialect.deviations],
        **capabilities_over(front.dialect, behind.dialect),
    )
    notice = "; ".join(filter(None, (front.notice, behind.notice)))
    return Chosen(both, notice, shipped=front.shipped and behind.shipped)


def stands_on(front: Dialect, behind: Dialect) -> bool:
    """Whether the choices of a gateway are made for servers of this kind, in whichever version."""
    named = front.choices.stands_on if front.choices is not None else ""
    families = [stems for name, stems in _stems().items() if name == behind.name or behind.extends in stems]
    return bool(named) and any(named in stems for stems in families)


@lru_cache(maxsize=1)
def _stems() -> dict[str, list[str]]:
    """The files of the shipped dialects by name: NAME.yaml, and NAME-VERSION.yaml for other versions."""
    found: dict[str, list[str]] = {}
    for path in sorted(SHIPPED.glob("*.yaml")):
        version = re.fullmatch(r"(.+)-\d[\w.]*", path.stem)
        found.setdefault(version[1] if version else path.stem, []).append(path.stem)
    return found


@lru_cache(maxsize=64)
def _family(name: str) -> list[Dialect]:
    """The shipped dialects of one name, from the oldest to the newest; no others are read."""
    return in_order([_read(SHIPPED / f"{stem}.yaml") for stem in _stems()[name]])


def in_order(files: list[Dialect]) -> list[Dialect]:
    """Return the dialects of one server by their versions.

    Raises:
        ProfileError: Two are for the same version.
    """
    ordered = sorted(files, key=lambda one: version_key(one.first))
    for older, newer in pairwise(ordered):
        if older.is_for(newer.first):
            later = version_key(newer.first) > version_key(older.first)
            hint = (
                f"`before: '{newer.first}'` in {older.file}"
                if later
                else "`first:` in the newer of them, its oldest version, and `before:` with the same in the other"
            )
            raise ProfileError(
                f"The dialects {older.file} and {newer.file} are both for {newer.name} {newer.first}: "
                f"expected one of them. Hint: {hint}."
            )
    return ordered


def _read(path: Path, within: tuple[Path, ...] = (), behind: OpenChoices | None = None) -> Dialect:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ProfileError(f"Dialect {path} cannot be read: {error}.") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"Dialect {path} is not UTF-8: {error}. Hint: save it as UTF-8.") from None
    chain = (*within, path.resolve())

    def below(name: str, where: str) -> Dialect:
        places = [path.parent / f"{name}.yaml", SHIPPED / f"{name}.yaml"]
        there = [each for each in places if is_file(str(each))]
        # A dialect may have the name of the shipped one that it extends.
        found = next((each for each in there if each.resolve() not in chain), there[0] if there else None)
        if found is None:
            names = sorted(each.stem for each in SHIPPED.glob("*.yaml"))
            close = difflib.get_close_matches(name, names, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise ProfileError(f"{where}: expected the name of a dialect file, got '{name[:80]}'.{meant}")
        if found.resolve() in chain:
            circle = ", then ".join(each.stem for each in (*chain, found))
            raise ProfileError(f"{where}: the files stand on each other in a circle: {circle}.")
        return _read(found, chain)

    return msgspec.structs.replace(parse_dialect(text, str(path), below, behind), file=path.stem)
