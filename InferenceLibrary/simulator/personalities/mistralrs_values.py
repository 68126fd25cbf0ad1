"""Values of mistral.rs's options that are texts of a certain form: what it says of those that are not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_SIZES = {"", "b", "kb", "mb", "gb", "kib", "mib", "gib"}
_ADAPTER_KEYS = {"name": str, "path": str, "revision": str, "base_model_name": str, "is_3d_lora_weight": bool}
_MOST = 2**64


def _dtype(text: str) -> str:
    return "" if text.lower() in {"auto", "bf16", "f16", "f32"} else f"Model DType `{text.lower()}` is not supported."


def _organization(text: str) -> str:
    if text in {"default", "moqe"}:
        return ""
    return f"Expected ISQ organization `default` or `moqe`, got `{text}`"


def _cache_type(text: str) -> str:
    if text in {"auto", "f8e4m3"}:
        return ""
    return f"Unexpected `PagedCacheType`, got `{text}` but expected `auto` and `f8e4m3`."


def _token_source(text: str) -> str:
    kind, colon, _ = text.partition(":")
    if kind in {"literal", "path"}:
        return "" if colon else f"Expected a value for '{kind}'"
    return "" if kind in {"env", "cache", "none"} else "Invalid token source format"


def _bytes(text: str) -> str:
    found = re.match(r"\s*([0-9]+)\s*(.*?)\s*$", text)
    if found is None:
        return "expected a byte count such as 8589934592 or 8GiB"
    if found[2].lower() not in _SIZES:
        return f"unsupported byte-size suffix `{found[2].lower()}`"
    return "" if int(found[1]) < _MOST else "invalid byte count: number too large to fit in target type"


def _adapter(text: str) -> str:
    text = text.strip()
    if text.startswith("{"):
        return _adapter_object(text)
    alias, equals, source = text.partition("=")
    if not equals:
        return "expected ALIAS=SOURCE or a JSON object with name and path"
    return _adapter_names(alias.strip(), source.strip())


def _adapter_object(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError as error:
        return f"invalid LoRA module JSON: {error}"
    for key, value in found.items():
        if key not in _ADAPTER_KEYS:
            return f"invalid LoRA module JSON: unknown field `{key}`"
        if value is not None and not isinstance(value, _ADAPTER_KEYS[key]):
            return f"invalid LoRA module JSON: invalid type for `{key}`"
    for key in ("name", "path"):
        if found.get(key) is None:
            return f"invalid LoRA module JSON: missing field `{key}`"
    if found.get("is_3d_lora_weight"):
        return "is_3d_lora_weight=true is unsupported; routed MoE LoRA tensors are not supported"
    return _adapter_names(found["name"].strip(), found["path"].strip())


def _adapter_names(alias: str, source: str) -> str:
    if not alias:
        return "LoRA adapter alias must not be empty"
    return "" if source else f"LoRA adapter source for alias `{alias}` must not be empty"


PROBLEMS: dict[str, Callable[[str], str]] = {
    "dtype": _dtype,
    "organization": _organization,
    "cache type": _cache_type,
    "token source": _token_source,
    "bytes": _bytes,
    "adapter": _adapter,
}
"""By kind of an option what is wrong with a text, in its words; empty for nothing."""
