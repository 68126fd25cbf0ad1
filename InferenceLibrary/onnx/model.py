"""An ONNX model that is loaded: what it takes and gives, which providers it really uses, and how it is run."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.background import run_interruptibly
from InferenceLibrary.onnx.providers import resolve_providers, short_name
from InferenceLibrary.onnx.stderr import CapturedStderr
from InferenceLibrary.onnx.values import Port, to_feed

_WARNING = 2
_FATAL = 4


@dataclass
class OnnxResult:
    """What one run of a model gave.

    Args:
        model: Name of the model.
        outputs: By output name: a numpy array, or lists and dictionaries for what is no tensor.
        elapsed: Seconds that the run took, without the conversion of the inputs.
    """

    model: str
    outputs: dict[str, Any]
    elapsed: float

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {_kind(value)}" for name, value in self.outputs.items())
        return f"{self.model}: {shown} in {self.elapsed * 1000:.3g} ms"

    __repr__ = __str__


@dataclass
class OnnxModel:
    """A model in an onnxruntime session.

    Args:
        name: File name without its suffix.
        path: The file.
        asked: Providers that were asked for, full names, in order.
        active: Providers that the session has. onnxruntime leaves out, without an error, what it could not start.
        placement: Number of graph nodes by provider, None when this onnxruntime does not tell (before 1.24).
        notes: What onnxruntime wrote to standard error while it loaded the model.
        load_time: Seconds that loading took.
    """

    name: str
    path: Path
    asked: list[str]
    active: list[str]
    placement: dict[str, int] | None
    notes: list[str]
    load_time: float
    inputs: list[Port]
    outputs: list[Port]
    last_result: OnnxResult | None = None
    _session: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        outputs = ", ".join(map(str, self.outputs))
        return f"{self.name}: {inputs} -> {outputs} on {self.shown_providers} (loaded in {self.load_time:.3g} s)"

    __repr__ = __str__

    @property
    def shown_providers(self) -> str:
        """The providers for people: `CUDA (12 nodes), CPU (1 node)`."""
        if self.placement is None:
            return ", ".join(map(short_name, self.active))
        return ", ".join(
            f"{short_name(name)} ({count} node{'' if count == 1 else 's'})"
            for name, count in ((name, self.placement.get(name, 0)) for name in self.active)
        )

    def run(self, inputs: Any, *, timeout: float = 60.0) -> OnnxResult:
        """Run the model once and return its outputs.

        Args:
            inputs: JSON text, list or array for one input; an object by name for several.
            timeout: Seconds; then the run is cancelled.

        Raises:
            ModelError: The inputs do not fit, the model failed, or the time limit passed.
        """
        if self._session is None:
            raise ModelError(f"ONNX model '{self.name}' is closed. Hint: Load Onnx Model loads it again.")
        runtime = packages.onnxruntime("Running an ONNX model")
        session = self._session
        feed = to_feed(inputs, self.inputs)
        options = runtime.RunOptions()
        options.log_severity_level = _FATAL  # what it would write is in the exception as well
        started = time.perf_counter()

        def cancel() -> None:
            options.terminate = True

        try:
            values = run_interruptibly(lambda: session.run(None, feed, options), timeout, cancel)
        except TimeoutError:
            raise ModelError(
                describe(
                    f"ONNX model '{self.name}' was not done", expected=f"an answer within {timeout:g} s", got="none"
                )
            ) from None
        except _native_errors() as error:
            raise ModelError(describe(f"ONNX model '{self.name}' failed", got=_reason(error))) from error
        elapsed = time.perf_counter() - started
        names = [port.name for port in self.outputs]
        self.last_result = OnnxResult(self.name, dict(zip(names, values, strict=True)), elapsed)
        return self.last_result

    def close(self) -> None:
        """Give the session's memory back. A second call does nothing."""
        self._session = None


def load_model(
    path: str | Path, providers: str | Sequence[str] = "CPU", *, fallback: bool = False, timeout: float = 300.0
) -> OnnxModel:
    """Load a model and make sure that the providers asked for are there.

    Args:
        path: The .onnx file.
        providers: `CPU`, `CUDA`, `CUDA,CPU` or full names; onnxruntime adds CPU for nodes that no other one takes.
        fallback: Accept that a provider that could not start is left out.
        timeout: Seconds; then loading is cancelled.

    Raises:
        ModelError: No such file, not an ONNX model, a provider is unknown or did not start, or the time limit passed.
        MissingExtraError: onnxruntime is not installed.
    """
    runtime = packages.onnxruntime("Loading an ONNX model")
    asked = resolve_providers(providers)
    file = _existing_file(Path(path))
    if asked != ["CPUExecutionProvider"] and hasattr(runtime, "preload_dlls"):
        with CapturedStderr():
            runtime.preload_dlls()  # finds the CUDA libraries of wheels; says on the console what it did not find
    options = runtime.SessionOptions()
    options.log_severity_level = _WARNING
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    started = time.perf_counter()
    captured = CapturedStderr()

    def create() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what it warns of is checked below
            return runtime.InferenceSession(str(file), options, providers=asked)

    def cancel() -> None:
        if hasattr(options, "set_load_cancellation_flag"):
            options.set_load_cancellation_flag(True)

    try:
        with captured:
            session = run_interruptibly(create, timeout, cancel)
    except TimeoutError:
        raise ModelError(
            describe(f"ONNX model '{file}' was not loaded", expected=f"at most {timeout:g} s", got="no end")
        ) from None
    except _native_errors() as error:
        raise ModelError(
            describe(
                f"ONNX model '{file}' cannot be loaded",
                got=_reason(error),
                state=f"the file has {file.stat().st_size:,} bytes",
            )
        ) from error
    model = OnnxModel(
        name=file.stem,
        path=file,
        asked=asked,
        active=list(session.get_providers()),
        placement=_placement(session),
        notes=captured.lines,
        load_time=time.perf_counter() - started,
        inputs=[_port(item) for item in session.get_inputs()],
        outputs=[_port(item) for item in session.get_outputs()],
        _session=session,
    )
    absent = [name for name in asked if name not in model.active]
    if absent and not fallback:
        model.close()
        raise ModelError(
            describe(
                f"ONNX provider {absent[0]} did not start for '{file.name}'",
                expected=", ".join(asked),
                got=", ".join(model.active),
                hint="a GPU, its driver and the CUDA libraries must be there; fallback=True accepts another provider",
                detail=("What onnxruntime said", captured.lines[-10:]) if captured.lines else None,
            )
        )
    return model


def _existing_file(path: Path) -> Path:
    if not path.exists():
        raise ModelError(describe(f"ONNX model '{path}' does not exist", hint="Create Onnx Model makes one"))
    if path.is_dir():
        raise ModelError(describe(f"ONNX model '{path}' is a folder", expected="a .onnx file"))
    if path.stat().st_size == 0:
        raise ModelError(describe(f"ONNX model '{path}' is empty", expected="a .onnx file", got="0 bytes"))
    return path


def _native_errors() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime; they have no common base of their own."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    native = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*native, ValueError, RuntimeError)


def _reason(error: Exception) -> str:
    """The words of onnxruntime without their prefix: `[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : ...`."""
    text = " ".join(str(error).split())
    return text.rsplit(" : ", 1)[-1].rstrip(".") if text.startswith("[ONNXRuntimeError]") else text.rstrip(".")


def _placement(session: Any) -> dict[str, int] | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    counts: dict[str, int] = {}
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] = counts.get(part.ep_name, 0) + len(part.get_nodes())
    return counts


def _port(item: Any) -> Port:
    shape = None if item.shape is None else tuple(item.shape)
    return Port(item.name, item.type, shape)


def _kind(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return type(value).__name__
