"""Models in ONNX that ship in ordinary Python packages, and what their inputs are made of.

`scripts/install_onnx_models.py` puts the packages into a folder; none of them is imported. all-MiniLM-L6-v2 ships as
SafeTensors: its encoder is built here from those weights.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from robot.api import SkipExecution
from robot.api.deco import keyword, library

FLOAT, INT64 = 1, 7


@library(scope="GLOBAL")
class real_onnx_models:  # noqa: N801 - Robot imports a class by its module's name
    """Keywords of the suite of real models."""

    @keyword
    def find_real_model(self, pattern: str) -> Path:
        """Return the file of a package, or skip the test."""
        folder = os.environ.get("ONNX_MODELS", "")
        hint = "scripts/install_onnx_models.py installs them and prints the folder for ONNX_MODELS"
        if not folder:
            raise SkipExecution(f"ONNX_MODELS names no folder of packages with models. Hint: {hint}")
        found = sorted(Path(folder).glob(pattern))
        if not found:
            raise SkipExecution(f"{folder} holds no {pattern}. Hint: {hint}")
        return found[-1]

    @keyword
    def bytes_for_magika(self, text: str) -> Any:
        """The first and the last 1024 bytes without white space around, filled up with 256."""
        raw = text.encode()
        first, last = raw[:4096].lstrip()[:1024], raw[-4096:].rstrip()[-1024:]
        row = [*first, *[256] * (1024 - len(first)), *[256] * (1024 - len(last)), *last]
        return np.array([row], np.int32)

    @keyword
    def label_of(self, model: Path, index: int) -> str:
        """The word for an index of Magika's output."""
        names: list[str] = json.loads((model.parent / "config.min.json").read_text())["target_labels_space"]
        return names[index]

    @keyword
    def sentences_for_minilm(self, weights: Path, *sentences: str) -> dict[str, Any]:
        """Word pieces of lower-case sentences between [CLS] and [SEP], padded, with their mask."""
        words = {line.rstrip("\n"): place for place, line in enumerate((weights.parent / "vocab.txt").open())}
        rows = [[words["[CLS]"], *_pieces(text, words), words["[SEP]"]] for text in sentences]
        longest = max(map(len, rows))
        ids = np.array([[*row, *[0] * (longest - len(row))] for row in rows], np.int64)
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], np.int64)
        return {"input_ids": ids, "attention_mask": mask}

    @keyword
    def build_minilm(self, weights: Path, path: Path) -> Path:
        """Write the encoder as ONNX: word pieces to unit vectors."""
        onnx.save(_encoder(_tensors(weights)), str(path))
        return path


def _pieces(text: str, words: dict[str, int]) -> list[int]:
    spaced = "".join(letter if letter.isalnum() or letter.isspace() else f" {letter} " for letter in text.lower())
    found: list[int] = []
    for word in spaced.split():
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in words:
                    found.append(words[piece])
                    start = end
                    break
            else:
                found.append(words["[UNK]"])
                break
    return found


def _tensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    return {
        name: np.frombuffer(data[about["data_offsets"][0] : about["data_offsets"][1]], np.float32).reshape(
            about["shape"]
        )
        for name, about in header.items()
        if name != "__metadata__" and about["dtype"] == "F32"
    }


def _encoder(weights: dict[str, Any], layers: int = 6, heads: int = 12) -> Any:
    nodes: list[Any] = []
    constants: list[Any] = []

    def op(kind: str, *inputs: str, **about: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [f"{kind}{len(nodes)}"], **about))
        return str(nodes[-1].output[0])

    def const(values: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"c{len(constants)}"))
        return str(constants[-1].name)

    def dense(x: str, name: str) -> str:
        return op("Add", op("MatMul", x, const(weights[f"{name}.weight"].T)), const(weights[f"{name}.bias"]))

    def norm(x: str, name: str) -> str:
        scale, bias = const(weights[f"{name}.weight"]), const(weights[f"{name}.bias"])
        return op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def split(x: str, order: Sequence[int]) -> str:
        return op("Transpose", op("Reshape", x, const([0, 0, heads, -1], np.int64)), perm=order)

    length = op("Gather", op("Shape", "input_ids"), const(1, np.int64))
    places = op("Range", const(0, np.int64), length, const(1, np.int64))
    x = op("Gather", const(weights["embeddings.word_embeddings.weight"]), "input_ids")
    x = op("Add", x, op("Gather", const(weights["embeddings.position_embeddings.weight"]), places))
    x = norm(op("Add", x, const(weights["embeddings.token_type_embeddings.weight"][0])), "embeddings.LayerNorm")
    present = op("Cast", "attention_mask", to=FLOAT)
    hidden = op("Mul", op("Sub", const(1.0), op("Unsqueeze", present, const([1, 2], np.int64))), const(-1e9))
    for layer in range(layers):
        base = f"encoder.layer.{layer}"
        query = split(dense(x, f"{base}.attention.self.query"), [0, 2, 1, 3])
        key = split(dense(x, f"{base}.attention.self.key"), [0, 2, 3, 1])
        value = split(dense(x, f"{base}.attention.self.value"), [0, 2, 1, 3])
        scores = op("Add", op("Mul", op("MatMul", query, key), const((384 / heads) ** -0.5)), hidden)
        looked = op("Transpose", op("MatMul", op("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
        flat = op("Reshape", looked, const([0, 0, 384], np.int64))
        x = norm(op("Add", x, dense(flat, f"{base}.attention.output.dense")), f"{base}.attention.output.LayerNorm")
        inner = dense(x, f"{base}.intermediate.dense")
        gelu = op(
            "Mul", op("Mul", inner, const(0.5)), op("Add", const(1.0), op("Erf", op("Mul", inner, const(0.5**0.5))))
        )
        x = norm(op("Add", x, dense(gelu, f"{base}.output.dense")), f"{base}.output.LayerNorm")
    wide = op("Unsqueeze", present, const([2], np.int64))
    mean = op("ReduceSum", op("Mul", x, wide), const([1], np.int64), keepdims=0)
    nodes.append(helper.make_node("LpNormalization", [mean], ["sentence_embedding"], axis=-1, p=2))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "minilm",
            [
                helper.make_tensor_value_info(name, INT64, ["batch", "sequence"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("sentence_embedding", FLOAT, ["batch", 384])],
            constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    return model
