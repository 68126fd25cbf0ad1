"""The YAML file of llm-d-inference-sim, as Go's yaml.v3 puts it into a structure: which kind of value fits which key.

A key that there is not is passed over, its case counts, one that is there twice is refused, and null is not a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from InferenceLibrary.simulator.core.options import FIELDS, OptionError, convert
from InferenceLibrary.simulator.personalities.llm_d_flags import adapter_text, duration, metrics_text

_ON = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
_OFF = {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
_LIMIT = 2**63


def read_yaml(path: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return what a file sets, by the name of the flag.

    Raises:
        OptionError: It cannot be read, or a value does not fit; one line with the file, and the line of the key.
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise OptionError(f"failed to read configuration file: open {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OptionError(f"failed to unmarshal configuration: {path}: {' '.join(str(error).split())}") from None
    if tree is None or tree.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(tree, yaml.MappingNode):
        raise OptionError(f"failed to unmarshal configuration: {path}: expected keys and values")
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, node in tree.value:
        name, line = str(key.value), key.start_mark.line + 1
        where = f"failed to unmarshal configuration: {path}:{line}"
        if name in lines:
            raise OptionError(f'{where}: mapping key "{name}" already defined at line {lines[name]}')
        lines[name] = line
        if node.tag == "tag:yaml.org,2002:null":
            continue
        if name in kinds and name != "config":
            values[name] = _value(kinds[name], name, node, where)
        elif name in FIELDS and name != "config":
            # A flag of the simulator itself.
            values[name] = convert(name, _plain(node), legacy=False, where=f"{path}:{line}: {name}")
    return values


def _value(kind: str, name: str, node: Any, where: str) -> Any:
    import yaml

    if kind == "object":
        loaded = _plain(node) if isinstance(node, yaml.MappingNode) else None
        if not isinstance(loaded, dict) or not all(isinstance(one, str) for one in loaded.get("loras") or ()):
            raise _misfit(name, "a mapping, its loras texts of JSON", where)
        return metrics_text(loaded)
    if kind == "list":
        scalars = isinstance(node, yaml.SequenceNode) and all(isinstance(one, yaml.ScalarNode) for one in node.value)
        if not scalars:
            raise _misfit(name, "a list of texts", where)
        texts = [str(one.value) for one in node.value]
        return [adapter_text(one) for one in texts] if name == "lora-modules" else texts
    if not isinstance(node, yaml.ScalarNode):
        raise _misfit(name, f"a single {kind}", where)
    if kind == "string":
        return str(node.value)
    return _scalar(kind, name, node, where)


def _scalar(kind: str, name: str, node: Any, where: str) -> Any:
    found = _plain(node)
    if kind == "duration":
        if not isinstance(found, str):
            raise _misfit(name, "a duration with its unit, such as 100ms", where)
        try:
            return duration(found)
        except ValueError as error:
            raise OptionError(f"{where}: {name}: {error}") from None
    if kind in {"bool", "toggle"}:
        if isinstance(found, bool):
            return found
        if found in _ON | _OFF:
            return found in _ON
        raise _misfit(name, "true or false", where)
    if isinstance(found, bool) or not isinstance(found, int | float) or not -_LIMIT <= found < _LIMIT:
        raise _misfit(name, "a number", where)
    return int(found) if kind == "int" else float(found)


def _plain(node: Any) -> Any:
    from yaml.constructor import SafeConstructor

    return SafeConstructor().construct_document(node)


def _misfit(name: str, wanted: str, where: str) -> OptionError:
    return OptionError(f"{where}: {name}: cannot unmarshal into {wanted}")
