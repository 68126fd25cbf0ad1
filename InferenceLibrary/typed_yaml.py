"""Read YAML settings into typed objects, with errors that name the place and the allowed keys.

The types are `msgspec.Struct` classes. The text is composed first, so that every error can give file, line and key;
`yaml.safe_load` semantics hold throughout: no tag can make Python objects.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from InferenceLibrary.errors import ProfileError, describe

T = TypeVar("T")
Path = tuple[str | int, ...]

DURATION = Annotated[str, "duration"]
"""The type of a text that `parse_duration` takes: a bare number is refused with the units it may have."""

_CONSTRUCTORS = (ValueError, LookupError, TypeError, AttributeError)
"""What PyYAML's constructors of values fail with."""
_MOST_KEYS = 100_000
"""Bound on files whose aliases multiply."""


def parse_yaml(text: str, source: str, kind: type[T]) -> T:
    """Return `text` as an object of `kind`, a `msgspec.Struct` class or a container of such.

    Args:
        text: The YAML text.
        source: Where it came from, for errors: a file name.
        kind: The type to build.

    Raises:
        ProfileError: The text is not YAML, a key is unknown or doubled, or a value has the wrong type.
    """
    import yaml

    lines: dict[Path, int] = {}
    try:
        data = _read(text, source, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        raise ProfileError(describe(f"{place} is not YAML: {_problem(error)}", hint=_yaml_hint(error))) from None
    except RecursionError:
        raise ProfileError(f"{source} is nested too deeply.") from None
    except _CONSTRUCTORS as error:
        raise ProfileError(describe(f"{source} is not YAML", got=f"a value that cannot be read ({error})")) from None
    if data is None:
        if _needs_keys(kind):
            raise ProfileError(f"{source} is empty: expected keys and values.")
        data = {}
    _refuse_unknown_keys(data, kind, (), source, lines)
    return _convert(data, kind, (), source, lines)


def locator(text: str, source: str) -> Callable[[str], str]:
    """Return what tells where a key of a text that `parse_yaml` takes stands: `profile.yaml:3: key 'start.command'`."""
    lines: dict[Path, int] = {}

    def place(key: str) -> str:
        if not lines:
            _read(text, source, lines)
        return _place(source, _path_of(key), lines)

    return place


def _read(text: str, source: str, lines: dict[Path, int]) -> Any:
    """Return what a YAML text holds, and note the line of every key; libyaml reads it, where it is there."""
    import yaml

    if yaml.__with_libyaml__:
        try:
            return _read_with(yaml.CSafeLoader, text, source, lines)
        except yaml.YAMLError:
            # The loader in Python tells better what is wrong, and where.
            lines.clear()
    return _read_with(yaml.SafeLoader, text, source, lines)


def _read_with(kind: Any, text: str, source: str, lines: dict[Path, int]) -> Any:
    loader = kind(text)
    node = None
    try:
        node = loader.get_single_node()
        _index_lines(node, (), lines, source)
        return None if node is None else loader.construct_document(node)
    except _CONSTRUCTORS:
        # PyYAML lets its constructors fail as they like: `2020-13-45` and `0x_` are scalars of a type, and no values.
        loader.recursive_objects.clear()
        found = next(_unreadable(loader, node, ()), None)
        if found is None:
            raise
        path, value, error = found
        how = "a date is such as 2027-01-31, " if str(error).startswith(("month", "day")) else ""
        raise ProfileError(
            f"{_place(source, path, lines)}: '{value}' cannot be read: {error}. Hint: {how}a text stands in quotes."
        ) from None
    finally:
        loader.dispose()


def _unreadable(loader: Any, node: Any, path: Path) -> Iterator[tuple[Path, str, Exception]]:
    """Yield the scalars that PyYAML takes for values of a type and cannot construct, and why."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _unreadable(loader, key, path)
            yield from _unreadable(loader, value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _unreadable(loader, item, (*path, index))
    else:
        try:
            loader.construct_object(node)
        except _CONSTRUCTORS as error:
            yield path, node.value, error


def _problem(error: Exception) -> str:
    """What the YAML parser says, with the line on which what it was reading began."""
    problem = getattr(error, "problem", None) or str(error)
    context, mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    return f"{context} that begins on line {mark.line + 1}: {problem}" if context and mark else problem


def _yaml_hint(error: Exception) -> str | None:
    problem = str(getattr(error, "problem", ""))
    if "mapping values are not allowed" in problem:
        return "put a text that holds a colon in quotes, and indent keys of one mapping alike."
    if "'\\t'" in problem:
        return "indent with blanks, not with tabs."
    return "is a quote or a bracket not closed?" if "end of stream" in problem or "<stream end>" in problem else None


def _needs_keys(kind: Any) -> bool:
    import msgspec

    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return is_struct and any(field.required for field in msgspec.structs.fields(kind))


def _convert(data: Any, kind: type[T], path: Path, source: str, lines: Mapping[Path, int]) -> T:
    import msgspec

    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        inner, in_key, outer = where.partition("`key` in ")
        below = _path_of((outer if in_key else inner).strip("`"))
        path = (*path, *below)
        prefix = "a key of it: " if in_key else ""
        if not in_key:
            message = _plainly(message, _value_at(data, below), _kind_at(kind, below))
        raise ProfileError(f"{_place(source, path, lines)}: {prefix}{_lower_first(message)}.") from None


_PLAIN = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "keys and values", "null": "nothing", "date": "a date such as 2027-01-31",
    "datetime": "a date with a time",
}  # fmt: skip


def _plainly(message: str, value: Any, kind: Any) -> str:
    """Say what msgspec says in the words of YAML, with what to write instead."""
    if message.startswith("Invalid enum value"):
        allowed = [str(each) for part in _parts(kind) if get_origin(part) is Literal for each in get_args(part)]
        allowed += [str(each.value) for part in _parts(kind) if _is_enum(part) for each in part]
        close = difflib.get_close_matches(str(value), allowed, n=1)
        meant = f" (did you mean '{close[0]}'?)" if close else ""
        return f"expected one of {', '.join(allowed)}, got '{value}'{meant}"
    missing = re.fullmatch(r"Object missing required field `([^`]*)`", message)
    if missing is not None:
        return f"key '{missing[1]}' is missing"
    if message.startswith("Invalid RFC3339 encoded date"):
        return f"expected a date such as 2027-01-31, got '{value}'"
    match = re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", message)
    if match is None:
        return message
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and any(part is DURATION for part in _parts(kind)):
        return f"{value} has no unit: write {value}s or {value}min"
    wanted, found = (" or ".join(_PLAIN.get(name, name) for name in match[side].split(" | ")) for side in (1, 2))
    shown = f"{found} ({str(value)[:40]})" if isinstance(value, str | int | float) else found
    how = ""
    if match[1] == "array" and not isinstance(value, dict):
        how = f", such as [{value}]" if value is not None else ""
    elif match[1] == "str" and isinstance(value, int | float):
        how = " in quotes"
    return f"expected {wanted}{how}, got {shown}"


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _parts(kind: Any) -> list[Any]:
    """Return the alternatives of a type."""
    if kind is DURATION or get_origin(kind) not in {Union, types.UnionType, typing.Annotated}:
        return [kind]
    if get_origin(kind) is typing.Annotated:
        return [DURATION] if kind == DURATION else _parts(get_args(kind)[0])
    return [part for option in get_args(kind) for part in _parts(option)]


def _kind_at(kind: Any, path: Path) -> Any:
    """Return the type of what stands at a path, as far as it can be told."""
    import msgspec

    for name in path:
        found: Any = Any
        for part in _parts(kind):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                fields = {field.encode_name: field.name for field in msgspec.structs.fields(part)}
                if name in fields:
                    found = typing.get_type_hints(part, include_extras=True)[fields[str(name)]]
            elif get_origin(part) in {list, tuple}:
                found = get_args(part)[0]
            elif get_origin(part) is dict:
                found = get_args(part)[1]
        kind = found
    return kind


def _value_at(data: Any, path: Path) -> Any:
    for name in path:
        try:
            data = data[name]
        except (LookupError, TypeError):
            return None
    return data


def _index_lines(node: Any, path: Path, lines: dict[Path, int], source: str, within: tuple[Any, ...] = ()) -> None:
    """Fill `lines` with the line of every key and item.

    Refused are doubled keys, which YAML would drop silently, and aliases of what they stand in, which have no end.
    """
    import yaml

    if node is None:
        return
    line = node.start_mark.line + 1
    if any(node is outer for outer in within):
        raise ProfileError(f"{source}:{line}: key '{_dotted(path)}' holds itself.")
    lines.setdefault(path, line)
    if len(lines) > _MOST_KEYS:
        raise ProfileError(f"{source} has more than {_MOST_KEYS:,} keys and items, its aliases resolved.")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            where = f"{source}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ProfileError(f"{where}: a key must be a text, not a list or a mapping.")
            if key.value in seen:
                raise ProfileError(f"{where}: key '{_dotted((*path, key.value))}' is given twice.")
            seen.add(key.value)
            lines[(*path, key.value)] = key.start_mark.line + 1
            _index_lines(value, (*path, key.value), lines, source, (*within, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _index_lines(item, (*path, index), lines, source, (*within, node))


@lru_cache(maxsize=512)
def _fields_of(kind: Any) -> dict[str, Any]:
    """Return the types of a struct's fields by their keys, without those that files do not hold, its `filled_in`."""
    import msgspec

    hints = typing.get_type_hints(kind, include_extras=True)
    fields = (field for field in msgspec.structs.fields(kind) if field.name not in getattr(kind, "filled_in", ()))
    return {field.encode_name: hints[field.name] for field in fields}


def _refuse_unknown_keys(data: Any, kind: Any, path: Path, source: str, lines: Mapping[Path, int]) -> None:
    """Walk data and type side by side; a struct knows its keys, a mapping takes any."""
    import msgspec

    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        structured = [option for option in get_args(kind) if _fits(data, option) and _has_tag(data, option)]
        if structured:
            _refuse_unknown_keys(data, structured[0], path, source, lines)
    elif origin is typing.Annotated:
        _refuse_unknown_keys(data, get_args(kind)[0], path, source, lines)
    elif origin in {list, tuple} and isinstance(data, list):
        for index, item in enumerate(data):
            _refuse_unknown_keys(item, get_args(kind)[0], (*path, index), source, lines)
    elif origin is dict and isinstance(data, dict):
        for key, value in data.items():
            _refuse_unknown_keys(value, get_args(kind)[1], (*path, str(key)), source, lines)
            # msgspec does not tell which key of a mapping holds the wrong value.
            _convert(value, get_args(kind)[1], (*path, str(key)), source, lines)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(data, dict):
        fields = dict(_fields_of(kind))
        tag_field = kind.__struct_config__.tag_field
        if tag_field is not None:
            fields[tag_field] = Any
        for key, value in data.items():
            if key not in fields:
                close = difflib.get_close_matches(str(key), fields, n=1)
                meant = f" Did you mean '{close[0]}'?" if close else ""
                raise ProfileError(
                    f"{_place(source, (*path, str(key)), lines)}: unknown key. "
                    f"Allowed here: {', '.join(sorted(fields))}.{meant}"
                )
            _refuse_unknown_keys(value, fields[key], (*path, str(key)), source, lines)


def _fits(data: Any, option: Any) -> bool:
    import msgspec

    base = get_origin(option) or option
    if isinstance(data, dict):
        return base is dict or (isinstance(base, type) and issubclass(base, msgspec.Struct))
    return isinstance(data, list) and base in {list, tuple}


def _has_tag(data: Any, option: Any) -> bool:
    """Whether data bears the tag that tells a struct from the others of a union; one without a tag stands alone."""
    config = getattr(option, "__struct_config__", None)
    return config is None or config.tag_field is None or data.get(config.tag_field) == config.tag


def _path_of(text: str) -> Path:
    """Turn msgspec's `$.health.statuses[0]` into path parts."""
    path: list[str | int] = []
    for part in text.removeprefix("$").replace("[", ".[").split("."):
        if part.startswith("[") and part[1:-1].isdigit():
            path.append(int(part[1:-1]))
        elif part and part != "[...]":
            path.append(part)
    return tuple(path)


def _place(source: str, path: Path, lines: Mapping[Path, int]) -> str:
    line = next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), None)
    where = f"{source}:{line}" if line else source
    return f"{where}: key '{_dotted(path)}'" if path else where


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
