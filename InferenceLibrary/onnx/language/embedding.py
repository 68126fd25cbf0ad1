"""A sentence-embedding model in ONNX, and running one: texts to unit vectors whose directions say what is alike.

The model that is made here knows groups of words by their topic. A word's vector is that of its topic and a part of its
own; words that it does not know are spelled in pieces with vectors of their own, so that the same word is still alike.
A text's vector is the mean of its words', so "The dog barks" stands nearer to "A puppy" than to "Paris".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.vocabulary import BOS, COMMON_WORDS, END
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.graphs import FLOAT, INT64, constant, floats
from InferenceLibrary.onnx.language.tokenizer import METADATA, SPACE, Tokenizer
from InferenceLibrary.onnx.model import OnnxModel
from InferenceLibrary.onnx.native_errors import native_errors

CONFIG = "inferencelibrary.embedding"
"""The entry of the model's metadata that holds its sizes, as JSON."""

DIMENSIONS = 64

TOPICS = (
    "dog dogs puppy puppies hound bark barks barking leash",
    "cat cats kitten kittens purr purrs meow whiskers",
    "capital city cities town metropolis Paris London Berlin Madrid Rome Vienna Tokyo",
    "country countries nation France Germany Spain Italy Austria Japan England Europe",
    "food eat eats eating meal dinner lunch cook cooks cooking recipe kitchen bread cheese",
    "drink drinks water tea coffee wine beer thirsty",
    "car cars truck drive drives driving road engine wheel motor",
    "computer computers server servers software program code processor machine",
    "model models language learning network training neural inference token tokens",
    "weather rain rains sun sunny snow wind storm cloud clouds cold warm",
    "money price prices cost costs pay pays bank dollar euro cheap expensive",
    "music song songs sing sings singing piano guitar band melody",
    "book books read reads reading novel story author library page pages",
    "doctor hospital medicine ill sick health nurse patient pain",
    "football soccer game games goal player players team match sport ball",
    "ship ships boat boats sea ocean sail sails harbor river",
)
_PLAIN_SHARE = 0.1
"""How much words without a topic count: they stand in every text."""
_OWN_SHARE = 0.55
"""How much of a word's vector is its own and not its topic's."""


def create_embedding_model(path: Path, *, dimensions: int = DIMENSIONS, seed: int = 0) -> Path:
    """Write a sentence-embedding model with its tokenizer as one .onnx file.

    Args:
        path: The file.
        dimensions: Length of a vector.
        seed: Of the directions of topics and words.

    Raises:
        ModelError: The length cannot be used, or the file cannot be written.
        MissingExtraError: The package onnx is not installed.
    """
    if dimensions < 8:
        raise ModelError(describe("dimensions cannot be used", expected="8 or more", got=str(dimensions)))
    onnx = packages.onnx("Making an embedding model")
    np = packages.numpy("Making an embedding model")
    draw = np.random.default_rng(seed)

    def direction() -> Any:
        vector = draw.standard_normal(dimensions)
        return vector / np.linalg.norm(vector)

    pieces = [BOS, END, *(f"<0x{byte:02X}>" for byte in range(256))]
    vectors = [np.zeros(dimensions)] * 2 + [_PLAIN_SHARE * direction() for _ in range(256)]
    known: dict[str, Any] = {}
    for topic in TOPICS:
        shared = direction()
        for word in topic.split():
            vector = shared + _OWN_SHARE * direction()
            for form in dict.fromkeys((word, word.lower(), word.capitalize())):
                known.setdefault(form, vector)
    for word in COMMON_WORDS.split():
        vector = _PLAIN_SHARE * direction()
        for form in dict.fromkeys((word, word.capitalize())):
            known.setdefault(form, vector)
    for letter in map(chr, range(33, 127)):
        known.setdefault(letter, (_OWN_SHARE if letter.isalnum() else _PLAIN_SHARE) * direction())
    known[""] = np.zeros(dimensions)
    for word, vector in known.items():
        for piece in dict.fromkeys((SPACE + word, word)):
            if piece:
                pieces.append(piece)
                vectors.append(vector)
    tokenizer = Tokenizer.of(pieces, [0, 1], None, 1)
    table = np.array(vectors, np.float32)
    model = onnx.helper.make_model(
        _graph(onnx.helper, np, table),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        producer_name="robotframework-inferencelibrary",
    )
    model.ir_version = 8
    onnx.helper.set_model_props(model, {METADATA: tokenizer.to_json(), CONFIG: json.dumps({"dimensions": dimensions})})
    onnx.checker.check_model(model, full_check=True)
    with replaced(path, "Embedding model") as part:
        part.write_bytes(model.SerializeToString())
    return path


def _graph(helper: Any, np: Any, table: Any) -> Any:
    width = int(table.shape[1])
    return helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["present"], to=FLOAT),
            helper.make_node("Unsqueeze", ["present", "last"], ["weights"]),
            helper.make_node("Mul", ["words", "weights"], ["counted"]),
            helper.make_node("ReduceSum", ["counted", "middle"], ["sum"], keepdims=0),
            helper.make_node("ReduceL2", ["sum"], ["length"], axes=[-1], keepdims=1),
            helper.make_node("Max", ["length", "least"], ["divisor"]),
            helper.make_node("Div", ["sum", "divisor"], ["sentence_embedding"]),
        ],
        "embedding",
        [
            helper.make_tensor_value_info("input_ids", INT64, ["batch", "sequence"]),
            helper.make_tensor_value_info("attention_mask", INT64, ["batch", "sequence"]),
        ],
        [floats(helper, "sentence_embedding", ["batch", width])],
        [
            constant("table", table),
            constant("last", np.array([2], np.int64)),
            constant("middle", np.array([1], np.int64)),
            constant("least", np.array([1e-12], np.float32)),
        ],
    )


@dataclass
class EmbeddingModel:
    """A sentence-embedding model that is loaded."""

    model: OnnxModel
    tokenizer: Tokenizer
    dimensions: int

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; an empty one has the token that ends it."""
        return self.tokenizer.encode(text) or [self.tokenizer.eos]

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a unit vector for each text.

        Raises:
            ModelError: The model failed.
        """
        np = packages.numpy("Embedding")
        tokens = [self.encode(text) for text in texts]
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros_like(ids)
        for place, items in enumerate(tokens):
            ids[place, : len(items)], mask[place, : len(items)] = items, 1
        try:
            [vectors] = self.model.session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
        except native_errors() as error:
            raise self.model.failure(error) from None
        found: list[list[float]] = vectors.tolist()
        return found


def embedding_model(model: OnnxModel) -> EmbeddingModel:
    """Return a loaded model as an embedding model.

    Raises:
        ModelError: It does not hold a tokenizer and the length of its vectors.
    """
    custom = model.metadata.get("custom", {})
    if METADATA not in custom or CONFIG not in custom:
        raise ModelError(
            describe(
                f"ONNX model '{model.name}' is not an embedding model of this library",
                expected=f"metadata '{METADATA}' and '{CONFIG}'",
                got=", ".join(custom) or "none",
                hint="Create Onnx Language Model    embedding makes one",
            )
        )
    try:
        dimensions = int(json.loads(custom[CONFIG])["dimensions"])
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(describe(f"The sizes in '{model.name}' cannot be read", got=repr(error))) from None
    return EmbeddingModel(model, Tokenizer.from_json(custom[METADATA]), dimensions)
