"""How a model is loaded: providers with their options, graph optimisation, threads, memory, IO binding, CUDA graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.monitor.gpu import gpu_status
from InferenceLibrary.onnx.providers import resolve_providers, short_name

GraphOptimization = Literal["all", "extended", "basic", "disabled"]

_WITH_GRAPHS = {"CUDAExecutionProvider": "enable_cuda_graph", "TensorrtExecutionProvider": "trt_cuda_graph_enable"}
_WITH_LIMIT = {"CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider"}
_WITH_DEVICE = {
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
    "NvTensorRTRTXExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "DmlExecutionProvider",
}
_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}
_WARNING = 2


@dataclass(frozen=True)
class LoadOptions:
    """Options of a session.

    Args:
        providers: `CPU`, `CUDA`, `CUDA,CPU` or full names, the preferred first.
        fallback: Accept that a provider that could not start is left out.
        graph_optimization: How far onnxruntime may rewrite the graph.
        device_id: Number of the GPU.
        memory_limit: Bytes that a GPU provider may take for its arena; None for no limit.
        threads: Threads within one operator; None leaves it to onnxruntime.
        io_binding: Keep inputs and outputs in memory of the device and copy them apart from the run.
        cuda_graph: Capture the run into a CUDA graph; needs IO binding and fixed shapes.
        session_config: Session configuration entries by key, such as `session.use_device_allocator_for_initializers`.
        provider_options: Options by provider, such as `{"CUDA": {"cudnn_conv_algo_search": "DEFAULT"}}`.
    """

    providers: str | Sequence[str] = "CPU"
    fallback: bool = False
    graph_optimization: GraphOptimization = "all"
    device_id: int = 0
    memory_limit: int | None = None
    threads: int | None = None
    io_binding: bool = False
    cuda_graph: bool = False
    session_config: Mapping[str, str] = field(default_factory=dict)
    provider_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def asked(self) -> list[str]:
        """Return the full names of the providers, in order.

        Raises:
            ModelError: One is unknown, or none was named.
            ProviderMissing: One is not in this build of onnxruntime.
        """
        return resolve_providers(self.providers)

    def for_providers(self, asked: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """Return each provider with its options, as onnxruntime takes them.

        Raises:
            ModelError: An option belongs to a provider that is not asked for, or a device does not exist.
        """
        by_short = {short_name(str(name)).lower(): values for name, values in self.provider_options.items()}
        unknown = [name for name in by_short if name not in {short_name(full).lower() for full in asked}]
        if unknown:
            raise ModelError(
                describe(
                    f"provider_options names '{unknown[0]}'",
                    expected=f"one of the providers asked for: {', '.join(map(short_name, asked))}",
                )
            )
        if self.memory_limit is not None and self.memory_limit <= 0:
            raise ModelError(describe("memory_limit cannot be used", expected="a size above 0", got="less"))
        self._belongs("device_id", self.device_id != 0, asked, _WITH_DEVICE)
        self._belongs("memory_limit", self.memory_limit is not None, asked, _WITH_LIMIT)
        self._belongs("cuda_graph", self.cuda_graph, asked, set(_WITH_GRAPHS))
        if self.device_id != 0:
            self._device_exists()
        return [(name, self._of(name, by_short.get(short_name(name).lower(), {}))) for name in asked]

    def for_session(self, runtime: Any, *, profile_prefix: str | None = None) -> Any:
        """Return the session options.

        Raises:
            ModelError: A number of threads is not positive, or onnxruntime refuses an entry.
        """
        if self.threads is not None and self.threads < 1:
            raise ModelError(
                describe("threads cannot be used", expected="a whole number above 0", got=str(self.threads))
            )
        options = runtime.SessionOptions()
        options.log_severity_level = _WARNING
        options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, _LEVELS[self.graph_optimization])
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        if profile_prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = profile_prefix
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        for key, value in self.session_config.items():
            try:
                options.add_session_config_entry(str(key), str(value))
            except (RuntimeError, ValueError) as error:
                raise ModelError(describe(f"Session option '{key}' was refused", got=str(error))) from error
        return options

    def _of(self, name: str, given: Mapping[str, Any]) -> dict[str, str]:
        options: dict[str, str] = {}
        if name in _WITH_DEVICE:
            options["device_id"] = str(self.device_id)
        if name in _WITH_LIMIT and self.memory_limit is not None:
            options["gpu_mem_limit"] = str(self.memory_limit)
            options["arena_extend_strategy"] = "kSameAsRequested"
        if self.cuda_graph and name in _WITH_GRAPHS:
            options[_WITH_GRAPHS[name]] = "1"
        return options | {str(key): str(value) for key, value in given.items()}

    def _belongs(self, option: str, used: bool, asked: Sequence[str], fitting: set[str]) -> None:
        if used and not fitting & set(asked):
            raise ModelError(
                describe(
                    f"{option} belongs to another provider",
                    expected=f"one of: {', '.join(sorted(map(short_name, fitting)))}",
                    got=", ".join(map(short_name, asked)),
                    hint="name it in providers=",
                )
            )

    def _device_exists(self) -> None:
        if self.device_id < 0:
            raise ModelError(describe("device_id cannot be used", expected="0 or more", got=str(self.device_id)))
        status = gpu_status()
        if status.available and self.device_id >= len(status.names):
            listed = ", ".join(f"{index} ({name})" for index, name in enumerate(status.names))
            raise ModelError(
                describe(
                    "device_id names a GPU that does not exist", expected=f"one of: {listed}", got=str(self.device_id)
                )
            )
