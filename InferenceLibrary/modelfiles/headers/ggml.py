"""GGML, the formats before GGUF (`ggml`, `ggmf`, `ggjt`), as llama.cpp wrote them until August 2023.

Seven numbers about a llama model, its vocabulary, then each tensor's header before its data, until the file ends.
"""

from __future__ import annotations

from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.reader import HeaderReader, ModelFileError
from InferenceLibrary.modelfiles.headers.tensor_types import FILE_TYPES, tensor_size

# The magic numbers were written as numbers, so their letters stand backwards.
MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt"}
VERSIONS = {"ggml": (), "ggmf": (1,), "ggjt": (1, 2, 3)}
ALIGNMENT = 32
MOST_DIMENSIONS = 4
LONGEST_NAME = 512
_QUANTIZATION_VERSION = 1000
"""File types above this number hold the version of the quantization in their thousands."""
_NUMBERS = ("n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype")


def read_ggml(reader: HeaderReader) -> ModelInfo:
    """Read a file from its begin to its end, jumping over the data of tensors.

    Raises:
        ModelFileError: It is not a whole GGML file.
    """
    magic = reader.take(4, "the magic number")
    if magic not in MAGICS:
        raise ModelFileError("foreign", "it does not begin with the magic number of GGML")
    kind = MAGICS[magic]
    version = reader.u32("the version") if VERSIONS[kind] else 0
    if VERSIONS[kind] and version not in VERSIONS[kind]:
        known = ", ".join(map(str, VERSIONS[kind]))
        raise ModelFileError("version", f"its {kind} version is {version}, known: {known}")
    numbers = {name: reader.u32(name) for name in _NUMBERS}
    info = ModelInfo("ggml", version, "llama", size=reader.size)
    info.metadata = {"magic": kind, **numbers}
    info.vocabulary, info.embedding_length = numbers["n_vocab"], numbers["n_embd"]
    info.heads, info.layers = numbers["n_head"], numbers["n_layer"]
    info.quantization = FILE_TYPES.get(numbers["ftype"] % _QUANTIZATION_VERSION)
    _vocabulary(reader, numbers["n_vocab"], scored=kind != "ggml")
    _tensors(reader, info, aligned=kind == "ggjt")
    if info.tensors == 0:
        raise ModelFileError("truncated", "it is cut off: there is no tensor after its vocabulary")
    layers = info.metadata.pop("seen_layers")
    if layers != info.layers:
        raise ModelFileError("truncated", f"it is cut off: it names {info.layers} layers and has tensors of {layers}")
    return info.settle()


def _vocabulary(reader: HeaderReader, count: int, *, scored: bool) -> None:
    reader.claims(count, 8 if scored else 4, "tokens")
    for index in range(count):
        length = reader.u32(f"the length of token {index}")
        reader.skip(length + (4 if scored else 0), f"token {index}")


def _tensors(reader: HeaderReader, info: ModelInfo, *, aligned: bool) -> None:
    names: set[str] = set()
    layers: set[str] = set()
    while reader.remaining:
        dimensions, length = reader.u32("the dimensions of a tensor"), reader.u32("the length of a tensor's name")
        number = reader.u32("the type of a tensor")
        if not 1 <= dimensions <= MOST_DIMENSIONS or not 1 <= length <= LONGEST_NAME:
            raise ModelFileError(
                "tensor", f"a tensor claims {dimensions:,} dimensions and a name of {length:,} bytes: no header of one"
            )
        shape = tuple(reader.u32("the shape of a tensor") for _ in range(dimensions))
        name = reader.text(length, "the name of a tensor")
        if name in names:
            raise ModelFileError("tensor", f"it has the tensor '{name}' twice")
        names.add(name)
        kind, elements, size = tensor_size(name, shape, number)
        if aligned:
            reader.skip(-reader.position % ALIGNMENT, f"the gap before '{name}'")
        reader.skip(size, f"tensor '{name}'")
        info.count(kind, elements, size)
        parts = name.split(".")
        if parts[0] == "layers" and len(parts) > 1:
            layers.add(parts[1])
    info.metadata["seen_layers"] = len(layers)
