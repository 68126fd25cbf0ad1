"""The containers and compose projects of any run that stand at the engine: found by their labels, ended by hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from InferenceLibrary.containers.engine import (
    ContainerEngine,
    EngineMissingError,
    api_errors,
    engine_problem,
    find_address,
    sdk,
)
from InferenceLibrary.containers.leftovers import remove_project
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import MissingExtraError
from InferenceLibrary.processes.owner import KEPT_LABEL, PID_LABEL, RUN_LABEL, folder_of, has_lost_its_owner

_PROJECT_LABEL = "com.docker.compose.project"
_REMOVAL_BUDGET = 10.0


class Standing(NamedTuple):
    """A container of ours, or a compose project with all that it has."""

    name: str
    kind: str
    """`container` or `compose project`."""
    image: str
    """Of its first container; empty when only networks or volumes are left."""
    url: str
    """Where its first published port is reached; empty without one."""
    since: float
    """Seconds since the epoch; 0 when only networks or volumes are left."""
    containers: tuple[str, ...]
    """Their ids."""
    runner: str
    """Process id of the runner that started it."""
    kept: bool
    """Whether it was to outlive its run."""
    ownerless: bool
    """Whether its runner has died on this machine."""
    folder: str
    """From where its run was started; empty where that is unknown."""

    @property
    def state(self) -> str:
        """`kept`, `left behind`, or whose it is."""
        if self.ownerless:
            return "kept" if self.kept else "left behind"
        return f"of run {self.runner}"


def open_engine() -> tuple[ContainerEngine | None, str]:
    """Return the engine, or None and in one line why there is none."""
    address = find_address()
    problem = engine_problem(address)
    if problem is not None:
        return None, f"no container engine answers at {address.url} ({address.origin}): {problem}"
    try:
        return ContainerEngine(address), ""
    except (EngineMissingError, MissingExtraError) as error:
        return None, str(error).splitlines()[0]


def all_standing(engine: ContainerEngine) -> list[Standing]:
    """Return all that bears our labels, a project as one; the oldest first, what has no container last."""
    api, filters = engine.client.api, {"label": RUN_LABEL}
    found: dict[str, Standing] = {}
    for item in sorted(api.containers(all=True, filters=filters), key=lambda item: int(item["Created"])):
        ports = sorted(port["PublicPort"] for port in item.get("Ports") or [] if port.get("PublicPort"))
        url = f"http://{engine.address.host}:{ports[0]}" if ports else ""
        one = _standing(item["Labels"], item["Names"][0].lstrip("/"))._replace(
            image=item["Image"], url=url, since=float(item["Created"]), containers=(item["Id"],)
        )
        before = found.get(one.name)
        if before is not None:
            one = before._replace(containers=before.containers + one.containers, url=before.url or url)
        found[one.name] = one
    parts = [*api.networks(filters=filters), *(api.volumes(filters=filters).get("Volumes") or [])]
    for item in parts:
        rest = _standing(item["Labels"], item["Name"])
        found.setdefault(rest.name, rest)
    return list(found.values())


def end_standing(engine: ContainerEngine, standing: Standing, grace: int = 10) -> bool:
    """End one by hand: TERM, `grace` seconds, KILL, removal; return whether nothing of it is left."""
    api = engine.client.api
    for container in standing.containers:
        # It may have ended, or been removed by somebody else.
        with suppress(*api_errors()):
            api.stop(container, timeout=grace)
    if standing.kind == "container":
        return all(_gone(partial(_removed, api, container)) for container in standing.containers)
    return _gone(lambda: not remove_project(api, standing.name))


def _gone(check: Callable[[], bool]) -> bool:
    def quietly() -> bool:
        with suppress(*api_errors()):
            return check()
        return False

    return wait_until(quietly, _REMOVAL_BUDGET, first=0.05, longest=0.5)


def _removed(api: Any, container: str) -> bool:
    try:
        api.remove_container(container, force=True, v=True)
    except sdk().errors.NotFound:
        return True
    return True


def _standing(labels: dict[str, str], name: str) -> Standing:
    project = labels.get(_PROJECT_LABEL)
    return Standing(
        name=project or name,
        kind="compose project" if project else "container",
        image="",
        url="",
        since=0.0,
        containers=(),
        runner=labels.get(PID_LABEL, "?"),
        kept=KEPT_LABEL in labels,
        ownerless=has_lost_its_owner(labels),
        folder=folder_of(labels),
    )
