"""What is not a whole model file is refused: for its own reason, by the readers' own error, and within the limit."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from modelfiles.headers.model_bytes import ARCHITECTURE, ARRAY, STRING, U32, CountingFile, entry, gguf, string, tensor

from InferenceLibrary.modelfiles.broken import broken_kinds, create_broken_model
from InferenceLibrary.modelfiles.headers import FORMATS, ModelFileError, read_model_info
from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.safetensors import add_config

PROBLEMS = {
    "truncated": {"truncated"},
    "truncated-header": {"truncated", "size"},
    "bad-magic": {"foreign"},
    "wrong-version": {"version"},
    "huge-count": {"size"},
    "huge-size": {"size", "truncated"},
    "empty": {"empty"},
    "garbage": {"foreign"},
    "html-page": {"foreign"},
    "lfs-pointer": {"foreign"},
}
CASES = [
    (kind, file_format)
    for file_format in FORMATS
    for kind in broken_kinds(file_format)
    if kind not in {"directory", "unreadable"}
]


@pytest.mark.parametrize(("kind", "file_format"), CASES)
def test_each_broken_kind_is_refused_for_its_reason(tmp_path: Path, kind: str, file_format: str) -> None:
    made = create_broken_model(tmp_path / "model", kind, file_format)
    for expected in (None, file_format):
        with made.path.open("rb") as file, pytest.raises(ModelFileError) as caught:
            read_model_info(file, expected)
        assert caught.value.problem in PROBLEMS[kind], caught.value
        assert "\n" not in str(caught.value)


def test_the_kinds_are_all_there() -> None:
    assert {kind for kind, _ in CASES} == set(PROBLEMS)


def refusal(data: bytes, expected: str | None = None) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model_info(io.BytesIO(data), expected)
    return f"{caught.value.problem}: {caught.value}"


def number(key: str, value: int) -> bytes:
    return entry(key, U32, struct.pack("<I", value))


A, B = tensor("a"), tensor("b")
GGUF_REFUSALS = {
    "metadata: its metadata names no general.architecture": gguf(number("x", 1)),
    "metadata: its metadata has the key 'general.architecture' twice": gguf(ARCHITECTURE, ARCHITECTURE),
    "metadata: its metadata entry 'general.architecture' is not a text": gguf(number("general.architecture", 1)),
    "metadata: its metadata entry 'llama.block_count' is not a whole number": gguf(
        ARCHITECTURE, entry("llama.block_count", STRING, string("2"))
    ),
    "metadata: its metadata entry 'x' is of the unknown type 13": gguf(ARCHITECTURE, entry("x", 13, b"")),
    "metadata: metadata key 1 is not UTF-8": gguf(entry(b"\xff\xfe", U32, b"\0\0\0\0"), data=8),
    "metadata: its general.alignment is 48, which is not a power of two": gguf(
        ARCHITECTURE, number("general.alignment", 48)
    ),
    "tensor: it has the tensor 'a' twice": gguf(ARCHITECTURE, tensors=(A, A), data=64),
    "tensor: its tensor 'b' overlaps 'a'": gguf(ARCHITECTURE, tensors=(A, B), data=64),
    "tensor: its tensor 'a' is of the unknown type 4": gguf(ARCHITECTURE, tensors=(tensor("a", kind=4),), data=64),
    "tensor: its tensor 'a' has rows of 33, which Q4_0 cannot hold": gguf(
        ARCHITECTURE, tensors=(tensor("a", (33,), 2),), data=64
    ),
    "tensor: its tensor 'a' has rows of 1, which Q4_0 cannot hold": gguf(
        ARCHITECTURE, tensors=(tensor("a", (), 2),), data=64
    ),
    "tensor: its tensor 'a' stands at 8, no multiple of 32": gguf(
        ARCHITECTURE, tensors=(tensor("a", offset=8),), data=64
    ),
    "tensor: its tensor 'a' has 5 dimensions, at most 4 can be": gguf(
        ARCHITECTURE, tensors=(tensor("a", (1, 1, 1, 1, 1)),), data=64
    ),
}


@pytest.mark.parametrize("text", GGUF_REFUSALS)
def test_what_a_gguf_file_must_not_say(text: str) -> None:
    assert refusal(GGUF_REFUSALS[text]) == text


def test_the_last_byte_counts() -> None:
    whole = gguf(ARCHITECTURE, tensors=(A,), data=16)
    assert read_model_info(io.BytesIO(whole)).tensors == 1
    assert refusal(whole[:-1]).startswith("truncated: it is cut off: tensor 'a' ends at byte")


def test_big_endian_is_named() -> None:
    assert "written for big-endian machines (version 3)" in refusal(b"GGUF" + struct.pack(">IQQ", 3, 0, 0))


def test_an_array_of_arrays_has_a_floor() -> None:
    deep = b"".join(struct.pack("<IQ", ARRAY, 1) for _ in range(50))
    assert "array of arrays, 4 deep" in refusal(gguf(ARCHITECTURE, entry("x", ARRAY, deep)))


def safetensors(header: object, data: int = 0, *, raw: bytes | None = None) -> bytes:
    text = json.dumps(header).encode() if raw is None else raw
    return struct.pack("<Q", len(text)) + text + b"\0" * data


def one(dtype: object = "F32", shape: object = (2, 2), offsets: object = (0, 16)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


SAFETENSORS_REFUSALS = {
    "size: it has 1 bytes that belong to no tensor": safetensors({"a": one()}, 17),
    "truncated: it is cut off: tensor 'a' ends at byte 89": safetensors({"a": one()}, 15),
    "tensor: its tensor 'a' leaves a gap of 4 bytes": safetensors({"a": one(offsets=(4, 20))}, 20),
    "tensor: its tensor 'b' overlaps the tensor before it": safetensors({"a": one(), "b": one(offsets=(8, 24))}, 24),
    "tensor: its tensor 'a' has 16 bytes, its shape and type need 32": safetensors({"a": one("F64")}, 16),
    "tensor: its tensor 'a' has 1 bytes, its shape and type need 1.5": safetensors({"a": one("F4", [3], [0, 1])}, 1),
    "tensor: its tensor 'a' is of the unknown type 'F33'": safetensors({"a": one("F33")}, 16),
    "tensor: its tensor 'a' is of the unknown type ['F32']": safetensors({"a": one(["F32"])}, 16),
    "tensor: its tensor 'a' has a shape or offsets that are not whole numbers": safetensors(
        {"a": one(shape=[2.0])}, 16
    ),
    "tensor: its tensor 'a' has a shape or offsets": safetensors({"a": one(offsets=[-16, 0])}, 16),
    "tensor: its tensor 'a' is not told by dtype, shape and data_offsets": safetensors({"a": 1}),
    "size: its tensor 'a' claims more numbers than 64 bits can count": safetensors({"a": one(shape=[1 << 63, 2])}),
    "metadata: its __metadata__ is not an object of texts": safetensors({"__metadata__": {"a": 1}}),
    "metadata: its header has a key twice": safetensors(None, raw=b'{"a": 1, "a": 1}'),
    "metadata: its header is not JSON: it is nested too deeply": safetensors(None, raw=b'{"a":' + b"[" * 100_000),
    "metadata: its header is not UTF-8": safetensors(None, raw=b'{"\xff": 1}'),
    "metadata: its header is not JSON": safetensors(None, raw=b"{" + b"1" * 5000),
}


@pytest.mark.parametrize("text", SAFETENSORS_REFUSALS)
def test_what_a_safetensors_file_must_not_say(text: str) -> None:
    assert refusal(SAFETENSORS_REFUSALS[text]).startswith(text)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"[]", "config.json: it is not a JSON object"),
        (b"{", "config.json: its header is not JSON"),
        (b'{"num_hidden_layers": "2"}', "config.json: num_hidden_layers is not a whole number"),
        (b'{"model_type": 3}', "config.json: model_type is not a text"),
    ],
)
def test_a_broken_config_is_refused(raw: bytes, text: str) -> None:
    with pytest.raises(ModelFileError, match=text):
        add_config(ModelInfo("safetensors"), raw)


def test_a_ggml_file_without_all_its_layers_is_cut_off(whole_files: dict[str, Path]) -> None:
    raw = whole_files["ggml"].read_bytes()
    place = raw.index(b"layers.1.") - 20
    assert "names 2 layers and has tensors of 1" in refusal(raw[:place])
    assert "no tensor after its vocabulary" in refusal(raw[: raw.index(b"tok_embeddings") - 20])


# Whatever the bytes are

LIMIT = 4096
BEGINS = [b"GGUF\3\0\0\0", b"GGUF\1\0\0\0", b"lmgg", b"fmgg\1\0\0\0", b"tjgg\3\0\0\0", b"\x40\0\0\0\0\0\0\0{", b""]


def never_fails_otherwise(data: bytes, expected: str | None = None) -> None:
    file = CountingFile(data)
    with contextlib.suppress(ModelFileError):
        read_model_info(file, expected, limit=LIMIT)
    assert file.bytes_read <= LIMIT


@given(st.sampled_from(BEGINS), st.binary(max_size=400), st.sampled_from([None, *FORMATS]))
@settings(max_examples=400, deadline=None)
@example(b"tjgg\3\0\0\0", b"\xff" * 40, None)
def test_no_bytes_raise_another_error(begin: bytes, rest: bytes, expected: str | None) -> None:
    never_fails_otherwise(begin + rest, expected)


@given(
    kind=st.sampled_from(list(FORMATS)),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=9)), max_size=4),
    length=st.integers(0, 700_000),
)
@settings(max_examples=300, deadline=None)
def test_no_change_of_a_whole_file_raises_another_error(
    whole_files: dict[str, Path], kind: str, changes: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(whole_files[kind].read_bytes())
    for place, new in changes:
        data[place : place + len(new)] = new
    never_fails_otherwise(bytes(data[:length]))


@pytest.mark.parametrize("kind", ["gguf", "safetensors", "ggml"])
def test_no_shorter_file_is_whole(whole_files: dict[str, Path], kind: str) -> None:
    whole = whole_files[kind].read_bytes()
    lengths = {*range(300), *range(300, len(whole), 20_011), len(whole) - 1}
    for length in sorted(lengths):
        with pytest.raises(ModelFileError):
            read_model_info(io.BytesIO(whole[:length]))


@pytest.mark.parametrize("kind", ["gguf", "safetensors", "ggml"])
def test_weights_are_not_read(whole_files: dict[str, Path], kind: str) -> None:
    file = CountingFile(whole_files[kind].read_bytes())
    read_model_info(file)
    assert file.bytes_read < len(file.getvalue()) / 5


def test_a_limit_that_is_too_low_is_told(whole_files: dict[str, Path]) -> None:
    with whole_files["gguf"].open("rb") as file, pytest.raises(ModelFileError) as caught:
        read_model_info(file, limit=1000)
    assert caught.value.problem == "limit"


class HugeFile(io.BytesIO):
    """A file that says that it is large."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return 1 << 50 if whence == 2 else super().seek(offset, whence)


def test_a_claim_is_not_believed_because_the_file_is_large() -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry("x", ARRAY, struct.pack("<IQ", STRING, 1 << 40))
    with pytest.raises(ModelFileError):
        read_model_info(HugeFile(head + b"\0" * 800_000), limit=500_000)
