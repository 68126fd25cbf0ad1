"""What is known of servers, kept for a run; processes that run side by side under pabot ask each server once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

from InferenceLibrary.files import make_folder, write_text
from InferenceLibrary.protocol.capabilities import Offer, State
from InferenceLibrary.servers.probing.prober import Prober
from InferenceLibrary.servers.server import Server

_PABOT = "pabot_results"
"""The folder that all processes of a run of pabot write below; pabot empties it when a run begins."""


class KnownServers:
    """What is known of each server, by its likeness: its address, or how it was started."""

    def __init__(self) -> None:
        self.servers: dict[str, tuple[str, dict[str, Offer]]] = {}
        """Likeness to name and what is known."""
        self._probers: WeakKeyDictionary[Server, Prober] = WeakKeyDictionary()

    def offer(self, server: Server, name: str, output_dir: Path, tell: Callable[[str], None]) -> Offer:
        """Return what is known of a capability; find it out where nothing is.

        Args:
            server: The server; one that was started as another was is like it.
            name: A word of the list.
            output_dir: Where the run writes its results.
            tell: Takes a line about each request.
        """
        _, known = self.servers.setdefault(server.likeness, (server.name, {}))
        if name in known:
            return known[name]
        prober = self._probers.get(server)
        if prober is None:
            prober = self._probers[server] = Prober(server.client, server.known.profile, server.model, tell)
        with _kept(known, server.likeness, output_dir):
            return prober.offer(name, known)


@contextmanager
def _kept(known: dict[str, Offer], likeness: str, output_dir: Path) -> Iterator[None]:
    """Other processes of the run wait meanwhile, and then know it too."""
    folder = shared_folder(output_dir)
    if folder is None:
        yield
        return
    make_folder(folder)
    # No folder of our own: pabot takes each one there for a process.
    path = folder / f"capabilities-{hashlib.sha256(likeness.encode()).hexdigest()[:16]}.json"
    with _locked(path.with_suffix(".lock")):
        if path.is_file():
            known.update(_read(path))
        yield
        written = path.with_suffix(".new")
        write_text(written, json.dumps([list(offer) for offer in known.values()]))
        written.replace(path)


def shared_folder(output_dir: Path) -> Path | None:
    """Return the folder that the processes of this run share; None where it has one process."""
    for folder in output_dir.parents:
        if folder.name == _PABOT:
            return folder
    return None


def _read(path: Path) -> dict[str, Offer]:
    held = json.loads(path.read_text(encoding="utf-8"))
    return {name: Offer(name, State(state), evidence, source) for name, state, evidence, source in held}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            import fcntl
        except ModuleNotFoundError:  # Windows: there a server may be asked twice
            pass
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
