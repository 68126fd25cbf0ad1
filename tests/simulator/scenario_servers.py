"""The stand-ins that public scenarios ask, and the files that they are started with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from simulator import (
    scenarios_llama_cpp,
    scenarios_llama_cpp_more,
    scenarios_llama_cpp_router,
    scenarios_tgi,
    scenarios_vllm,
    scenarios_vllm_more,
)
from simulator.public_scenarios import StandIns

MODULES = (
    scenarios_llama_cpp,
    scenarios_llama_cpp_more,
    scenarios_llama_cpp_router,
    scenarios_vllm,
    scenarios_vllm_more,
    scenarios_tgi,
)


@contextmanager
def servers() -> Iterator[StandIns]:
    """Give the stand-ins for as long as they are needed, in a folder with their files."""
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {}
        for module in MODULES:
            commands |= module.commands(Path(folder))
        standing = StandIns(commands)
        try:
            yield standing
        finally:
            standing.close()
