"""Ask a server for its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.errors import TargetError
from InferenceLibrary.protocol.prometheus import Metrics, read_metrics

if TYPE_CHECKING:
    from InferenceLibrary.client.http import Client
    from InferenceLibrary.servers.profile import Profile


def fetch_metrics(client: Client, path: str, budget: float | None = None) -> Metrics:
    """Return what the server's metrics say now.

    Args:
        client: Asks the server.
        path: Path of the metrics.
        budget: Seconds in which the answer must be there; None for the client's own limits.

    Raises:
        RequestError: No answer, or another status than 200.
    """
    limits = None if budget is None else client.limits.replace(total=budget)
    from InferenceLibrary.client.sending import Sending

    return read_metrics(client.send("GET", path, sending=Sending(limits=limits)).body)


def requests_at_work(client: Client, profile: Profile, budget: float | None = None) -> dict[str, float]:
    """Return the counts of requests at work and waiting, by the names of their metrics.

    Args:
        client: Asks the server.
        profile: Says which metrics count them.
        budget: Seconds in which the answer must be there; None for the client's own limits.

    Raises:
        RequestError: The metrics cannot be had.
        TargetError: The profile names none, or the server has none of those named.
    """
    names = profile.metrics.running if profile.metrics is not None else []
    if profile.metrics is None or not names:
        reason = profile.lacks.get("metrics", "its profile has no metrics.running")
        raise TargetError(f"Whether '{profile.name}' is idle cannot be told: {reason}.")
    metrics = fetch_metrics(client, profile.metrics.path, budget)
    found = {name: value for name in names if (value := metrics.value(name)) is not None}
    if not found:
        raise TargetError(
            f"Whether '{profile.name}' is idle cannot be told: its metrics hold none of {', '.join(names)}."
        )
    return found
