"""Flags of the mistral.rs personality that its programs do not have."""

from __future__ import annotations

from dataclasses import dataclass

from InferenceLibrary.simulator.core.settings import Settings, flag


@dataclass(slots=True)
class MistralRsSettings(Settings):
    """As `Settings`, for `--as mistralrs`."""

    older_generation: bool = flag("bool", False, "mistralrs-server 0.6 in place of mistralrs 0.9.2")
    disable_metrics: bool = flag("bool", False, "answer 503 on /metrics")
    disable_request_id_header: bool = flag("bool", False, "send no x-request-id")
    disable_access_log: bool = flag("bool", False, "log no requests")
    access_log_format: str = flag("str", "text", "text or json")
    access_log_health: bool = flag("bool", False, "log requests for health, metrics and pages, too")
    no_ui: bool = flag("bool", False, "serve no page at /ui")
