"""The gateway personality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.drafts import Draft, deliver

if TYPE_CHECKING:
    from InferenceLibrary.simulator.api_errors import ApiError
    from InferenceLibrary.simulator.app import App, Handler
    from InferenceLibrary.simulator.exchange import Exchange


class Gateway:
    """`--as gateway`."""

    generating: frozenset[str] = frozenset()
    open_paths = frozenset({"/health"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.routes: dict[str, dict[str, Handler]] = {"/health": {"GET": self.health}}

    def error(self, error: ApiError, path: str = "") -> Draft:
        return Draft(error.status, body={"message": error.message})

    def before(self, exchange: Exchange) -> bool:
        return False

    def health(self, exchange: Exchange) -> None:
        deliver(exchange, Draft(body={"status": "healthy"}))
