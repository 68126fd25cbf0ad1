"""One run of a session: by plain arrays, by values of types that numpy lacks, or bound to memory of a device."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import foreign_bits, numpy_type, of_dtype
from InferenceLibrary.onnx.values import Port

_DEVICES = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda", "DmlExecutionProvider": "dml"}


class Runner(Protocol):
    """How a session is run."""

    def put(self, feed: Mapping[str, Any]) -> None:
        """Make the inputs ready; with IO binding they are copied to the device."""

    def run(self, options: Any) -> None:
        """Compute, and wait until the device has done so."""

    def take(self) -> list[Any]:
        """Return the outputs in order, as arrays or as lists and dictionaries."""


def runner_for(
    session: Any,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    io_binding: bool = False,
    fixed: bool = False,
    provider: str = "CPUExecutionProvider",
    device_id: int = 0,
) -> Runner:
    """Return the way to run a session.

    Args:
        session: The onnxruntime session.
        inputs: Its declared inputs.
        outputs: Its declared outputs.
        io_binding: Bind inputs and outputs to memory of the device.
        fixed: Keep the addresses of all of them, as a CUDA graph needs.
        provider: The provider whose device is meant.
        device_id: Number of the device.

    Raises:
        ModelError: Values that cannot be bound.
    """
    foreign = any(port.element is not None and port.element.foreign for port in [*inputs, *outputs])
    if io_binding:
        unfit = [port for port in [*inputs, *outputs] if port.dtype in {None, "str"} or foreign_port(port)]
        if unfit:
            raise ModelError(
                describe("io_binding cannot be used", expected="tensors of numbers that numpy has", got=str(unfit[0]))
            )
        device = _DEVICES.get(provider, "cpu")
        return _Bound(session, outputs, device, device_id if device != "cpu" else 0, fixed)
    return _ByValues(session, outputs) if foreign else _Plain(session)


def foreign_port(port: Port) -> bool:
    """Whether the values of an input or output are of a type that numpy lacks."""
    return port.element is not None and port.element.foreign


class _Plain:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._feed: Mapping[str, Any] = {}
        self._values: list[Any] = []

    def put(self, feed: Mapping[str, Any]) -> None:
        self._feed = feed

    def run(self, options: Any) -> None:
        self._values = self._session.run(None, self._feed, options)

    def take(self) -> list[Any]:
        values, self._values, self._feed = self._values, [], {}
        return values


class _ByValues:
    def __init__(self, session: Any, outputs: Sequence[Port]) -> None:
        self._session = session
        self._outputs = outputs
        self._feed: dict[str, Any] = {}
        self._values: list[Any] = []

    def put(self, feed: Mapping[str, Any]) -> None:
        make = packages.onnxruntime("Running an ONNX model").OrtValue
        self._feed = {}
        for name, array in feed.items():
            known = of_dtype(array.dtype) if hasattr(array, "dtype") else None
            if known is None:
                raise ModelError(f"ONNX input '{name}' is a sequence: not beside tensors of types that numpy lacks.")
            self._feed[name] = (
                make.ortvalue_from_numpy_with_onnx_type(foreign_bits(array), known.number)
                if known.foreign
                else make.ortvalue_from_numpy(array)
            )

    def run(self, options: Any) -> None:
        names = [port.name for port in self._outputs]
        self._values = self._session.run_with_ort_values(names, self._feed, options)

    def take(self) -> list[Any]:
        values, self._values, self._feed = self._values, [], {}
        return [_array(port, value) for port, value in zip(self._outputs, values, strict=True)]


def _array(port: Port, value: Any) -> Any:
    if not foreign_port(port):
        return value.numpy()
    np = packages.numpy("Running an ONNX model")
    bits = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    assert port.element is not None
    return np.frombuffer(bytearray(bits), numpy_type(port.element.name)).reshape(value.shape())


class _Bound:
    def __init__(self, session: Any, outputs: Sequence[Port], device: str, device_id: int, fixed: bool) -> None:
        self._session = session
        self._outputs = outputs
        self._device = device
        self._id = device_id
        self._fixed = fixed
        self._binding = session.io_binding()
        self._inputs: dict[str, Any] = {}

    def put(self, feed: Mapping[str, Any]) -> None:
        make = packages.onnxruntime("Running an ONNX model").OrtValue
        first = not self._inputs
        changed = first
        for name, array in feed.items():
            bound = self._inputs.get(name)
            if bound is not None and tuple(bound.shape()) == array.shape:
                bound.update_inplace(array)
                continue
            if self._fixed and bound is not None:
                raise ModelError(
                    describe(
                        f"ONNX input '{name}' has the wrong shape",
                        expected=f"{list(bound.shape())}, as in the run that the CUDA graph was captured from",
                        got=str(list(array.shape)),
                    )
                )
            changed = True
            self._inputs[name] = make.ortvalue_from_numpy(array, self._device, self._id)
            self._binding.bind_ortvalue_input(name, self._inputs[name])
        if self._fixed and first:
            self._fix_outputs(make, feed)
        elif changed:
            # An output keeps the memory, and so the shape, of the run before.
            for port in self._outputs:
                self._binding.bind_output(port.name, self._device, self._id)
        self._binding.synchronize_inputs()

    def run(self, options: Any) -> None:
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()

    def take(self) -> list[Any]:
        return list(self._binding.copy_outputs_to_cpu())

    def _fix_outputs(self, make: Any, feed: Mapping[str, Any]) -> None:
        free: dict[str, int] = {}
        for item in self._session.get_inputs():
            free |= {dim: size for dim, size in zip(item.shape, feed[item.name].shape, strict=True) if type(dim) is str}
        for port in self._outputs:
            shape = [free.get(dim) if isinstance(dim, str) else dim for dim in port.shape or [None]]
            if None in shape:
                raise ModelError(
                    describe(
                        f"ONNX output '{port.name}' has no fixed shape",
                        expected="a shape that follows from those of the inputs, as a CUDA graph needs",
                        got=port.shown_shape,
                    )
                )
            value = make.ortvalue_from_shape_and_type(shape, numpy_type(port.dtype or ""), self._device, self._id)
            self._binding.bind_ortvalue_output(port.name, value)
