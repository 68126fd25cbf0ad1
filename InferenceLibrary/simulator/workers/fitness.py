"""What several processes can serve together."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.personalities.registry import REFERENCE, has_choices, is_personality

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings


def why_not(settings: Settings) -> str:
    """Return in one line why these settings need one process; empty where they do not."""
    if not (hasattr(os, "fork") and hasattr(socket, "SO_REUSEPORT")):
        return "this system cannot share a port between processes; leave it out"
    name = settings.personality
    if name != REFERENCE and (is_personality(name) or has_choices(name)):
        return f"--as {name} keeps what one process alone knows; leave one of the two out"
    for flag, given, why in (
        ("--mode onnx", settings.mode == "onnx", "loads its model in one process"),
        ("--embedding-model", settings.embedding_model, "loads its model in one process"),
        ("--scenario", settings.scenario, "counts its steps in one process"),
        ("--truth-file", settings.truth_file, "is written by one process"),
        ("--self-signed-certs", settings.self_signed_certs, "makes a certificate for one process; give --ssl-certfile"),
    ):
        if given:
            return f"{flag} {why}; leave one of the two out"
    if settings.fault:
        from InferenceLibrary.simulator.faults.catalogue import parse_fault

        for text in settings.fault:
            if (kind := parse_fault(text).kind).of_process:
                return f"--fault {kind.name} is one of a process; leave one of the two out"
    return ""
