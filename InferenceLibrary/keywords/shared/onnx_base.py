"""What the keyword classes of ONNX models share: the results of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.onnx.model import OnnxModel, OnnxResult


class OnnxGroup(KeywordGroup):
    """Base of the keyword classes of ONNX models."""

    @contextmanager
    def onnx_notes(self, model: OnnxModel) -> Iterator[None]:
        """Log what onnxruntime writes meanwhile, also when the keyword fails."""
        try:
            yield
        finally:
            lines = model.take_notes()
            if lines:
                self.log.debug("onnxruntime wrote:\n" + "\n".join(lines))

    def onnx_result(self, ref: Any) -> OnnxResult:
        """Return a result as it is, or the last one of the named model.

        Raises:
            ModelError: The model has not been run.
        """
        from InferenceLibrary.onnx.model import OnnxResult

        if isinstance(ref, OnnxResult):
            return ref
        model = self.context.onnx_models.get(ref)
        if model.last_result is None:
            raise ModelError(f"ONNX model '{model.name}' has not been run. Hint: use Run Onnx Model first.")
        return model.last_result

    def onnx_output(self, name: str | None, ref: Any) -> Any:
        """Return one output of a result; the name may be left out when there is one.

        Raises:
            ModelError: Nothing was run, or there is no such output.
        """
        outputs = self.onnx_result(ref).outputs
        if name is None and len(outputs) == 1:
            name = next(iter(outputs))
        if name not in outputs:
            raise ModelError(describe(f"Unknown ONNX output '{name}'", expected=f"one of: {', '.join(outputs)}"))
        return outputs[name]
