"""Which backend a request goes to: weights, health, failover; and the admin routes that show and change it."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import read_json
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.router_limits import RouterError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.router_limits import Guard
    from InferenceLibrary.simulator.personalities.router_settings import Backend, RouterSettings

ADMIN = "/v1/admin/routing"
_SHOWN_DECISIONS = 50
_KEPT_DECISIONS = 100
# A backend with so many errors in a row is left alone for a while, until the next health check would come.
_MOST_ERRORS = 3
_REST_SECONDS = 10.0


def stamp(moment: float | None = None) -> str:
    """Return a time as RFC 3339."""
    return datetime.fromtimestamp(time() if moment is None else moment, UTC).isoformat().replace("+00:00", "Z")


class Backends:
    """The registry of backends, and what was decided."""

    def __init__(self, app: App, settings: RouterSettings, guard: Guard) -> None:
        self._app = app
        self._settings = settings
        self._guard = guard
        self.all = settings.backends()
        self.decisions: deque[dict[str, Any]] = deque(maxlen=_KEPT_DECISIONS)
        self.requests: dict[tuple[str, str], int] = {}
        self.routes: dict[str, dict[str, Handler]] = {
            f"{ADMIN}/backends": {"GET": self.show_all},
            f"{ADMIN}/backends/*": {"GET": self.show_health, "POST": self.change},
            f"{ADMIN}/decisions": {"GET": self.show_decisions},
            f"{ADMIN}/policies": {"POST": self.update_policy},
            f"{ADMIN}/policies/*": {"GET": self.show_policy},
        }

    def policy(self, model: str) -> list[Backend]:
        """Return the backends for a model.

        Raises:
            RouterError: ROUTING_ERROR, there is none.
        """
        found = [item for item in self.all.values() if not item.serves or model in item.serves]
        if not found:
            raise RouterError("ROUTING_ERROR", "no routing policy configured")
        return found

    def order(self, model: str) -> list[Backend]:
        """Return the backends in the order in which they are tried: one by weight, then the heaviest of the others.

        Raises:
            RouterError: ROUTING_ERROR, no backend is configured for the model.
        """
        backends = self.policy(model)
        now = monotonic()
        healthy = [item for item in backends if not item.degraded and item.down_until <= now]
        # All are bad: then any is better than none.
        usable = healthy or backends
        total = sum(item.weight for item in usable)
        first = usable[0]
        if total:
            place = self._app.chance.below(total)
            for item in usable:
                place -= item.weight
                if place < 0:
                    first = item
                    break
        others = sorted((item for item in usable if item is not first), key=lambda item: -item.weight)
        return [first, *others]

    def decided(self, backend: Backend, kind: str, attempt: int, error: str = "", *, blamed: bool = True) -> None:
        """Write down where a request went, and how that backend did; a request that was wrong is not to be blamed."""
        reason = f"attempt {attempt} (weight: {backend.weight})"
        self.decisions.append(
            {
                "BackendID": backend.id,
                "DecisionType": kind,
                "Reason": f"{reason} - error: {error}" if error else reason,
                "Timestamp": stamp(),
                "AttemptNumber": attempt,
            }
        )
        outcome = (backend.id, "error" if error else "success")
        self.requests[outcome] = self.requests.get(outcome, 0) + 1
        backend.last_check = time()
        if error and not blamed:
            return
        backend.last_error = error
        backend.errors = backend.errors + 1 if error else 0
        if backend.errors >= _MOST_ERRORS:
            backend.down_until = monotonic() + _REST_SECONDS
        elif not error:
            backend.down_until = 0.0

    # Admin

    def _admit(self, turn: Turn) -> None:
        self._guard.authenticate(turn.request)

    def _status(self, backend: Backend) -> str:
        if backend.degraded:
            return "degraded"
        return "unhealthy" if backend.down_until > monotonic() else "healthy"

    def _health(self, backend: Backend) -> dict[str, Any]:
        return {"last_check": stamp(backend.last_check or None), "consecutive_errors": backend.errors}

    def show_all(self, turn: Turn) -> None:
        self._admit(turn)
        timeout = round(self._settings.upstream_timeout * 1000)
        shown = [
            {
                "backend_id": item.id,
                "uri": item.address.url,
                "timeout_ms": timeout,
                "health_status": self._status(item),
                **self._health(item),
            }
            for item in self.all.values()
        ]
        deliver(turn, Draft(body={"backends": shown, "count": len(shown)}))

    def _named(self, turn: Turn, action: str) -> Backend:
        name, _, found = turn.request.path.removeprefix(f"{ADMIN}/backends/").rpartition("/")
        if found != action or name not in self.all:
            raise RouterError("NOT_FOUND", "backend not found")
        return self.all[name]

    def show_health(self, turn: Turn) -> None:
        self._admit(turn)
        backend = self._named(turn, "health")
        body = {"backend_id": backend.id, "status": self._status(backend), **self._health(backend)}
        body["latency_ms"] = round(backend.latency * 1000)
        if backend.last_error:
            body["last_error"] = backend.last_error
        deliver(turn, Draft(body=body))

    def change(self, turn: Turn) -> None:
        self._admit(turn)
        action = turn.request.path.rpartition("/")[2]
        if action not in {"degrade", "healthy"}:
            raise RouterError("NOT_FOUND", "backend not found")
        backend = self._named(turn, action)
        body: dict[str, Any] = {"backend_id": backend.id, "status": "healthy"}
        if action == "degrade":
            body["status"] = "degraded"
            body["reason"] = read_json(turn.request, any_type=True).get("reason", "")
        backend.degraded = action == "degrade"
        backend.errors, backend.down_until = 0, 0.0
        deliver(turn, Draft(body={**body, "updated_at": stamp()}))

    def show_decisions(self, turn: Turn) -> None:
        self._admit(turn)
        shown = list(self.decisions)[-_SHOWN_DECISIONS:]
        deliver(turn, Draft(body={"decisions": shown, "count": len(shown)}))

    def update_policy(self, turn: Turn) -> None:
        """Accept a policy, which changes nothing: the router only logs it."""
        self._admit(turn)
        data = read_json(turn.request, any_type=True)
        organization, model = data.get("organization_id"), data.get("model")
        if not organization or not model:
            raise RouterError("INVALID_REQUEST", "organization_id and model required")
        body = {"policy_id": f"{organization}-{model}", "organization_id": organization, "model": model}
        deliver(turn, Draft(body={**body, "updated_at": stamp()}))

    def show_policy(self, turn: Turn) -> None:
        self._admit(turn)
        organization, _, model = turn.request.path.removeprefix(f"{ADMIN}/policies/").partition("/")
        try:
            backends = self.policy(model)
        except RouterError:
            raise RouterError("NOT_FOUND", "policy not found: no policy for this model") from None
        body = {
            "policy_id": f"{organization}-{model}",
            "organization_id": organization,
            "model": model,
            "backends": [{"BackendID": item.id, "Weight": item.weight} for item in backends],
            "failover_threshold": 1,
            "degraded_backends": [item.id for item in backends if item.degraded],
            "updated_at": stamp(),
            "version": 1,
        }
        deliver(turn, Draft(body=body))
