"""SafeTensors: a JSON header with the place of each tensor, then the tensors without a gap between them."""

from __future__ import annotations

import json
import re
from typing import Any

from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.reader import HEADER_LIMIT, HeaderReader, ModelFileError

DTYPE_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
_METADATA = "__metadata__"
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,6})\.")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")


def looks_like_safetensors(begin: bytes) -> bool:
    """Tell by the first nine bytes: a number, which no text could be, then an opening brace."""
    return begin[8:9] == b"{" and min(begin[:8]) < ord("\t")


def read_safetensors(reader: HeaderReader) -> ModelInfo:
    """Read a file from its begin.

    Raises:
        ModelFileError: It is not a whole SafeTensors file.
    """
    length = reader.u64("the length of the header")
    if length > HEADER_LIMIT:
        raise ModelFileError("size", f"it claims a header of {length:,} bytes, allowed are {HEADER_LIMIT:,}")
    raw = reader.take(length, "the header")
    if raw[:1] != b"{":
        raise ModelFileError("foreign", "its header does not begin with {")
    header = _parsed(raw)
    info = ModelInfo("safetensors", size=reader.size)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelFileError("metadata", f"its {_METADATA} is not an object of texts")
    info.metadata.update(metadata)
    places = [_tensor(info, name, entry) for name, entry in header.items()]
    end = 0
    for begin, stop, name in sorted(places):
        if begin != end:
            what = "overlaps the tensor before it" if begin < end else f"leaves a gap of {begin - end:,} bytes"
            raise ModelFileError("tensor", f"its tensor '{name}' {what}")
        end = stop
        if end > reader.remaining:
            raise ModelFileError(
                "truncated",
                f"it is cut off: tensor '{name}' ends at byte {reader.position + end:,}, and the file after "
                f"{reader.size:,}",
            )
    if end < reader.remaining:
        raise ModelFileError("size", f"it has {reader.remaining - end:,} bytes that belong to no tensor")
    return _from_names(info, header).settle()


def _parsed(raw: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ModelFileError("metadata", "its header has a key twice")
        return found

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except UnicodeDecodeError:
        raise ModelFileError("metadata", "its header is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelFileError("metadata", f"its header is not JSON: {reason}") from None
    assert isinstance(header, dict)  # it begins with a brace
    return header


def _tensor(info: ModelInfo, name: str, entry: Any) -> tuple[int, int, str]:
    """Count one tensor; return begin and end of its bytes, and its name."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError("tensor", f"its tensor '{name}' is not told by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise ModelFileError("tensor", f"its tensor '{name}' is of the unknown type {dtype!r}")
    if not _numbers(shape) or not _numbers(offsets) or len(offsets) != 2:
        raise ModelFileError("tensor", f"its tensor '{name}' has a shape or offsets that are not whole numbers")
    elements = 1
    for length in shape:
        elements *= length
        if elements >= 1 << 64:
            raise ModelFileError("size", f"its tensor '{name}' claims more numbers than 64 bits can count")
    begin, end = offsets
    bits = elements * DTYPE_BITS[dtype]
    if end < begin or (end - begin) * 8 != bits:
        raise ModelFileError(
            "tensor", f"its tensor '{name}' has {end - begin:,} bytes, its shape and type need {bits / 8:,.16g}"
        )
    info.count(dtype, elements, end - begin)
    return begin, end, name


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _from_names(info: ModelInfo, header: dict[str, Any]) -> ModelInfo:
    """Fill in what the usual names of tensors tell."""
    layers = {match[1] for match in map(_LAYER.search, header) if match}
    info.layers = len(layers) or None
    for name, entry in header.items():
        if name.endswith(_EMBEDDINGS) and len(entry["shape"]) == 2:
            info.vocabulary, info.embedding_length = entry["shape"]
    return info


def add_config(info: ModelInfo, raw: bytes) -> ModelInfo:
    """Fill in what the `config.json` beside SafeTensors files says (names of Hugging Face's transformers).

    Raises:
        ModelFileError: It is not a JSON object, or a value has a wrong type.
    """
    try:
        config = _parsed(raw) if raw.lstrip()[:1] == b"{" else None
    except ModelFileError as error:
        raise ModelFileError("metadata", f"config.json: {error}") from None
    if config is None:
        raise ModelFileError("metadata", "config.json: it is not a JSON object")
    kinds = config.get("architectures") or [config.get("model_type")]
    kind = config.get("model_type") or (kinds[0] if isinstance(kinds, list) else None)
    if kind is not None and not isinstance(kind, str):
        raise ModelFileError("metadata", "config.json: model_type is not a text")
    info.architecture = kind
    for attribute, key in (
        ("layers", "num_hidden_layers"),
        ("heads", "num_attention_heads"),
        ("kv_heads", "num_key_value_heads"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("context_length", "max_position_embeddings"),
        ("vocabulary", "vocab_size"),
    ):
        value = config.get(key)
        if value is not None and (type(value) is not int or value < 0):
            raise ModelFileError("metadata", f"config.json: {key} is not a whole number")
        if value is not None:
            setattr(info, attribute, value)
    return info
