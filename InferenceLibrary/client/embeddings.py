"""Embeddings as numbers, whichever way the server encoded them."""

from __future__ import annotations

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.protocol.messages import Usage, read_usage
from InferenceLibrary.protocol.strict_json import show
from InferenceLibrary.protocol.vectors import is_finite, read_vector


class Embeddings:
    """The vectors of one answer, in the order of the inputs."""

    def __init__(self, vectors: list[list[float]], reply: Reply, encoding: str) -> None:
        self.vectors = vectors
        self.reply = reply
        self.encoding = encoding
        """How the server sent them: `float` or `base64`."""

    @property
    def dimensions(self) -> int:
        return len(self.vectors[0]) if self.vectors else 0

    @property
    def usage(self) -> Usage | None:
        return read_usage(self.reply.json)

    def __str__(self) -> str:
        return f"{len(self.vectors)} vectors of {self.dimensions} dimensions ({self.encoding})"

    __repr__ = __str__


def read_embeddings(reply: Reply, inputs: int) -> Embeddings:
    """Return the vectors of an answer.

    Raises:
        ValueError: They are not as many as the inputs, their indices are wrong, their lengths differ, or one cannot be
            decoded.
    """
    data = reply.json.get("data") if isinstance(reply.json, dict) else None
    if not isinstance(data, list) or len(data) != inputs:
        got = len(data) if isinstance(data, list) else "none"
        raise ValueError(f"expected {inputs} embeddings in 'data', got {got}")
    vectors, encodings = [], set()
    for index, item in enumerate(data):
        if not isinstance(item, dict) or item.get("index") != index:
            found = item.get("index") if isinstance(item, dict) else item
            raise ValueError(f"expected index {index} for embedding {index}, got {found!r}")
        value = item.get("embedding")
        encodings.add("base64" if isinstance(value, str) else "float")
        vectors.append(_decoded(value, index))
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"expected vectors of one length, got lengths {sorted(lengths)}")
    return Embeddings(vectors, reply, "/".join(sorted(encodings)))


def _decoded(value: object, index: int) -> list[float]:
    vector = read_vector(value)
    if vector is None and isinstance(value, str):
        raise ValueError(f"expected base64 of 32-bit floats for embedding {index}, got {show(value)}")
    if vector is None or not is_finite(vector):
        found = next((one for one in vector or () if not is_finite([one])), None)
        got = type(value).__name__ if found is None else show(found)
        raise ValueError(f"expected finite numbers or base64 text for embedding {index}, got {got}")
    return [float(one) for one in vector]
