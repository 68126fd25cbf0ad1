"""GGML files in the last form before GGUF (`ggjt`, version 3), for programs that still say that they read them."""

from __future__ import annotations

import struct
from pathlib import Path

from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.plain_llama import MULTIPLE, PlainLlama, plain_llama
from InferenceLibrary.modelfiles.safetensors_file import write_companions
from InferenceLibrary.modelfiles.tiny import ModelFile

# The magic number is written as a number, so that its letters stand backwards.
_MAGIC, _VERSION, _F32, _ALIGNMENT = b"tjgg", 3, 0, 32
CONTEXT_LENGTH = 2048
"""GGML files do not name one; this is what llama models of that time had."""


def create_tiny_ggml(path: str | Path, *, seed: int = 0, name: str = "tiny-random") -> ModelFile:
    """Write a llama model of random weights in the format GGML. Its vocabulary is the 256 bytes and three marks.

    `config.json` and a tokenizer are written into the same folder: programs of today look for them there.

    Args:
        path: The file to write; an older one is replaced.
        seed: The same seed gives the same file.
        name: What to call the model; the format has no place for it.

    Raises:
        ModelError: The file cannot be written.
    """
    target = Path(path)
    model = plain_llama(seed)
    with replaced(target) as part:
        part.write_bytes(to_ggml(model))
    write_companions(target.parent, model, CONTEXT_LENGTH)
    return ModelFile(target, "random", name, target.stat().st_size, model.parameters, CONTEXT_LENGTH, format="ggml")


def to_ggml(model: PlainLlama) -> bytes:
    """Return the bytes of a file."""
    width, heads = model.embedding_length, model.heads
    made = bytearray(_MAGIC)
    made += struct.pack(
        "<8I", _VERSION, len(model.vocabulary), width, MULTIPLE, heads, model.layers, width // heads, _F32
    )
    for token in model.vocabulary:
        text = token.encode() if isinstance(token, str) else bytes([token])
        made += struct.pack("<I", len(text)) + text + struct.pack("<f", 0.0)
    for tensor in model.tensors:
        name = tensor.meta_name.encode()
        made += struct.pack("<3I", len(tensor.shape), len(name), _F32)
        # What is contiguous comes first.
        made += struct.pack(f"<{len(tensor.shape)}I", *reversed(tensor.shape)) + name
        made += b"\0" * (-len(made) % _ALIGNMENT)
        made += tensor.bytes()
    return bytes(made)
