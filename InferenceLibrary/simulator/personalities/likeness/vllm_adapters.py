"""LoRA adapters of vLLM: loaded and unloaded while it runs, where the environment allows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_USUAL_RANK = 16


class Adapters:
    """The two routes that change which adapters there are."""

    def __init__(self, server: Likeness) -> None:
        self._server = server

    def load(self, turn: Turn) -> None:
        """Load an adapter from its folder.

        Raises:
            Refusal: A field is missing, the adapter is loaded, there is none in the folder, or vLLM cannot run it.
        """
        data, admin = self._server.sent(turn), self._server.admin
        name, path = data.get("lora_name"), data.get("lora_path")
        if not isinstance(name, str) or not isinstance(path, str) or not name or not path:
            raise Refusal("adapter", "Both 'lora_name' and 'lora_path' must be provided.")
        if name in admin.loras and data.get("load_inplace") is not True:
            raise Refusal("adapter", f"The lora adapter '{name}' has already been loaded.")
        self._check(name, Path(path) / "adapter_config.json")
        admin.loras[name] = self._server.app.settings.names[0]
        admin.paths[name] = path
        self._tell(turn, f"Success: LoRA adapter '{name}' added successfully.")

    def _check(self, name: str, file: Path) -> None:
        if not file.is_file():
            raise Refusal("no adapter", f"Loading lora {name} failed: No adapter found for {file.parent}")
        try:
            config: Any = json.loads(file.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, ValueError) as error:
            raise Refusal("own", f"Loading lora {name} failed: {error}") from None
        if not isinstance(config, dict):
            raise Refusal("own", f"Loading lora {name} failed: its configuration is not an object")
        most = self._server.flags.get("max-lora-rank") or _USUAL_RANK
        rank = config.get("r", 0)
        if isinstance(rank, int) and rank > most:
            raise Refusal("own", f"LoRA rank {rank} is greater than max_lora_rank {most}.")
        if config.get("bias", "none") != "none":
            raise Refusal("own", "Adapter bias is not supported.")
        if config.get("use_dora"):
            raise Refusal("own", "vLLM does not yet support DoRA.")
        if config.get("modules_to_save"):
            raise Refusal("own", "vLLM only supports modules_to_save being None.")

    def unload(self, turn: Turn) -> None:
        """Unload an adapter.

        Raises:
            Refusal: Its name is missing, or it is not loaded.
        """
        name, admin = self._server.sent(turn).get("lora_name"), self._server.admin
        if not isinstance(name, str) or not name:
            raise Refusal("adapter", "'lora_name' needs to be provided to unload a LoRA adapter.")
        if name not in admin.loras:
            raise Refusal("no adapter", f"The lora adapter '{name}' cannot be found.")
        del admin.loras[name]
        admin.paths.pop(name, None)
        self._tell(turn, f"Success: LoRA adapter '{name}' removed successfully.")

    def _tell(self, turn: Turn, text: str) -> None:
        deliver(turn, Draft(content_type="", body=text.encode()))
