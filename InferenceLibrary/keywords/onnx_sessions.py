"""Keywords that make and load ONNX models, say what they are, and judge which provider computes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot.api import SkipExecution
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.keywords.shared.onnx_base import OnnxGroup
from InferenceLibrary.types import JsonObject

if TYPE_CHECKING:
    from InferenceLibrary.onnx.model import OnnxModel

Kind = Literal[
    "matmul", "mlp", "sigmoid", "add", "identity", "choose", "repeat", "external", "zipmap", "parts", "log", "noise",
    "center",
]  # fmt: skip
GraphOptimization = Literal["all", "extended", "basic", "disabled"]


class OnnxSessionKeywords(OnnxGroup):
    """ONNX models: made on the spot, loaded, described, and on which provider."""

    @keyword(tags=["onnx"])
    def create_onnx_model(self, kind: Kind = "mlp", path: Path | None = None, *, dtype: str = "float32") -> Path:
        """Write a small ONNX model with known weights.

        All weights are multiples of 1/4, so that right results are the same on every provider. The first dimension is
        free, and all but `identity` take and give float32:

        | kind | what it computes |
        | --- | --- |
        | `matmul` | `y = x @ [[1, 2, 3], [4, 5, 6]]` |
        | `external` | the same, its weights in a second file beside it |
        | `mlp` | two dense layers with relu between: 3 inputs, 2 outputs |
        | `sigmoid` | of 4 values |
        | `add` | `total = left + right` of 2 values each |
        | `identity` | `y = x` in any element type, rows x columns |
        | `choose` | an If: `x` when `positive` is true, else `-x` |
        | `repeat` | a Loop: `x` doubled `times` times |
        | `zipmap` | two classes: `label`, and `probabilities` as a sequence of maps |
        | `parts` | a sequence of two tensors, `x` and `2x` |
        | `log` | infinite at 0 and NaN below |
        | `noise` | `x` and something else in every run |
        | `center` | `x` less the mean of the batch, so that rows depend on each other |

        Args:
            kind: Which model.
            path: Where to write it; a new file beside the log by default.
            dtype: Element type of `identity`, such as `int64`, `bfloat16` or `float8_e4m3fn`.

        Returns:
            The path of the file.

        Raises:
            MissingExtraError: The package `onnx` is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        A Model On The Spot
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Run Onnx Model    [[1, 1]]
            Outputs Should Match    [[5, 7, 9]]
        ```
        """
        from InferenceLibrary.onnx.build import create_model

        made = create_model(kind, path or self.context.artifact("onnx", kind, "onnx"), dtype=dtype)
        self.log.info(f"ONNX model '{kind}' written to {made} ({made.stat().st_size:,} bytes).")
        return made

    @keyword(tags=["onnx"])
    def load_onnx_model(
        self,
        path: Path,
        *,
        providers: str | Sequence[str] = "CPU",
        fallback: bool = False,
        graph_optimization: GraphOptimization = "all",
        device_id: int = 0,
        memory_limit: str | None = None,
        threads: int | None = None,
        io_binding: bool = False,
        cuda_graph: bool = False,
        session_config: JsonObject | None = None,
        provider_options: JsonObject | None = None,
        timeout: timedelta = timedelta(minutes=5),
        alias: str | None = None,
    ) -> Any:
        """Load an ONNX model and make it the current one.

        It is closed with the test or suite that loaded it. onnxruntime falls back to the CPU without an error when a
        GPU provider cannot start. Here that is a failure, and the message holds what onnxruntime wrote about it.

        Args:
            path: The .onnx file.
            providers: `CPU`, `CUDA`, `CUDA,CPU`, or full names such as `CUDAExecutionProvider`, the preferred first.
            fallback: Whether to accept that a provider which could not start is left out.
            graph_optimization: How far onnxruntime may rewrite the graph: `all`, `extended`, `basic`, `disabled`.
            device_id: Number of the GPU.
            memory_limit: The most that the GPU provider may take for its arena, such as `2 GB`.
            threads: Threads within one operator on the CPU; all cores by default.
            io_binding: Whether inputs and outputs are kept in memory of the device, copied apart from the run.
            cuda_graph: Whether the run is captured into a CUDA graph; the shapes are then fixed by the first run.
            session_config: Session configuration entries of onnxruntime, as a JSON object.
            provider_options: Options by provider, such as `{"CUDA": {"cudnn_conv_algo_search": "DEFAULT"}}`.
            timeout: Time limit.
            alias: Name for later keywords; the file's name serves as well.

        Returns:
            The model: `${model.inputs}`, `${model.outputs}`, `${model.active}` (providers), `${model.load_time}` in
            seconds.

        Raises:
            ModelError: No such file, not an ONNX model, an option that does not fit, or a provider that is unknown, not
                in this onnxruntime, or did not start.
            MissingExtraError: onnxruntime is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Load
            ${path} =    Create Onnx Model    sigmoid
            ${model} =    Load Onnx Model    ${path}    providers=CPU    graph_optimization=basic    threads=1
            Log    ${model.inputs}
        ```
        """
        from InferenceLibrary.onnx.model import load_model
        from InferenceLibrary.onnx.options import LoadOptions

        options = LoadOptions(
            providers=providers,
            fallback=fallback,
            graph_optimization=graph_optimization,
            device_id=device_id,
            memory_limit=None if memory_limit is None else self._memory_limit(memory_limit),
            threads=threads,
            io_binding=io_binding,
            cuda_graph=cuda_graph,
            session_config=session_config or {},
            provider_options=provider_options or {},
        )
        model = load_model(path, options, timeout=timeout.total_seconds())
        self.context.onnx_models.add(model, alias)
        self.log.info(f"ONNX model {model}")
        with self.onnx_notes(model):
            pass
        return model

    @keyword(tags=["onnx"])
    def unload_onnx_model(self, *, model: Any = None) -> None:
        """Close an ONNX model and give its memory back before its test or suite ends.

        Args:
            model: Alias, file name, handle or object; None for the current one.

        Raises:
            TargetError: No such model is open.

        Example:
        ```robotframework
        *** Test Cases ***
        Unload
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}    alias=sigmoid
            Unload Onnx Model    model=sigmoid
        ```
        """
        closed = self.context.onnx_models.close(model)
        self.log.info(f"ONNX model '{closed.name}' is closed.")

    @keyword(tags=["onnx", "getter"])
    def get_onnx_inputs(self, *, model: Any = None) -> list[Any]:
        """Return what a model takes: name, element type and shape of each input.

        Free dimensions have a name (`batch`) or none.

        Args:
            model: As for [Run Onnx Model].

        Returns:
            A list, each item with `name`, `dtype` (`float32`) and `shape` (`('batch', 4)`).

        Example:
        ```robotframework
        *** Test Cases ***
        What It Takes
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            ${inputs} =    Get Onnx Inputs
            Should Be Equal    ${inputs[0].dtype}    float32
            Should Be Equal    ${inputs[0].shape}    ${{ ('batch', 4) }}
        ```
        """
        found = self.context.onnx_models.get(model)
        self.log.info(f"ONNX model '{found.name}' takes {', '.join(map(str, found.inputs)) or 'nothing'}.")
        return list(found.inputs)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_outputs(self, *, model: Any = None) -> list[Any]:
        """Return what a model gives: name, element type and shape of each output.

        The values of a run are those of [Get Onnx Output].

        Args:
            model: As for [Run Onnx Model].

        Returns:
            As [Get Onnx Inputs].

        Example:
        ```robotframework
        *** Test Cases ***
        What It Gives
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            ${outputs} =    Get Onnx Outputs
            Should Be Equal    ${outputs[0].name}    y
        ```
        """
        found = self.context.onnx_models.get(model)
        self.log.info(f"ONNX model '{found.name}' gives {', '.join(map(str, found.outputs)) or 'nothing'}.")
        return list(found.outputs)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_metadata(self, *, model: Any = None) -> dict[str, Any]:
        """Return what a model's file says of itself.

        Args:
            model: As for [Run Onnx Model].

        Returns:
            `producer`, `graph`, `domain`, `description`, `version`, and under `custom` its own entries by name.

        Example:
        ```robotframework
        *** Test Cases ***
        Who Made It
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            ${metadata} =    Get Onnx Metadata
            Should Be Equal    ${metadata}[producer]    robotframework-inferencelibrary
        ```
        """
        found = self.context.onnx_models.get(model)
        self.log.info(f"ONNX model '{found.name}': {found.metadata}")
        return dict(found.metadata)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_providers(self, *, model: Any = None) -> list[str]:
        """Return the providers that a loaded model really has, the preferred first.

        [Onnx Provider Should Be Used] checks one of them.

        Args:
            model: As for [Run Onnx Model].

        Example:
        ```robotframework
        *** Test Cases ***
        Which Provider
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}    providers=CPU
            ${providers} =    Get Onnx Providers
            Should Be Equal    ${providers}[0]    CPUExecutionProvider
        ```
        """
        found: OnnxModel = self.context.onnx_models.get(model)
        self.log.info(f"ONNX model '{found.name}' runs on {found.shown_providers}.")
        return list(found.active)

    @keyword(tags=["onnx", "assertion"])
    def onnx_provider_should_be_used(self, provider: str, *, model: Any = None) -> None:
        """Fail unless a provider computes at least one node of a loaded model.

        That a provider was asked for proves nothing: onnxruntime leaves out what cannot start, and gives the nodes
        that a provider cannot compute to the CPU.

        Args:
            provider: `CUDA`, `CPU` or a full name.
            model: As for [Run Onnx Model].

        Raises:
            CheckFailure: The provider is not active or computes nothing.

        Example:
        ```robotframework
        *** Test Cases ***
        Really There
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Onnx Provider Should Be Used    CPUExecutionProvider
        ```
        """
        from InferenceLibrary.onnx.providers import short_name

        found: OnnxModel = self.context.onnx_models.get(model)
        active = {short_name(name).lower(): name for name in found.active}
        full = active.get(short_name(provider).lower())
        if full is None:
            detail = ("What onnxruntime said", found.notes[-10:]) if found.notes else None
            raise CheckFailure(
                describe(
                    f"ONNX provider {provider} is not used by '{found.name}'",
                    expected=provider,
                    got=found.shown_providers,
                    hint="a GPU, its driver and the CUDA libraries must be there, and providers= must name it",
                    detail=detail,
                )
            )
        if found.placement is not None and found.placement.get(full, 0) == 0:
            raise CheckFailure(
                describe(
                    f"ONNX provider {full} computes no node of '{found.name}'",
                    expected="at least one node",
                    got=found.shown_providers,
                )
            )
        self.log.info(f"ONNX model '{found.name}' runs on {found.shown_providers}.")

    @keyword(tags=["onnx", "gpu", "assertion"])
    def onnx_model_should_run_on_gpu(
        self,
        inputs: Any = None,
        *,
        allowed_on_cpu: str | Sequence[str] = (),
        least: float = 0.0,
        runs: int = 3,
        model: Any = None,
        timeout: timedelta = timedelta(minutes=5),
    ) -> Any:
        """Fail unless a GPU computes a model, node by node.

        The model is loaded once more with onnxruntime's profiler and run. A provider that is active and computes
        nothing, and a single operator that fell back to the CPU, fail; the message names the operators.

        Args:
            inputs: As for [Run Onnx Model]; made up as by [Generate Onnx Inputs] when not given.
            allowed_on_cpu: Operators that may stay on the CPU, such as `Shape,Gather`.
            least: Least share of the time of all nodes that the GPU has, from 0 to 1.
            runs: Runs that are profiled, after a first one that does not count.
            model: As for [Run Onnx Model].
            timeout: Time limit of loading, and of all runs.

        Returns:
            The placement: `${placement.operators}` counts by provider and operator, `${placement.seconds}` by provider.

        Raises:
            CheckFailure: No GPU provider computes it, or not all of it.
            ModelError: The model cannot be profiled.

        Example:
        ```robotframework
        *** Test Cases ***
        Every Node
            Skip Unless Gpu Is Available    onnx=True
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}    providers=CUDA
            Onnx Model Should Run On Gpu
        ```
        """
        from InferenceLibrary.onnx.made_inputs import make_inputs
        from InferenceLibrary.onnx.placement import check_on_gpu, profile_placement

        found = self.context.onnx_models.get(model)
        given = make_inputs(found.inputs) if inputs is None else inputs
        with self.onnx_notes(found):
            placement = profile_placement(found, given, runs=runs, timeout=timeout.total_seconds())
        names = allowed_on_cpu.split(",") if isinstance(allowed_on_cpu, str) else allowed_on_cpu
        check_on_gpu(found, placement, allowed_on_cpu=names, least=least)
        self.log.info(f"ONNX model '{found.name}' runs on the GPU: {placement}.")
        return placement

    @keyword(tags=["onnx", "skip"])
    def skip_unless_onnx_provider_is_available(self, provider: str) -> None:
        """Skip the test unless this build of onnxruntime has a provider.

        The GPU build lists CUDA on a machine without a GPU too: use [Skip Unless Gpu Is Available] as well.

        Args:
            provider: `CUDA`, `CPU` or a full name.

        Raises:
            SkipExecution: The provider or onnxruntime is not there; the reason says what to install.
            ModelError: onnxruntime knows no provider of that name.

        Example:
        ```robotframework
        *** Test Cases ***
        On Cuda
            Skip Unless Onnx Provider Is Available    CUDA
            Skip Unless Gpu Is Available    onnx=True
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}    providers=CUDA
            Onnx Provider Should Be Used    CUDA
        ```
        """
        from InferenceLibrary.errors import MissingExtraError
        from InferenceLibrary.onnx.providers import ProviderMissing, resolve_providers

        try:
            resolve_providers(provider)
        except (ProviderMissing, MissingExtraError) as reason:
            raise SkipExecution(str(reason)) from None

    @staticmethod
    def _memory_limit(text: str) -> int:
        from InferenceLibrary.sizes import parse_bytes

        try:
            return parse_bytes(text)
        except ValueError as error:
            raise ModelError(f"memory_limit cannot be used: {error}.") from None
