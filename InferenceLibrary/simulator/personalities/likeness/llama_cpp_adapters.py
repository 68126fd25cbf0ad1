"""The LoRA adapters of llama.cpp's server: loaded at the start, scaled for all requests or for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import random_tokens
from InferenceLibrary.simulator.core.draws import Draws

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output


class Adapters:
    """The adapters of `--lora`, each with the scale that it has now."""

    def __init__(self, files: list[str]) -> None:
        self._files = [file for one in files for file in one.split(",") if file]
        self._scales = dict.fromkeys(range(len(self._files)), 1.0)

    def listed(self) -> list[dict[str, Any]]:
        """Return what GET /lora-adapters tells."""
        return [
            {"id": number, "path": file, "scale": self._scales[number], "task_name": "", "prompt_prefix": ""}
            for number, file in enumerate(self._files)
        ]

    def scale(self, given: list[Any]) -> None:
        """Scale adapters; those that are not named are off."""
        self._scales = self._read(given)

    def _read(self, given: Any) -> dict[int, float]:
        found = dict.fromkeys(self._scales, 0.0)
        for one in given if isinstance(given, list) else []:
            number, scale = (one.get("id"), one.get("scale")) if isinstance(one, dict) else (None, None)
            if isinstance(number, int) and number in found and isinstance(scale, int | float):
                found[number] = float(scale)
        return found

    def change(self, made: list[Output], data: dict[str, Any], prompt: str) -> None:
        """Let answers be those of the model with its adapters: other words, the same for the same scales and prompt."""
        scales = self._read(data["lora"]) if isinstance(data.get("lora"), list) else self._scales
        acting = sorted((number, scale) for number, scale in scales.items() if scale)
        if not acting:
            return
        for place, output in enumerate(made):
            if output.tokens and not output.tool_calls:
                output.tokens = random_tokens(Draws("adapter", str(acting), prompt, place), len(output.tokens))
