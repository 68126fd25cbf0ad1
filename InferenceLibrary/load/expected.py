"""How long a chat of some sentences is expected to take, by the size of its model. Pure.

The classes are those of a router's team for vLLM on one GPU node, so they tell what is unusual, and prove nothing.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

ModelClass = Literal["simulator", "7B", "13B", "70B"]


class ExpectedLatency(NamedTuple):
    """Seconds of a whole answer."""

    low: float
    high: float


EXPECTED: dict[ModelClass, ExpectedLatency] = {
    # About 20 ms, and some patience with a busy machine.
    "simulator": ExpectedLatency(0.0, 0.1),
    "7B": ExpectedLatency(1, 3),
    "13B": ExpectedLatency(3, 7),
    "70B": ExpectedLatency(10, 30),
}
CAUSES = (
    "look for other work on the GPU (nvidia-smi), for a model that is still being loaded (the server's log), and for "
    "the network between (the time to the first byte of a small call)"
)
"""What makes answers of any class take longer than all classes allow."""
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])")
_LARGEST = (("7B", 10.0), ("13B", 35.0), ("70B", 100.0))
"""Billions of parameters up to which a model belongs to a class."""


def class_of(model: str) -> ModelClass | None:
    """Return the class of a model by the size in its name (`Llama-2-7b-chat`); None where it has none or is larger."""
    sizes = [float(found) for found in _SIZE.findall(model)]
    if not sizes:
        return None
    for name, largest in _LARGEST:
        if sizes[0] <= largest:
            return next(one for one in get_args(ModelClass) if one == name)
    return None
