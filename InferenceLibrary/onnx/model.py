"""An ONNX model that is loaded: what it takes and gives, which providers it really uses, and how it is run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.background import run_interruptibly
from InferenceLibrary.onnx.environment import preload
from InferenceLibrary.onnx.files import existing_model
from InferenceLibrary.onnx.memory import give_back
from InferenceLibrary.onnx.native_errors import native_errors, out_of_memory, reason_of
from InferenceLibrary.onnx.options import LoadOptions
from InferenceLibrary.onnx.providers import short_name
from InferenceLibrary.onnx.running import Runner, runner_for
from InferenceLibrary.onnx.stderr import CapturedStderr
from InferenceLibrary.onnx.values import Port, to_feed

T = TypeVar("T")

_KEPT_NOTES = 500
_MEMORY_HINT = "a smaller batch, memory_limit=, or a machine with more memory"


@dataclass
class OnnxResult:
    """What one run of a model gave.

    Args:
        model: Name of the model.
        outputs: By output name: a numpy array, or lists and dictionaries for what is not a tensor.
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
        notes: What onnxruntime wrote to standard error while it loaded or ran the model, the last of it.
        load_time: Seconds that loading took.
        inputs: What it takes.
        outputs: What it gives.
        metadata: What the file says of itself: producer, graph, domain, description, version and its own entries.
        options: How it was loaded.
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
    metadata: dict[str, Any] = field(default_factory=dict)
    options: LoadOptions = field(default_factory=LoadOptions)
    last_result: OnnxResult | None = None
    _session: Any = field(default=None, repr=False)
    _runner: Runner | None = field(default=None, repr=False)
    _untold: list[str] = field(default_factory=list, repr=False)

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

    @property
    def session(self) -> Any:
        """The onnxruntime session.

        Raises:
            ModelError: The model is closed.
        """
        if self._session is None:
            raise ModelError(f"ONNX model '{self.name}' is closed. Hint: Load Onnx Model loads it again.")
        return self._session

    @property
    def runner(self) -> Runner:
        """How the session is run, as the options say.

        Raises:
            ModelError: The model is closed, or its values cannot be bound.
        """
        if self._runner is None:
            self._runner = self.new_runner(io_binding=self.options.io_binding, fixed=self.options.cuda_graph)
        return self._runner

    def new_runner(self, *, io_binding: bool, fixed: bool = False) -> Runner:
        """Return another way to run the same session."""
        return runner_for(
            self.session,
            self.inputs,
            self.outputs,
            io_binding=io_binding or fixed,
            fixed=fixed,
            provider=self.active[0],
            device_id=self.options.device_id,
        )

    def run(self, inputs: Any, *, timeout: float = 60.0, allow_nonfinite: bool = False) -> OnnxResult:
        """Run the model once and return its outputs.

        Args:
            inputs: JSON text, a file, list or array for one input; an object by name for several.
            timeout: Seconds; then the run is cancelled.
            allow_nonfinite: Take NaN and infinite numbers in the inputs.

        Raises:
            ModelError: The inputs do not fit, the model failed, memory ran out, or the time limit passed.
        """
        runner = self.runner
        feed = to_feed(inputs, self.inputs, allow_nonfinite=allow_nonfinite)
        runtime = packages.onnxruntime("Running an ONNX model")
        options = runtime.RunOptions()
        started = time.perf_counter()

        def compute() -> list[Any]:
            runner.put(feed)
            runner.run(options)
            return runner.take()

        def cancel() -> None:
            options.terminate = True

        try:
            values = self.native(compute, timeout, cancel)
        except TimeoutError:
            raise ModelError(
                describe(
                    f"ONNX model '{self.name}' was not done", expected=f"an answer within {timeout:g} s", got="none"
                )
            ) from None
        except native_errors() as error:
            raise self.failure(error) from None
        elapsed = time.perf_counter() - started
        names = [port.name for port in self.outputs]
        self.last_result = OnnxResult(self.name, dict(zip(names, values, strict=True)), elapsed)
        return self.last_result

    def native(self, work: Callable[[], T], limit: float, cancel: Callable[[], None]) -> T:
        """Run native work interruptibly; what it writes to standard error is noted.

        Raises:
            TimeoutError: It took longer than `limit` seconds.
        """
        captured = CapturedStderr()
        try:
            with captured:
                return run_interruptibly(work, limit, cancel)
        finally:
            self.note(captured.lines)

    def note(self, lines: list[str]) -> None:
        """Keep lines of onnxruntime, to be told and as part of later failures."""
        self.notes += lines
        self._untold += lines
        del self.notes[:-_KEPT_NOTES], self._untold[:-_KEPT_NOTES]

    def take_notes(self) -> list[str]:
        """Return what was noted since the last call."""
        untold, self._untold = self._untold, []
        return untold

    def failure(self, error: BaseException) -> ModelError:
        """Return the error that a run of this model ends with, for an exception of onnxruntime."""
        hint = _MEMORY_HINT if out_of_memory(str(error)) or isinstance(error, MemoryError) else None
        return ModelError(describe(f"ONNX model '{self.name}' failed", got=reason_of(error), hint=hint))

    def close(self) -> None:
        """Give the session's memory back. A second call does nothing."""
        if self._session is not None:
            self._runner = None
            self._session = None
            give_back()


def load_model(path: str | Path, options: LoadOptions | None = None, *, timeout: float = 300.0) -> OnnxModel:
    """Load a model and make sure that the providers asked for are there.

    Args:
        path: The .onnx file.
        options: Providers and options of the session; the CPU by default.
        timeout: Seconds; then loading is cancelled.

    Raises:
        ModelError: No such file, not an ONNX model, a provider is unknown or did not start, an option does not fit, or
            the time limit passed.
        MissingExtraError: onnxruntime is not installed.
    """
    options = options or LoadOptions()
    runtime = packages.onnxruntime("Loading an ONNX model")
    asked = options.asked()
    providers = options.for_providers(asked)
    file = existing_model(Path(path))
    started = time.perf_counter()
    session, notes = open_session(runtime, file, options, providers, timeout)
    model = OnnxModel(
        name=file.stem,
        path=file,
        asked=asked,
        active=list(session.get_providers()),
        placement=_placement(session),
        notes=notes,
        load_time=time.perf_counter() - started,
        inputs=[_port(item) for item in session.get_inputs()],
        outputs=[_port(item) for item in session.get_outputs()],
        metadata=_metadata(session),
        options=options,
        _session=session,
        _untold=list(notes),
    )
    del session
    absent = [name for name in asked if name not in model.active]
    if absent and not options.fallback:
        model.close()
        raise ModelError(
            describe(
                f"ONNX provider {absent[0]} did not start for '{file.name}'",
                expected=", ".join(asked),
                got=", ".join(model.active),
                hint="a GPU, its driver and the CUDA libraries must be there; fallback=True accepts another provider",
                detail=("What onnxruntime said", notes[-10:]) if notes else None,
            )
        )
    return model


def open_session(
    runtime: Any,
    file: Path,
    options: LoadOptions,
    providers: list[tuple[str, dict[str, str]]],
    timeout: float,
    *,
    profile_prefix: str | None = None,
) -> tuple[Any, list[str]]:
    """Return a session, and what onnxruntime wrote while it was made.

    Raises:
        ModelError: The file is not a model that this onnxruntime runs, memory ran out, or the time limit passed.
    """
    captured = CapturedStderr()
    notes = preload(runtime) if [name for name, _ in providers] != ["CPUExecutionProvider"] else []
    session_options = options.for_session(runtime, profile_prefix=profile_prefix)

    def create() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what it warns of is checked by the caller
            return runtime.InferenceSession(str(file), session_options, providers=providers)

    def cancel() -> None:
        if hasattr(session_options, "set_load_cancellation_flag"):
            session_options.set_load_cancellation_flag(True)

    try:
        with captured:
            session = run_interruptibly(create, timeout, cancel)
    except TimeoutError:
        raise ModelError(
            describe(f"ONNX model '{file}' was not loaded", expected=f"at most {timeout:g} s", got="no end")
        ) from None
    except native_errors() as error:
        raise ModelError(
            describe(
                f"ONNX model '{file}' cannot be loaded",
                got=reason_of(error),
                state=f"the file has {file.stat().st_size:,} bytes",
                hint=_MEMORY_HINT if out_of_memory(str(error)) else None,
            )
        ) from None
    return session, notes + captured.lines


def _placement(session: Any) -> dict[str, int] | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    counts: dict[str, int] = {}
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] = counts.get(part.ep_name, 0) + len(part.get_nodes())
    return counts


def _metadata(session: Any) -> dict[str, Any]:
    meta = session.get_modelmeta()
    return {
        "producer": meta.producer_name,
        "graph": meta.graph_name,
        "domain": meta.domain,
        "description": meta.description,
        "version": meta.version,
        "custom": dict(meta.custom_metadata_map),
    }


def _port(item: Any) -> Port:
    shape = None if item.shape is None else tuple(item.shape)
    return Port(item.name, item.type, shape)


def _kind(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return type(value).__name__
