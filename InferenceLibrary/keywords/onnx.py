"""Keywords that make, load, run and compare ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from assertionengine import AssertionOperator
from robot.api import SkipExecution
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.base import KeywordGroup


class OnnxKeywords(KeywordGroup):
    """ONNX models: made on the spot, loaded, run, compared, and on which provider."""

    @keyword(tags=["onnx"])
    def create_onnx_model(
        self, kind: Literal["matmul", "mlp", "sigmoid", "add"] = "mlp", path: Path | None = None
    ) -> Path:
        """Write a small ONNX model with known weights.

        All weights are multiples of 1/4, so that right results are the same on every provider. The models take and give
        float32: `matmul` computes `y = x @ [[1, 2, 3], [4, 5, 6]]`, `mlp` two dense layers with relu between (3 inputs,
        2 outputs), `sigmoid` 4 values, `add` `total = left + right` of 2 values each. The first dimension is free.

        Args:
            kind: Which model.
            path: Where to write it; a new file beside the log by default.

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
            Onnx Outputs Should Equal    [[5, 7, 9]]
        ```
        """
        from InferenceLibrary.onnx.build import create_model

        made = create_model(kind, path or self.context.artifact("onnx", kind, "onnx"))
        self.log.info(f"ONNX model '{kind}' written to {made} ({made.stat().st_size:,} bytes).")
        return made

    @keyword(tags=["onnx"])
    def load_onnx_model(
        self,
        path: Path,
        *,
        providers: str | Sequence[str] = "CPU",
        fallback: bool = False,
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
            timeout: Time limit.
            alias: Name for later keywords; the file's name serves as well.

        Returns:
            The model: `${model.inputs}`, `${model.outputs}`, `${model.active}` (providers), `${model.load_time}` in
            seconds.

        Raises:
            ModelError: No such file, not an ONNX model, or a provider that is unknown, not in this onnxruntime, or did
                not start.
            MissingExtraError: onnxruntime is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Load
            ${path} =    Create Onnx Model    sigmoid
            ${model} =    Load Onnx Model    ${path}    providers=CPU
            Log    ${model.inputs}
        ```
        """
        from InferenceLibrary.onnx.model import load_model

        model = load_model(path, providers, fallback=fallback, timeout=timeout.total_seconds())
        self.context.onnx_models.add(model, alias)
        self.log.info(f"ONNX model {model}")
        if model.notes:
            self.log.debug("onnxruntime wrote:\n" + "\n".join(model.notes))
        return model

    @keyword(tags=["onnx"])
    def run_onnx_model(self, inputs: Any, *, model: Any = None, timeout: timedelta = timedelta(seconds=60)) -> Any:
        """Run an ONNX model once.

        Lists and JSON take the type that the model declares, as long as no value changes. A numpy array must have the
        declared type already: float64 where float32 is declared is refused.

        Args:
            inputs: JSON, a list, a number or a numpy array for a model with one input; else an object by input name.
            model: Alias, file name, handle or object; None for the current one.
            timeout: Time limit; a run that takes longer is cancelled.

        Returns:
            The result: `${result.outputs}` (numpy arrays by name) and `${result.elapsed}` in seconds.

        Raises:
            ModelError: An unknown or missing input name, a wrong shape or type, a failure of the model, or no result in
                time.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Inputs
            ${path} =    Create Onnx Model    add
            Load Onnx Model    ${path}
            ${result} =    Run Onnx Model    {"left": [[1, 2]], "right": [[10, 20]]}
            Onnx Outputs Should Equal    {"total": [[11, 22]]}    result=${result}
        ```
        """
        result = self.context.onnx_models.get(model).run(inputs, timeout=timeout.total_seconds())
        self.log.info(f"ONNX {result}")
        return result

    @keyword(tags=["onnx", "assertion"])
    def onnx_outputs_should_equal(
        self,
        expected: Any,
        *,
        rtol: float = 1e-5,
        atol: float = 1e-6,
        dtype: str | None = None,
        result: Any = None,
    ) -> None:
        """Fail unless the outputs of a run are the expected ones.

        Two numbers agree when `|got - expected| <= atol + rtol * |expected|`. Shapes must be the same. Types are
        compared when `dtype` is given or the expected value is a numpy array.

        Args:
            expected: Values for a model with one output; else an object by output name. Outputs that it leaves out are
                not compared, and the log says so.
            rtol: Relative tolerance.
            atol: Absolute tolerance.
            dtype: Element type that the outputs must have: float32, int64.
            result: A result of [Run Onnx Model], or a model whose last result is meant; None for the current model.

        Raises:
            CheckFailure: A type, shape or value differs; the message has the greatest deviation and its place.
            ModelError: Nothing was run, an output is unknown, or there is nothing to compare.

        Example:
        ```robotframework
        *** Test Cases ***
        Sigmoid
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            Run Onnx Model    [[0, 0, 0, 0]]
            Onnx Outputs Should Equal    [[0.5, 0.5, 0.5, 0.5]]    dtype=float32
        ```
        """
        from InferenceLibrary.onnx.compare import check_outputs

        found = self._result(result)
        compared = check_outputs(found.outputs, expected, rtol=rtol, atol=atol, dtype=dtype)
        others = [name for name in found.outputs if name not in compared]
        tail = f"; not compared: {', '.join(others)}" if others else ""
        self.log.info(f"ONNX outputs equal as expected: {', '.join(compared)} (rtol={rtol:g}, atol={atol:g}){tail}.")

    @keyword(tags=["onnx", "getter"])
    def get_onnx_output(
        self, name: str | None = None, *, form: Literal["numpy", "list"] = "numpy", result: Any = None
    ) -> Any:
        """Return one output of a run, as a numpy array or as lists and numbers.

        Args:
            name: Name of the output; may be left out when there is one.
            form: `numpy` or `list`; lists can go into JSON.
            result: As for [Onnx Outputs Should Equal].

        Raises:
            ModelError: Nothing was run, or there is no such output.

        Example:
        ```robotframework
        *** Test Cases ***
        As Lists
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Run Onnx Model    [[1, 0]]
            ${rows} =    Get Onnx Output    y    form=list
            Should Be Equal    ${rows}    ${{ [[1.0, 2.0, 3.0]] }}
        ```
        """
        from InferenceLibrary.onnx.values import to_plain

        outputs = self._result(result).outputs
        if name is None and len(outputs) == 1:
            name = next(iter(outputs))
        if name not in outputs:
            raise ModelError(describe(f"Unknown ONNX output '{name}'", expected=f"one of: {', '.join(outputs)}"))
        return outputs[name] if form == "numpy" else to_plain(outputs[name])

    @keyword(tags=["onnx"])
    def create_tensor(self, values: Any, *, dtype: str | None = None) -> Any:
        """Return a numpy array of JSON, a list or a number.

        Args:
            values: The values, rows of one length.
            dtype: Element type such as float32 or int64; by default that of the values. Values that would change
                (1.5 as int64, 300 as int8) are refused.

        Raises:
            ModelError: Ragged rows, an unknown type, or values that do not fit it.
            MissingExtraError: numpy is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Exact Type
            ${x} =    Create Tensor    [[1, 1]]    dtype=float32
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Run Onnx Model    ${x}
        ```
        """
        from InferenceLibrary.onnx.values import to_array

        return to_array(values, dtype)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_reference_outputs(self, inputs: Any, *, model: Any = None) -> dict[str, Any]:
        """Return what the reference implementation of the package `onnx` computes.

        It runs on numpy alone and shares no code with onnxruntime: a second opinion on a provider.

        Args:
            inputs: As for [Run Onnx Model].
            model: As for [Run Onnx Model].

        Returns:
            Numpy arrays by output name, fit for [Onnx Outputs Should Equal].

        Raises:
            MissingExtraError: The package `onnx` is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Second Opinion
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Run Onnx Model    [[1, 2, 3]]
            ${expected} =    Get Onnx Reference Outputs    [[1, 2, 3]]
            Onnx Outputs Should Equal    ${expected}
        ```
        """
        from InferenceLibrary.onnx.build import reference_outputs

        return reference_outputs(self.context.onnx_models.get(model).path, inputs)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_run_time(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        result: Any = None,
    ) -> float:
        """Return how long a run took, in seconds, and check it when an assertion is given.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `50 ms`.
            message: Replaces the text of the failure.
            result: As for [Onnx Outputs Should Equal].

        Raises:
            CheckFailure: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Fast Enough
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Run Onnx Model    [[1, 1]]
            Get Onnx Run Time    <    10 s
        ```
        """
        elapsed: float = self._result(result).elapsed
        return float(
            check_number(elapsed, assertion_operator, assertion_expected, "ONNX run time", unit="s", message=message)
        )

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
        found = self.context.onnx_models.get(model)
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

        found = self.context.onnx_models.get(model)
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
            Skip Unless Gpu Is Available
            Skip Unless Onnx Provider Is Available    CUDA
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

    def _result(self, ref: Any) -> Any:
        from InferenceLibrary.onnx.model import OnnxResult

        if isinstance(ref, OnnxResult):
            return ref
        model = self.context.onnx_models.get(ref)
        if model.last_result is None:
            raise ModelError(f"ONNX model '{model.name}' has not been run. Hint: use Run Onnx Model first.")
        return model.last_result
