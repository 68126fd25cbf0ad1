"""Containers, networks and volumes of runs that have died: found by their labels and removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from InferenceLibrary.containers.engine import ContainerEngine, sdk
from InferenceLibrary.processes.owner import KEPT_LABEL, RUN_LABEL, is_orphan


def remove_run(api: Any, run: str, kept: Collection[str] = ()) -> int:
    """Remove everything that one run has started, but for the containers and projects in `kept`; return how much."""
    return _remove(api, f"{RUN_LABEL}={run}", lambda labels: labels.get(KEPT_LABEL) not in kept)


def remove_orphans(api: Any) -> int:
    """Remove everything whose owner has died on this machine; return how much that was."""
    return _remove(api, RUN_LABEL, is_orphan)


_cleaned: set[tuple[int, str]] = set()


def remove_orphans_once(engine: ContainerEngine) -> int:
    """The same, but once for each engine in the life of this process: what dies later is for the next run."""
    key = (os.getpid(), engine.address.url)
    if key in _cleaned:
        return 0
    _cleaned.add(key)
    return remove_orphans(engine.client.api)


def remove_project(api: Any, project: str) -> list[str]:
    """Remove everything of a compose project; return the names of what is left."""
    label = f"com.docker.compose.project={project}"
    _remove(api, label, lambda labels: True)
    filters = {"label": label}
    left = [item["Id"][:12] for item in api.containers(all=True, filters=filters)]
    left += [item["Name"] for item in api.networks(filters=filters)]
    return left + [item["Name"] for item in api.volumes(filters=filters).get("Volumes") or []]


def _remove(api: Any, label: str, wanted: Callable[[dict[str, str]], bool]) -> int:
    """Containers first: networks and volumes in use cannot be removed."""
    filters = {"label": label}
    found = 0
    for container in api.containers(all=True, filters=filters):
        if wanted(container.get("Labels") or {}):
            found += 1
            _quietly(partial(api.remove_container, container["Id"], force=True, v=True))
    for network in api.networks(filters=filters):
        if wanted(network.get("Labels") or {}):
            found += 1
            _quietly(partial(api.remove_network, network["Id"]))
    for volume in api.volumes(filters=filters).get("Volumes") or []:
        if wanted(volume.get("Labels") or {}):
            found += 1
            _quietly(partial(api.remove_volume, volume["Name"], force=True))
    return found


def _quietly(remove: Callable[[], object]) -> None:
    """Somebody else may have been faster, or an earlier removal is still under way."""
    try:
        remove()
    except sdk().errors.APIError:
        return
