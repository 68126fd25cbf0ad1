"""A session whose providers are faked at the edge of onnxruntime: it says CUDA and computes on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_session = onnxruntime.InferenceSession


class FakeGpu:
    """What the GPU build and the GPU do.

    Args:
        left_on_cpu: Operators that CUDA does not compute.
        error: What onnxruntime says in every run that fails; empty to compute.
        wrong: Added to every output on CUDA.
        room: Bytes of inputs above which there is no memory when a limit was asked for.
    """

    def __init__(
        self, left_on_cpu: tuple[str, ...] = (), error: str = "", wrong: float = 0.0, room: int | None = None
    ) -> None:
        self.left_on_cpu = left_on_cpu
        self.error = error
        self.wrong = wrong
        self.room = room
        self.asked: list[Any] = []
        self.open = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
        monkeypatch.setattr(onnxruntime, "InferenceSession", self.session)

    def session(self, path: str, options: Any, providers: list[Any]) -> Any:
        self.asked.append(providers)
        if providers[0][0] == CPU:
            return _session(path, options, providers=[CPU])
        limited = any("gpu_mem_limit" in item[1] for item in providers)
        return _FakeSession(self, path, options, self.room if limited else None)


class _FakeSession:
    def __init__(self, gpu: FakeGpu, path: str, options: Any, room: int | None) -> None:
        self._gpu = gpu
        self._room = room
        self._real = _session(path, options, providers=[CPU])
        gpu.open += 1

    def __del__(self) -> None:
        self._gpu.open -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [
            SimpleNamespace(ep_name=CUDA if CUDA in self._of(node.op_type) else CPU, get_nodes=lambda node=node: [node])
            for part in self._real.get_provider_graph_assignment_info()
            for node in part.get_nodes()
        ]

    def run(self, names: Any, feed: Any, options: Any = None) -> Any:
        if self._gpu.error:
            raise RuntimeError(self._gpu.error)
        if self._room is not None and sum(value.nbytes for value in feed.values()) > self._room:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 240000000")
        return [value + self._gpu.wrong if self._gpu.wrong else value for value in self._real.run(names, feed, options)]

    def end_profiling(self) -> str:
        path = Path(self._real.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
        for event in events:
            about = event.get("args") or {}
            if "provider" in about:
                about["provider"] = self._of(about["op_name"])
        path.write_text(json.dumps(events), encoding="utf-8")
        return str(path)

    def _of(self, operator: str) -> str:
        return CPU if operator in self._gpu.left_on_cpu else CUDA
