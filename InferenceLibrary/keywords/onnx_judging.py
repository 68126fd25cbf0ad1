"""Keywords that judge what ONNX models compute: values, files of them, other providers, other runs, other batches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.onnx_base import OnnxGroup

By = Literal["values", "argmax", "top-k", "cosine"]


class OnnxJudgingKeywords(OnnxGroup):
    """Judgements on the outputs of ONNX models."""

    @keyword(tags=["onnx", "assertion"])
    def outputs_should_match(
        self,
        expected: Any,
        *,
        by: By = "values",
        rtol: float | None = None,
        atol: float | None = None,
        dtype: str | None = None,
        k: int = 5,
        cosine: float = 0.999,
        allow_nonfinite: bool = False,
        update: bool = False,
        result: Any = None,
    ) -> None:
        """Fail unless the outputs of an ONNX model are the expected ones.

        Two numbers agree when `|got - expected| <= atol + rtol * |expected|`. The tolerances are by default those of
        the output's element type: 1e-5 and 1e-6 for float32, 1e-2 and 1e-3 for float16, 2e-2 and 1e-2 for bfloat16,
        none for whole numbers. Shapes must be the same; sequences and maps are compared item by item and key by key.
        NaN and infinite numbers fail. Types are compared when `dtype` is given or the expected value is a numpy array.

        Args:
            expected: Values for a model with one output, or an object by output name; the result of another run; or a
                golden file, `.npz` or `.json`. Outputs that are left out are not compared, and the log says so.
            by: What is compared: all `values`; the place of the highest value along the last dimension (`argmax`), the
                places of the `k` highest in order (`top-k`); or the direction of each vector (`cosine`).
            rtol: Relative tolerance.
            atol: Absolute tolerance.
            dtype: Element type that the outputs must have: float32, int64.
            k: For `top-k`.
            cosine: For `cosine`: the least cosine of the angle between the vectors.
            allow_nonfinite: Whether NaN agrees with NaN and an infinite number with its equal.
            update: Write the golden file in place of comparing with it. NaN and infinite numbers are not written.
            result: A result of [Run Onnx Model], or a model whose last result is meant; None for the current model.

        Raises:
            CheckFailure: Something differs; the message has the greatest deviation and its place.
            ModelError: Nothing was run, an output is unknown, a golden file is missing, or there is nothing to compare.

        Example:
        ```robotframework
        *** Test Cases ***
        Sigmoid
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            Run Onnx Model    [[0, 0, 0, 0]]
            Outputs Should Match    [[0.5, 0.5, 0.5, 0.5]]    dtype=float32
            Outputs Should Match    ${OUTPUT_DIR}/golden.npz    update=True
            Run Onnx Model    [[0, 0, 0, 0]]
            Outputs Should Match    ${OUTPUT_DIR}/golden.npz
        ```
        """
        found = self.onnx_result(result)
        if update:
            self._update_golden(expected, found.outputs, allow_nonfinite)
            return
        compared = _judge(found.outputs, _values(expected), by, rtol, atol, dtype, k, cosine, allow_nonfinite)
        others = [name for name in found.outputs if name not in compared]
        tail = f"; not compared: {', '.join(others)}" if others else ""
        self.log.info(f"ONNX outputs match by {by}: {', '.join(compared)}{tail}.")

    @keyword(tags=["onnx", "assertion"])
    def outputs_should_be_finite(self, *, result: Any = None) -> None:
        """Fail when an output of an ONNX model holds NaN or an infinite number.

        Args:
            result: As for [Outputs Should Match].

        Raises:
            CheckFailure: It does; the message names the first place.

        Example:
        ```robotframework
        *** Test Cases ***
        Finite
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            Run Onnx Model    [[1000, -1000, 0, 1]]
            Outputs Should Be Finite
        ```
        """
        from InferenceLibrary.onnx.compare import check_finite

        found = self.onnx_result(result)
        for name, value in found.outputs.items():
            check_finite(f"'{name}'", value)
        self.log.info(f"ONNX outputs are finite: {', '.join(found.outputs)}.")

    @keyword(tags=["onnx", "assertion"])
    def providers_should_agree(
        self,
        one: str,
        other: str = "CPU",
        *,
        inputs: Any = None,
        seed: int = 0,
        batch: int = 1,
        by: By = "values",
        rtol: float | None = None,
        atol: float | None = None,
        k: int = 5,
        cosine: float = 0.999,
        model: Any = None,
        timeout: timedelta = timedelta(minutes=5),
    ) -> None:
        """Fail unless a model computes the same on two providers.

        The model's file is loaded on each, run on the same inputs, and closed. On NVIDIA GPUs float32 is computed in
        TF32 by default, whose mantissa has 10 bits: `rtol=1e-2`, or `{"CUDA": {"use_tf32": 0}}` as provider options.

        Args:
            one: The provider that is judged, such as `CUDA`.
            other: The one that it is compared with.
            inputs: As for [Run Onnx Model]; made up as by [Generate Onnx Inputs] when not given.
            seed: For inputs that are made up.
            batch: For inputs that are made up.
            by: As for [Outputs Should Match].
            rtol: As for [Outputs Should Match].
            atol: As for [Outputs Should Match].
            k: As for [Outputs Should Match].
            cosine: As for [Outputs Should Match].
            model: As for [Run Onnx Model].
            timeout: Time limit of each load and each run.

        Raises:
            CheckFailure: They differ; the message has the greatest deviation and its place.
            ModelError: A provider is not there, or both are one.

        Example:
        ```robotframework
        *** Test Cases ***
        Gpu And Cpu
            Skip Unless Gpu Is Available    onnx=True
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Providers Should Agree    CUDA    CPU    batch=4    rtol=1e-3
        ```
        """
        from InferenceLibrary.onnx.agreement import check_providers_agree
        from InferenceLibrary.onnx.made_inputs import make_inputs

        found = self.context.onnx_models.get(model)
        given = make_inputs(found.inputs, seed=seed, batch=batch) if inputs is None else inputs

        def judge(got: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
            return _judge(got, expected, by, rtol, atol, None, k, cosine, False)

        compared = check_providers_agree(found, one, other, given, judge=judge, timeout=timeout.total_seconds())
        self.log.info(f"{one} and {other} agree on '{found.name}' by {by}: {', '.join(compared)}.")

    @keyword(tags=["onnx", "assertion"])
    def onnx_model_should_be_deterministic(
        self, inputs: Any = None, *, runs: int = 5, model: Any = None, timeout: timedelta = timedelta(minutes=1)
    ) -> None:
        """Fail unless a model gives the very same values in every run.

        Args:
            inputs: As for [Run Onnx Model]; made up as by [Generate Onnx Inputs] when not given.
            runs: How often it is run, 2 or more.
            model: As for [Run Onnx Model].
            timeout: Time limit of each run.

        Raises:
            CheckFailure: A run differs; the message names it and the worst element.

        Example:
        ```robotframework
        *** Test Cases ***
        Always The Same
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Onnx Model Should Be Deterministic    runs=3
        ```
        """
        from InferenceLibrary.onnx.agreement import check_deterministic
        from InferenceLibrary.onnx.made_inputs import make_inputs

        found = self.context.onnx_models.get(model)
        given = make_inputs(found.inputs) if inputs is None else inputs
        check_deterministic(found, given, runs=runs, timeout=timeout.total_seconds())
        self.log.info(f"ONNX model '{found.name}' gave the same in {runs} runs.")

    @keyword(tags=["onnx", "assertion"])
    def onnx_model_should_be_batch_invariant(
        self,
        inputs: Any = None,
        *,
        seed: int = 0,
        batch: int = 4,
        rtol: float | None = None,
        atol: float | None = None,
        model: Any = None,
        timeout: timedelta = timedelta(minutes=1),
    ) -> None:
        """Fail unless each row of a batch is computed as if it were alone.

        Args:
            inputs: A batch of two rows or more, as for [Run Onnx Model]; made up when not given.
            seed: For inputs that are made up.
            batch: For inputs that are made up.
            rtol: As for [Outputs Should Match].
            atol: As for [Outputs Should Match].
            model: As for [Run Onnx Model].
            timeout: Time limit of each run.

        Raises:
            CheckFailure: A row depends on the others; the message names it.
            ModelError: There is no batch, or an output does not have a row for each of it.

        Example:
        ```robotframework
        *** Test Cases ***
        Alone And Together
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Onnx Model Should Be Batch Invariant    batch=3
        ```
        """
        from InferenceLibrary.onnx.agreement import check_batch_invariant
        from InferenceLibrary.onnx.made_inputs import make_inputs

        found = self.context.onnx_models.get(model)
        given = make_inputs(found.inputs, seed=seed, batch=batch) if inputs is None else inputs
        rows = check_batch_invariant(found, given, rtol=rtol, atol=atol, timeout=timeout.total_seconds())
        self.log.info(f"ONNX model '{found.name}' computes {rows} rows at once as each alone.")

    @keyword(tags=["onnx", "getter"])
    def get_onnx_top_indices(self, name: str | None = None, *, k: int = 1, result: Any = None) -> Any:
        """Return the places of the highest values along the last dimension of an output, the highest first.

        Args:
            name: Name of the output; may be left out when there is one.
            k: How many; 1 is the argmax.
            result: As for [Outputs Should Match].

        Returns:
            Lists of indices, one for each row.

        Raises:
            ModelError: The output does not exist, or it has fewer values.

        Example:
        ```robotframework
        *** Test Cases ***
        The Two Highest
            ${path} =    Create Onnx Model    sigmoid
            Load Onnx Model    ${path}
            Run Onnx Model    [[3, 1, 4, 2]]
            ${top} =    Get Onnx Top Indices    k=2
            Should Be Equal    ${top}    ${{ [[2, 0]] }}
        ```
        """
        from InferenceLibrary.onnx.ranking import top

        return top(self.onnx_output(name, result), k).tolist()

    @keyword(tags=["onnx", "getter"])
    def get_onnx_cosine_similarity(
        self,
        expected: Any,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        name: str | None = None,
        result: Any = None,
    ) -> float:
        """Return the cosine of the angle between an output and an expected vector, the least one of several rows.

        Args:
            expected: The vector, or one for each row.
            assertion_operator: Such as `>=`.
            assertion_expected: A number from -1 to 1.
            message: Replaces the text of the failure.
            name: Name of the output; may be left out when there is one.
            result: As for [Outputs Should Match].

        Raises:
            CheckFailure: The assertion does not hold, or a vector has the length zero.
            ModelError: The shapes do not fit.

        Example:
        ```robotframework
        *** Test Cases ***
        The Same Direction
            ${path} =    Create Onnx Model    matmul
            Load Onnx Model    ${path}
            Run Onnx Model    [[1, 0]]
            Get Onnx Cosine Similarity    [[2, 4, 6]]    >=    0.999
        ```
        """
        from InferenceLibrary.onnx.ranking import cosine
        from InferenceLibrary.onnx.values import to_array

        got, wanted = self.onnx_output(name, result), to_array(_values(expected))
        if got.shape[-1:] != wanted.shape[-1:] or wanted.ndim > got.ndim:
            raise ModelError(
                describe("Vectors do not fit", expected=f"shape {list(got.shape)}", got=str(list(wanted.shape)))
            )
        value = float(cosine(got, wanted).min())
        return float(check_number(value, assertion_operator, assertion_expected, "cosine similarity", message=message))

    def _update_golden(self, path: Any, outputs: Mapping[str, Any], allow_nonfinite: bool) -> None:
        from InferenceLibrary.onnx.compare import check_finite
        from InferenceLibrary.onnx.value_files import save_values

        if not isinstance(path, str | Path):
            raise ModelError(
                describe("Nothing to update", expected="the path of a .npz or .json file", got=repr(path)[:60])
            )
        if not allow_nonfinite:
            for name, value in outputs.items():
                check_finite(f"'{name}'", value)
        save_values(Path(path), outputs)
        self.log.warn(f"Golden file {path} was written, not compared: {', '.join(outputs)}.")


def _values(expected: Any) -> Any:
    """The outputs of a result, or what was given."""
    from InferenceLibrary.onnx.model import OnnxResult

    return expected.outputs if isinstance(expected, OnnxResult) else expected


def _judge(
    got: Mapping[str, Any],
    expected: Any,
    by: By,
    rtol: float | None,
    atol: float | None,
    dtype: str | None,
    k: int,
    cosine: float,
    allow_nonfinite: bool,
) -> list[str]:
    from InferenceLibrary.onnx.compare import check_outputs
    from InferenceLibrary.onnx.ranking import check_cosine, check_top

    if by == "values":
        return check_outputs(got, expected, rtol=rtol, atol=atol, dtype=dtype, allow_nonfinite=allow_nonfinite)
    for name, given in (("rtol", rtol), ("atol", atol), ("dtype", dtype)):
        if given is not None:
            raise ModelError(describe(f"{name} does not belong to by={by}", expected="by=values with it"))
    return (
        check_cosine(got, expected, cosine) if by == "cosine" else check_top(got, expected, k if by == "top-k" else 1)
    )
