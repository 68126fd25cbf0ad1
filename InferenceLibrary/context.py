"""The one object that holds state: what is open, who opened it, and the settings.

Ownership: whatever is opened belongs to the test that opened it, else to the suite (a suite setup), else to the run.
The library's listener tells the context where the run stands; when a test or a suite ends, what it owns is closed.
"""

from __future__ import annotations

import itertools
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.errors import TargetError
from InferenceLibrary.redaction import Redactor

if TYPE_CHECKING:
    from typing import Protocol

    from InferenceLibrary.client.background import BackgroundCall
    from InferenceLibrary.load.measurement import Measurement
    from InferenceLibrary.load.result import LoadResult
    from InferenceLibrary.load.run import InterruptedLoad
    from InferenceLibrary.monitor.memory import MemoryMonitor
    from InferenceLibrary.monitor.metrics import MetricsMonitor
    from InferenceLibrary.onnx.benchmark_record import Benchmark
    from InferenceLibrary.onnx.model import OnnxModel
    from InferenceLibrary.programs.checks import ProgramUnderTest
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.protocol.rules.verdicts import Severity, Tally, Verdict
    from InferenceLibrary.servers.control import Behaviour
    from InferenceLibrary.servers.loading import Loader
    from InferenceLibrary.servers.probing.shared import KnownServers
    from InferenceLibrary.servers.server import Server
    from InferenceLibrary.terminal.session import Terminal

    class Resource(Protocol):
        """Something that is opened and must be closed: a server, a terminal, a monitor."""

        @property
        def name(self) -> str: ...

        def close(self) -> None:
            """Release everything. Called once; a second call does nothing."""


R = TypeVar("R", bound="Resource")

RUN = "run"
"""Owner of what was opened outside any suite."""


class _Entry(Generic[R]):
    def __init__(self, handle: int, resource: R, alias: str | None, owner: str) -> None:
        self.since = time.time()
        self.handle = handle
        self.resource = resource
        self.alias = alias
        self.owner = owner


class Registry(Generic[R]):
    """The open resources of one kind, found by handle, alias, object, or as the current one."""

    def __init__(
        self, kind: str, owner: Callable[[], str], how_to_open: str, ended: Callable[[R, float], None] | None = None
    ) -> None:
        self._ended = ended
        self._kind = kind
        self._owner = owner
        self._how_to_open = how_to_open
        self._entries: dict[int, _Entry[R]] = {}
        self._recent: list[int] = []
        self._handles = itertools.count(1)

    def add(self, resource: R, alias: str | None = None, owner: str | None = None) -> int:
        """Register under the present owner, or another, make it the current one, return its handle.

        A second resource under an alias in use takes the alias over; the first stays reachable by its handle.
        """
        for entry in self._entries.values():
            if alias is not None and entry.alias == alias:
                entry.alias = None
        handle = next(self._handles)
        self._entries[handle] = _Entry(handle, resource, alias, owner or self._owner())
        self._recent.append(handle)
        return handle

    def get(self, ref: object = None) -> R:
        """Return the resource that `ref` names: an alias, a handle, the object itself, or None for the current one."""
        return self._find(ref).resource

    def switch(self, ref: object) -> R:
        """Make the named resource the current one and return it."""
        entry = self._find(ref)
        self._recent.remove(entry.handle)
        self._recent.append(entry.handle)
        return entry.resource

    def alias_in_use(self, alias: str) -> bool:
        return any(entry.alias == alias for entry in self._entries.values())

    def close(self, ref: object = None) -> R:
        """Close the named resource and forget it, even when closing fails."""
        entry = self._find(ref)
        self._forget(entry)
        entry.resource.close()
        return entry.resource

    def release(self, owner: str | None = None) -> list[tuple[str, BaseException]]:
        """Close what `owner` opened (everything, when None), newest first; return what failed, as (name, error).

        A failure or an interruption does not keep the rest from being closed.
        """
        failures: list[tuple[str, BaseException]] = []
        for entry in reversed(list(self._entries.values())):
            if owner is not None and entry.owner != owner:
                continue
            self._forget(entry)
            try:
                entry.resource.close()
            except BaseException as error:  # noqa: BLE001 - collected, reported, and raised again by the caller
                failures.append((entry.resource.name, error))
        return failures

    def of_owner(self, match: Callable[[R], bool], make: Callable[[], R]) -> R:
        """Return the resource of the present owner that matches; make and register one where there is none."""
        owner = self._owner()
        for entry in self._entries.values():
            if entry.owner == owner and match(entry.resource):
                return entry.resource
        made = make()
        self.add(made)
        return made

    def __iter__(self) -> Iterator[R]:
        return iter([entry.resource for entry in self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, entry: _Entry[R]) -> None:
        del self._entries[entry.handle]
        self._recent.remove(entry.handle)
        if self._ended is not None:
            self._ended(entry.resource, entry.since)

    def _find(self, ref: object) -> _Entry[R]:
        if ref is None:
            if not self._recent:
                raise TargetError(f"No {self._kind} is open. Hint: {self._how_to_open}")
            return self._entries[self._recent[-1]]
        for entry in self._entries.values():
            if ref is entry.resource or (isinstance(ref, str) and ref == entry.alias):
                return entry
        for entry in self._entries.values():
            if ref == entry.handle or ref == str(entry.handle):
                return entry
        for entry in reversed(list(self._entries.values())):
            if isinstance(ref, str) and ref == entry.resource.name:
                return entry
        known = ", ".join(self._shown(entry) for entry in self._entries.values()) or "none"
        name, equals, _ = str(ref).partition("=")
        hint = self._how_to_open
        if equals and name.isidentifier():
            hint = f"if {name}= was meant as an argument, this keyword has none of that name."
        raise TargetError(f"No {self._kind} '{ref}' is open: expected one of: {known}. Hint: {hint}")

    @staticmethod
    def _shown(entry: _Entry[R]) -> str:
        alias = f" ({entry.alias})" if entry.alias else ""
        return f"{entry.handle} = {entry.resource.name}{alias}"


class TestNotes:
    """What the calls of a test were about, for its metadata."""

    __test__ = False
    """Not a class of tests, whatever pytest reads from its name."""

    def __init__(self) -> None:
        self.calls = 0
        self.servers: dict[str, str] = {}
        """Name to what it calls itself in the header `Server`."""
        self.models: dict[str, None] = {}
        self.broken: dict[str, None] = {}
        """Ids of broken rules, in the order in which they were broken."""
        self.first_tokens: list[float] = []
        """Seconds to the first token of each stream."""
        self.rates: list[float] = []
        """Tokens per second of each stream that has a rate."""


class EarlierCalls:
    """The calls before on one server, for the rules on several calls, and what they taught."""

    def __init__(self) -> None:
        self.calls: deque[Exchange] = deque(maxlen=2)
        """The last ones: a reading, what is counted, and a reading after it are three with the present one."""
        self._told: deque[tuple[str, Exchange]] = deque(maxlen=32)
        self._keyed: set[str] = set()

    def add(self, exchange: Exchange) -> None:
        self.calls.append(exchange)

    def wants_key(self, exchange: Exchange) -> bool | None:
        """Whether the server refused a call of this path before for its missing key; None where nobody knows."""
        known = True if exchange.request.path in self._keyed else None
        if exchange.status == 401 and not {"authorization", "x-api-key"} & {
            name for name, _ in exchange.request.headers
        }:
            self._keyed.add(exchange.request.path)
        return known

    def is_news(self, rule: str, exchange: Exchange) -> bool:
        """Whether nobody was told yet that this call breaks a rule; from now on somebody was."""
        news = not any(rule == name and exchange is call for name, call in self._told)
        if news:
            self._told.append((rule, exchange))
        return news


class Context:
    """State of one library instance.

    Args:
        limits: Limits of calls to servers that are opened from now on.
        start_timeout: Seconds for the start of a server; None leaves it to the profile.
        rules: How much broken rules of the wire count.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        start_timeout: float | None = None,
        rules: Severity = "warn",
    ) -> None:
        self.limits = limits or Limits()
        self.start_timeout = start_timeout
        self.output_dir = Path("results").absolute()
        """`${OUTPUT_DIR}` in a Robot run."""
        self.redactor = Redactor()
        self.told_at = 0.0
        """When something was told on the console last, on the monotonic clock."""
        self.current_test = ""
        self.current_tags: Collection[str] = ()
        """Tags of the present test."""
        self.stopped_servers: deque[Server] = deque(maxlen=32)
        """Servers that a keyword stopped, the last one at the end: they can still be asked how they ended."""
        self.notes = TestNotes()
        self.server_versions: dict[str, str] = {}
        """Name of a server to the version that its answers tell."""
        self.server_lives: list[tuple[str, float, float, str, str]] = []
        """Servers that were closed since the last suite ended: name, from when to when (Unix time), URL and model."""
        self._known_servers: KnownServers | None = None
        self.earlier_calls: defaultdict[str, EarlierCalls] = defaultdict(EarlierCalls)
        """Those on each server, by its name."""
        self._tally: Tally | None = None
        self._rules: list[tuple[str, Severity, tuple[str, ...]]] = [(RUN, rules, ())]
        self.last_calls: deque[tuple[Exchange, Verdict]] = deque(maxlen=3)
        """The last calls of the present test, for its evidence when it fails."""
        self._owners: list[str] = [RUN]
        self._artifacts = itertools.count(1)

        self.servers: Registry[Server] = Registry(
            "server", lambda: self.owner, "use Start Server or Connect To Server.", self._server_ended
        )
        self.calls: Registry[BackgroundCall] = self._registry("call", "use Start Call.")
        """Calls under way."""
        self.terminals: Registry[Terminal] = self._registry("terminal", "use Start Terminal or Start Chat Terminal.")
        self.monitors: Registry[MemoryMonitor] = self._registry("memory monitor", "use Start Memory Monitor")
        self.metric_monitors: Registry[MetricsMonitor] = self._registry("metrics monitor", "use Start Metrics Monitor.")
        self.measurements: Registry[Measurement] = self._registry("measurement", "use Measure Generation")
        self.loads: Registry[LoadResult | InterruptedLoad] = self._registry("load", "use Run Load")
        """Results of loads."""
        self.programs: Registry[ProgramUnderTest] = self._registry("program under test", "use Use Program")
        self.loaders: Registry[Loader] = self._registry(
            "program that loads models", "use Use Model Program, or give profile= or command=."
        )
        self.onnx_models: Registry[OnnxModel] = self._registry("ONNX model", "use Load Onnx Model")
        self.onnx_benchmarks: Registry[Benchmark] = self._registry("ONNX benchmark", "use Benchmark Onnx Model")
        self.behaviours: Registry[Behaviour] = self._registry("changed behaviour", "use Inject Fault")
        """How simulators were before they were told otherwise."""
        self.model_files: Registry[Resource] = self._registry("model file", "use Create Tiny Model")
        """Folders of model files that go with their owner."""
        # What talks to a server or watches it is closed before the server, and files after those who read them.
        self._releases: tuple[Callable[[str | None], list[tuple[str, BaseException]]], ...] = (
            self.calls.release,
            self.terminals.release,
            self.monitors.release,
            self.metric_monitors.release,
            self.measurements.release,
            self.loads.release,
            self.programs.release,
            self.loaders.release,
            self.onnx_models.release,
            self.onnx_benchmarks.release,
            self.behaviours.release,
            self.servers.release,
            self.model_files.release,
        )

    @property
    def owner(self) -> str:
        """Whom what is opened now belongs to."""
        return self._owners[-1]

    @property
    def rules(self) -> Severity:
        """How much broken rules of the wire count now."""
        return self._rules[-1][1]

    @property
    def rules_left_out(self) -> tuple[str, ...]:
        """Ids of the rules that are not held against any server now."""
        return self._rules[-1][2]

    def use_rules(self, rules: Severity, leave_out: Iterable[str] = ()) -> None:
        """From now on broken rules count so much, but for those left out, until the present test or suite ends."""
        self._rules = [entry for entry in self._rules if entry[0] != self.owner]
        self._rules.append((self.owner, rules, tuple(leave_out)))

    @property
    def tally(self) -> Tally:
        """What the rules said of all calls of the run."""
        if self._tally is None:
            from InferenceLibrary.protocol.rules.verdicts import Tally

            self._tally = Tally()
        return self._tally

    @property
    def known_servers(self) -> KnownServers:
        """What servers of the run offer, as far as somebody asked."""
        if self._known_servers is None:
            from InferenceLibrary.servers.probing.shared import KnownServers

            self._known_servers = KnownServers()
        return self._known_servers

    @property
    def capabilities_asked(self) -> bool:
        return self._known_servers is not None

    @property
    def judged_calls(self) -> int:
        return self._tally.judged if self._tally is not None else 0

    def _registry(self, kind: str, how_to_open: str) -> Registry[R]:
        return Registry(kind, lambda: self.owner, how_to_open)

    def _server_ended(self, server: Server, since: float) -> None:
        self.server_lives.append((server.name, since, time.time(), server.base_url, server.model or ""))

    def enter(self, owner: str) -> None:
        """A suite or test begins: what is opened from now on belongs to it."""
        self._owners.append(owner)

    def leave(self, owner: str) -> list[tuple[str, BaseException]]:
        """A suite or test ends: close what it owns; return what failed."""
        if owner in self._owners:
            del self._owners[self._owners.index(owner) :]
            self._rules = [entry for entry in self._rules if entry[0] in self._owners]
        return self._release(owner)

    def close(self) -> list[tuple[str, BaseException]]:
        """The run ends: close everything that is still open."""
        return self._release(None)

    def artifact(self, kind: str, name: str, suffix: str) -> Path:
        """Return a new path for a file beside the log: `OUTPUT_DIR/inference/KIND/NAME-N.SUFFIX`.

        `name` may be any text; the present test's name is put before it.
        """
        from InferenceLibrary.files import make_folder

        folder = self.output_dir / "inference" / kind
        make_folder(folder)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{self.current_test} {name}").strip("-").lower()[:80] or kind
        while True:
            path = folder / f"{stem}-{next(self._artifacts)}.{suffix.lstrip('.')}"
            if not path.exists():
                return path

    def _release(self, owner: str | None) -> list[tuple[str, BaseException]]:
        return [failure for release in self._releases for failure in release(owner)]
