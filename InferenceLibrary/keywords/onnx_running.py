"""Keywords that make inputs, run ONNX models, and return what came out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.onnx_base import OnnxGroup
from InferenceLibrary.types import JsonObject


class OnnxRunKeywords(OnnxGroup):
    """Inputs, runs and outputs of ONNX models."""

    @keyword(tags=["onnx"])
    def run_onnx_model(
        self,
        inputs: Any = None,
        *,
        model: Any = None,
        timeout: timedelta = timedelta(seconds=60),
        allow_nonfinite: bool = False,
        **named: Any,
    ) -> Any:
        """Run an ONNX model once.

        Inputs may be given by name (`x=${array}`), or together as one object. Each is JSON, a list, a number, a numpy
        array, or a file: .npy, .npz (arrays by input name) or .json. Lists and JSON take the type that the model
        declares: fractions are rounded to the nearest number of that type, and a number that does not fit is refused. A
        numpy array must have the declared type already: float64 where float32 is declared is refused. Names, types and
        shapes are checked before the run.

        Args:
            inputs: The value for a model with one input; else an object by input name, or a file of one.
            model: Alias, file name, handle or object; None for the current one.
            timeout: Time limit; a run that takes longer is cancelled.
            allow_nonfinite: Whether NaN and infinite numbers in the inputs are accepted.
            named: The inputs by name. An input that is called like an argument above goes into `inputs`.

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
            ${result} =    Run Onnx Model    left=[[1, 2]]    right=[[10, 20]]
            Outputs Should Match    {"total": [[11, 22]]}    result=${result}
        ```
        """
        if inputs is None:
            given: Any = dict(named)
        elif named:
            raise ModelError(
                describe("ONNX inputs are given twice", expected="one object, or each by name", got="both")
            )
        else:
            given = inputs
        found = self.context.onnx_models.get(model)
        with self.onnx_notes(found):
            result = found.run(given, timeout=timeout.total_seconds(), allow_nonfinite=allow_nonfinite)
        self.log.info(f"ONNX {result}")
        return result

    @keyword(tags=["onnx"])
    def generate_onnx_inputs(
        self,
        *,
        seed: int = 0,
        batch: int = 1,
        dimensions: JsonObject | None = None,
        low: float | None = None,
        high: float | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Return inputs for a model: numbers drawn under a seed, in its types and shapes.

        Fractions are drawn evenly from -1 to 1, whole numbers from 0 to 1 (an index that almost any table has), unless
        `low` and `high` say otherwise.

        Args:
            seed: The same seed gives the same values.
            batch: Size of a free first dimension, and of every dimension of that name.
            dimensions: Sizes of other free dimensions by name, such as `{"sequence": 16}`; 1 by default.
            low: Lowest value.
            high: Highest value.
            model: As for [Run Onnx Model].

        Returns:
            Numpy arrays by input name.

        Raises:
            ModelError: An input is not a tensor, or a dimension or range does not fit.

        Example:
        ```robotframework
        *** Test Cases ***
        Made Up
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            ${inputs} =    Generate Onnx Inputs    seed=1    batch=4
            Run Onnx Model    ${inputs}
            Outputs Should Be Finite
        ```
        """
        from InferenceLibrary.onnx.made_inputs import make_inputs

        found = self.context.onnx_models.get(model)
        made = make_inputs(found.inputs, seed=seed, batch=batch, dimensions=dimensions, low=low, high=high)
        shown = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in made.items())
        self.log.info(f"Inputs for '{found.name}' (seed {seed}): {shown}")
        return made

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

    @keyword(tags=["onnx"])
    def create_image_tensor(
        self,
        path: Path,
        *,
        size: str | None = None,
        layout: Literal["NCHW", "NHWC", "CHW", "HWC"] = "NCHW",
        scale: float = 1 / 255,
        mean: str | Sequence[float] = "0",
        std: str | Sequence[float] = "1",
        dtype: str = "float32",
    ) -> Any:
        """Return the tensor of a picture in RGB: `(value * scale - mean) / std` for each channel.

        Args:
            path: A PNG, JPEG or other picture that Pillow reads.
            size: Size to scale to, such as `224x224` (width x height, pixels).
            layout: Order of the dimensions: N is 1, C is 3, H and W height and width.
            scale: Factor for values of 0 to 255.
            mean: One number, or three, such as `0.485, 0.456, 0.406`.
            std: One number, or three; never 0.
            dtype: Element type.

        Raises:
            ModelError: It is not a picture, or a number does not fit.
            MissingExtraError: Pillow is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        A Picture
            Evaluate    PIL.Image.new('RGB', (8, 4), (255, 0, 0)).save($OUTPUT_DIR + '/red.png')    modules=PIL.Image
            ${tensor} =    Create Image Tensor    ${OUTPUT_DIR}/red.png    size=4x2
            Should Be Equal    ${tensor.shape}    ${{ (1, 3, 2, 4) }}
        ```
        """
        from InferenceLibrary.onnx.value_files import image_array

        return image_array(
            path,
            size=self._picture_size(size),
            layout=layout,
            scale=scale,
            mean=self._channel_numbers("mean", mean),
            std=self._channel_numbers("std", std),
            dtype=dtype,
        )

    @keyword(tags=["onnx", "getter"])
    def get_onnx_output(
        self, name: str | None = None, *, form: Literal["numpy", "list"] = "numpy", result: Any = None
    ) -> Any:
        """Return one output of a run, as a numpy array or as lists and numbers.

        Args:
            name: Name of the output; may be left out when there is one.
            form: `numpy` or `list`; lists can go into JSON.
            result: As for [Outputs Should Match].

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
        from InferenceLibrary.onnx.arrays import to_plain

        value = self.onnx_output(name, result)
        return value if form == "numpy" else to_plain(value)

    @keyword(tags=["onnx", "getter"])
    def get_onnx_reference_outputs(self, inputs: Any, *, model: Any = None) -> dict[str, Any]:
        """Return what the reference implementation of the package `onnx` computes.

        It runs on numpy alone and shares no code with onnxruntime: a second opinion on a provider.

        Args:
            inputs: As for [Run Onnx Model].
            model: As for [Run Onnx Model].

        Returns:
            Numpy arrays by output name, fit for [Outputs Should Match].

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
            Outputs Should Match    ${expected}
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
            result: As for [Outputs Should Match].

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
        elapsed: float = self.onnx_result(result).elapsed
        return float(
            check_number(elapsed, assertion_operator, assertion_expected, "ONNX run time", unit="s", message=message)
        )

    @staticmethod
    def _picture_size(text: str | None) -> tuple[int, int] | None:
        if text is None:
            return None
        width, _, height = text.lower().replace(" ", "").partition("x")
        if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
            raise ModelError(
                describe("size cannot be used", expected="width x height such as 224x224", got=f"'{text}'")
            )
        return int(width), int(height)

    @staticmethod
    def _channel_numbers(name: str, given: str | Sequence[float]) -> tuple[float, ...]:
        items = given.split(",") if isinstance(given, str) else given
        try:
            return tuple(float(item) for item in items)
        except (TypeError, ValueError):
            raise ModelError(
                describe(f"{name} cannot be used", expected="numbers such as 0.5 or 0.4, 0.5, 0.6", got=repr(given))
            ) from None
