"""What the headers of whole files say, against the packages that define the formats, and against our writers."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from gguf import GGUFReader
from gguf.constants import GGML_QUANT_SIZES, LlamaFileType
from modelfiles.headers.model_bytes import ARCHITECTURE, ARRAY, F32, STRING, U32, entry, gguf, string, tensor

from InferenceLibrary.modelfiles.headers import ModelFileError, ModelInfo, read_model_info
from InferenceLibrary.modelfiles.headers.safetensors import add_config
from InferenceLibrary.modelfiles.headers.tensor_types import FILE_TYPES, TENSOR_TYPES
from InferenceLibrary.modelfiles.tiny import create_tiny_model


def info_of(path: Path, expected: str | None = None) -> ModelInfo:
    with path.open("rb") as file:
        return read_model_info(file, expected)


def test_gguf_agrees_with_the_gguf_package(whole_files: dict[str, Path]) -> None:
    info, reader = info_of(whole_files["gguf"]), GGUFReader(whole_files["gguf"])
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert info.tensors == len(reader.tensors)
    assert info.parameters == sum(int(one.n_elements) for one in reader.tensors)
    assert sum(info.types.values()) == sum(int(one.n_bytes) for one in reader.tensors)
    assert set(info.metadata) == set(fields)
    for key, value in fields.items():
        shown = info.metadata[key]
        assert shown == (value if not isinstance(value, list) or len(value) <= 64 else len(value)), key


def test_what_a_gguf_file_says(whole_files: dict[str, Path]) -> None:
    info = info_of(whole_files["gguf"])
    assert (info.format, info.version, info.architecture, info.name) == ("gguf", 3, "llama", "tiny")
    assert (info.layers, info.heads, info.context_length, info.quantization) == (2, 1, 128, "F32")
    assert info.vocabulary == 2048
    assert str(info).startswith("gguf version 3, llama, F32, 2 layers, 1 heads, 2,048 tokens, 307,520 parameters, ")


def test_half_precision_is_told(tmp_path: Path) -> None:
    made = create_tiny_model(tmp_path / "r.gguf", "random", context_length=128)
    info = info_of(made.path)
    assert (info.quantization, info.parameters) == ("F16", made.parameters)


def test_what_safetensors_say_alone_and_with_their_config(whole_files: dict[str, Path]) -> None:
    info = info_of(whole_files["safetensors"])
    assert (info.format, info.layers, info.vocabulary, info.embedding_length) == ("safetensors", 2, 259, 64)
    assert (info.architecture, info.heads, info.quantization) == (None, None, "F32")
    assert info.metadata == {"format": "pt", "name": "tiny-random"}
    add_config(info, (whole_files["safetensors"].parent / "config.json").read_bytes())
    assert (info.architecture, info.heads, info.context_length) == ("llama", 2, 512)


def test_what_a_ggml_file_says(whole_files: dict[str, Path]) -> None:
    info = info_of(whole_files["ggml"])
    assert (info.format, info.version, info.architecture) == ("ggml", 3, "llama")
    assert (info.layers, info.heads, info.embedding_length, info.vocabulary) == (2, 2, 64, 259)
    assert (info.quantization, info.tensors, info.parameters) == ("F32", 21, 139_968)


@pytest.mark.parametrize("kind", ["gguf", "safetensors", "ggml"])
def test_the_format_is_found_or_can_be_asked_for(whole_files: dict[str, Path], kind: str) -> None:
    assert info_of(whole_files[kind]).format == kind
    assert info_of(whole_files[kind], kind).format == kind
    other = "ggml" if kind == "gguf" else "gguf"
    with pytest.raises(ModelFileError, match=f"^it is not a {other} file but a {kind} file$") as caught:
        info_of(whole_files[kind], other)
    assert caught.value.problem == "foreign"


def test_types_are_those_of_the_gguf_package() -> None:
    sizes = {kind.value: size for kind, size in GGML_QUANT_SIZES.items()}
    names = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType}
    ours = {number: size[1:] for number, size in TENSOR_TYPES.items()}, FILE_TYPES
    theirs = sizes, {number: name for number, name in names.items() if name != "GUESSED"}
    assert all(their.items() <= our.items() for our, their in zip(ours, theirs, strict=True))
    if max(sizes) >= max(ours[0]):  # an older package knows fewer
        assert ours == theirs


def read(data: bytes) -> ModelInfo:
    return read_model_info(io.BytesIO(data))


def test_a_value_for_each_layer_counts_by_its_largest() -> None:
    heads = entry("llama.attention.head_count", ARRAY, struct.pack("<IQ3I", U32, 3, 8, 16, 4))
    assert read(gguf(ARCHITECTURE, heads)).heads == 16


def test_arrays_of_arrays_and_all_scalars() -> None:
    inner = struct.pack("<IQ2I", U32, 2, 7, 8)
    nested = entry("x.nested", ARRAY, struct.pack("<IQ", ARRAY, 2) + inner + inner)
    number = entry("x.float", F32, struct.pack("<f", 0.5))
    yes = entry("x.bool", 7, b"\1")
    assert read(gguf(ARCHITECTURE, nested, number, yes)).metadata == {
        "general.architecture": "llama",
        "x.nested": [[7, 8], [7, 8]],
        "x.float": 0.5,
        "x.bool": True,
    }


def test_version_1_has_short_lengths() -> None:
    short = struct.pack("<I", 20) + b"general.architecture" + struct.pack("<II", STRING, 5) + b"llama"
    assert read(b"GGUF" + struct.pack("<III", 1, 0, 1) + short).architecture == "llama"


def test_quantization_by_what_most_bytes_are() -> None:
    tensors = (tensor("a", (32,), 2, 0), tensor("b", (4,), 0, 32))
    assert read(gguf(ARCHITECTURE, tensors=tensors, data=64)).quantization == "Q4_0"


def test_an_alignment_of_its_own() -> None:
    wide = entry("general.alignment", U32, struct.pack("<I", 64))
    data = gguf(ARCHITECTURE, wide, tensors=(tensor("a"), tensor("b", offset=64)), data=0)
    whole = data + b"\0" * (-len(data) % 64) + b"\0" * 80
    assert read(whole).tensors == 2
    with pytest.raises(ModelFileError, match="'b' ends at byte"):
        read(whole[:-1])


def test_strings_that_are_not_utf8_do_not_stop_it() -> None:
    assert read(gguf(ARCHITECTURE, entry("general.name", STRING, string(b"\xff")))).name == "\ufffd"
