"""The rules of the house: three rings, imports only inward; what must not be there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "InferenceLibrary"

RING_1 = {
    "causes",
    "errors",
    "extras",
    "deadline",
    "dialects",
    "durations",
    "foreign_text",
    "redaction",
    "sizes",
    "typed_yaml",
    "stats",
    "text_search",
    "chart_parts",
    "charts",
    "protocol",
    "modelfiles.headers",
    "version",
}
"""Pure: no I/O, no Robot."""
RING_2 = {
    "client",
    "containers",
    "files",
    "load",
    "modelfiles",
    "monitor",
    "onnx",
    "processes",
    "programs",
    "report",
    "servers",
    "terminal",
}
"""I/O, no Robot: a Python API of its own."""
RING_3 = {"check", "context", "heartbeat", "keywords", "library", "log", "plain_words", "time_budgets", "types"}
"""The only place that knows Robot."""
PROGRAMS = {"simulator", "cli", "doctor"}
"""Programs of their own. The simulator imports ring 1 only."""

IO_MODULES = {
    "socket",
    "subprocess",
    "httpx",
    "httpcore",
    "http",
    "urllib",
    "requests",
    "asyncio",
    "threading",
    "docker",
}


MODELS_DOOR = "simulator.core.inference"
"""The one module of the simulator that imports models in ONNX, when they are asked for."""


INNER_ROOMS = {
    "modelfiles.headers",
    "simulator.answers",
    "simulator.core",
    "simulator.faults",
    "simulator.personalities",
}
"""Packages below a room that are rooms of their own."""


PURE = {"urllib.parse"}
"""Modules without I/O in a package that does some."""


def room_of(module: str) -> str:
    """The room of a module named from the package on: `servers` for `servers.server`, `errors` for `errors`."""
    parts = module.split(".")
    inner = ".".join(parts[:2])
    return inner if inner in INNER_ROOMS else parts[0]


def module_of(path: Path) -> str:
    """The name of a source from the package on: `servers.server`, `servers` for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(path: Path) -> str:
    """The part whose ring counts: `servers`, `errors`, `modelfiles.headers`; the simulator is one part."""
    room = room_of(module_of(path))
    return "simulator" if room.startswith("simulator") else room


@cache
def import_lines(source: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """What imports in a source, also inside functions and for type checking."""
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def imports_of(source: str) -> set[str]:
    """Absolute names of all modules that a source imports, also inside functions and for type checking."""
    found: set[str] = set()
    for node in import_lines(source):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, "relative imports are not used here"
            found.add(node.module or "")
            if node.module == "InferenceLibrary":
                found |= {f"InferenceLibrary.{alias.name}" for alias in node.names}
    return found


def parts_imported(source: str) -> set[str]:
    """Parts of our own package that a source imports."""
    rooms = {room_of(name.partition(".")[2]) for name in imports_of(source) if name.startswith("InferenceLibrary.")}
    return {"simulator" if room.startswith("simulator") else room for room in rooms}


def breaches(part: str, source: str, module: str = "") -> list[str]:
    """What a source of this part must not import."""
    ours = parts_imported(source)
    foreign = {name.split(".")[0] for name in imports_of(source) - PURE}
    found: list[str] = []
    if part in RING_1 | RING_2 | PROGRAMS and foreign & {"robot", "assertionengine"}:
        found.append("knows Robot")
    if part in RING_1:
        found += [f"imports {name}" for name in ours - RING_1]
        found += [f"does I/O by {name}" for name in foreign & IO_MODULES]
    elif part in RING_2:
        found += [f"imports {name}" for name in ours - RING_1 - RING_2]
    elif part == "simulator":
        allowed = {"onnx"} if module == MODELS_DOOR else set()
        found += [f"imports {name}" for name in ours - RING_1 - {"simulator"} - allowed]
    if part != "simulator" and "simulator" in ours:
        found.append("imports the simulator: only its profile starts it, as a process")
    return found


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Which modules each module imports, by names from the package on; imports for type checking count too."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        found: set[str] = set()
        for node in import_lines(source):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("InferenceLibrary."):
                base = (node.module or "").partition(".")[2]
                found |= {inner if (inner := f"{base}.{alias.name}") in sources else base for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {
                    alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("InferenceLibrary.")
                }
        graph[module] = (found & sources.keys()) - {module}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The circles of a graph: each set of nodes that all reach each other, sorted."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += graph.get(node, ())
        reached[start] = seen
    found = {
        tuple(sorted(other for other in reached[node] if node in reached[other]))
        for node in graph
        if node in reached[node]
    }
    return [list(circle) for circle in sorted(found)]


def between_rooms(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same graph, seen from room to room."""
    rooms: dict[str, set[str]] = {room_of(module): set() for module in graph}
    for module, imported in graph.items():
        rooms[room_of(module)] |= {room_of(other) for other in imported} - {room_of(module)}
    return rooms


@cache
def graph_of_all() -> dict[str, set[str]]:
    return import_graph({module_of(path): path.read_text(encoding="utf-8") for path in SOURCES})


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circles(graph_of_all()) == []


def test_no_room_imports_itself_in_a_circle() -> None:
    assert circles(between_rooms(graph_of_all())) == []


def test_a_circle_is_seen() -> None:
    graph = import_graph(
        {
            "client.http": "from InferenceLibrary.servers import profile",
            "servers.profile": "import InferenceLibrary.sizes",
            "servers.server": "def f():\n    from InferenceLibrary.client.http import Client",
            "sizes": "",
        }
    )
    assert circles(graph) == []
    assert circles(between_rooms(graph)) == [["client", "servers"]]
    graph["servers.profile"] = {"servers.server"}
    assert circles(graph) == [["client.http", "servers.profile", "servers.server"]]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_inward_only(path: Path) -> None:
    part = part_of(path)
    assert part in RING_1 | RING_2 | RING_3 | PROGRAMS, f"{part} stands in no ring: add it to one"
    assert breaches(part, path.read_text(encoding="utf-8"), module_of(path)) == []


@pytest.mark.parametrize(
    ("part", "source", "breach"),
    [
        ("protocol", "from robot.api import logger", "knows Robot"),
        ("protocol", "from InferenceLibrary.servers import ports", "imports servers"),
        ("stats", "import socket", "does I/O by socket"),
        ("client", "def f():\n    from InferenceLibrary.context import Context", "imports context"),
        ("simulator", "from InferenceLibrary.client import http", "imports client"),
        ("simulator", "def f():\n    from InferenceLibrary.onnx.language import served", "imports onnx"),
        (
            "servers",
            "import InferenceLibrary.simulator.cli",
            "imports the simulator: only its profile starts it, as a process",
        ),
    ],
)
def test_a_breach_is_seen(part: str, source: str, breach: str) -> None:
    assert breach in breaches(part, source)


LONGEST = 450
"""Lines of a file."""


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    files = [path for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks") for path in folder.rglob("*.py")]
    assert len(files) > 300
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path.name: length for path, length in lengths.items() if length > LONGEST} == {}


STAND_IN = "simulator"
"""A program of its own: names in it may be those of what it stands in for."""


def classes_of(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """The modules that define a class of each name, nested ones too."""
    homes: dict[str, list[str]] = {}
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    return homes


def test_a_class_name_has_one_home() -> None:
    sources = {module_of(path): path.read_text(encoding="utf-8") for path in SOURCES}
    homes = classes_of({module: source for module, source in sources.items() if not module.startswith(STAND_IN)})
    assert len(homes) > 150
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_a_second_home_is_seen() -> None:
    assert classes_of({"a": "class Left: ...", "b": "def f():\n    class Left: ..."}) == {"Left": ["a", "b"]}


def test_the_state_is_typed() -> None:
    names = {
        node.id for node in ast.walk(ast.parse((PACKAGE / "context.py").read_text())) if isinstance(node, ast.Name)
    }
    assert "Registry" in names
    assert "Any" not in names


def test_nothing_shadows_robot_framework() -> None:
    assert not (ROOT / "robot" / "__init__.py").exists()
    assert (ROOT / "robot" / "integration").is_dir()


def test_no_module_is_called_utils() -> None:
    assert [path for path in SOURCES if path.stem in {"utils", "util", "helpers", "misc"}] == []


HEAVY = {
    "httpx",
    "httpcore",
    "docker",
    "numpy",
    "onnxruntime",
    "onnx",
    "tui_test",
    "psutil",
    "pynvml",
    "gguf",
    "msgspec",
    "yaml",
    "matplotlib",
    "requests",
    "tokenizers",
    "uvloop",
}


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_of_the_library_stays_light() -> None:
    loaded = loaded_by("import InferenceLibrary; InferenceLibrary.InferenceLibrary()")
    assert "InferenceLibrary.library" in loaded
    assert (loaded - loaded_by("import robot.run")) & HEAVY == set()


MAKERS = """
import collections, dataclasses, enum, re, sys, typing
made = []
def watched(make, place):
    def making(*args, **named):
        made.append(str(args[place]))
        return make(*args, **named)
    return making
dataclasses._process_class = watched(dataclasses._process_class, 0)
collections.namedtuple = watched(collections.namedtuple, 0)
typing._ProtocolMeta.__new__ = watched(typing._ProtocolMeta.__new__, 1)
enum.EnumType.__new__ = watched(enum.EnumType.__new__, 1)
re.compile = watched(re.compile, 0)
"""
"""Notes each class that is made by writing source text or by a costly metaclass, and each pattern."""
IMPORT = "import InferenceLibrary; InferenceLibrary.InferenceLibrary()"
INNER_MODULES = 19
"""Modules of rings 1 and 2, their packages included, that the import of the library may load."""
SHARED_MODULES = 14
"""The same of what keywords share. Beside these it loads the keyword classes, a module each."""


def test_the_import_of_the_library_makes_few_costly_classes_and_loads_few_modules() -> None:
    made = loaded_by(f"import robot.run\n{MAKERS}\n{IMPORT}\nprint(' '.join(made) + ' end')")
    costly = made - loaded_by(f"import robot.run\n{IMPORT}")
    assert costly == {"end", "AssertionOperator"}
    ours = {name.partition(".")[2] for name in made if name.startswith("InferenceLibrary.")}
    inner = {name for name in ours if room_of(name) in RING_1 | RING_2}
    assert "client.streams" in inner
    assert len(inner) <= INNER_MODULES, sorted(inner)
    shared = {name for name in ours if name.startswith("keywords.shared")}
    assert len(shared) <= SHARED_MODULES, sorted(shared)


def test_a_costly_class_is_seen() -> None:
    source = """
class A(typing.NamedTuple):
    a: int
@dataclasses.dataclass
class B: ...
class C(typing.Protocol): ...
class D(enum.Enum): ...
re.compile("E")
print(' '.join(made).replace("<class '__main__.B'>", "B"))
"""
    assert {"A", "B", "C", "D", "E"} <= loaded_by(MAKERS + source)


def test_the_simulator_starts_without_robot_and_other_weights() -> None:
    loaded = loaded_by("import InferenceLibrary.simulator.cli")
    assert loaded & {"robot", "ssl", "httpx", "pydantic", "numpy", "requests"} == set()


def test_the_doctor_knows_every_extra() -> None:
    import tomllib

    from InferenceLibrary.doctor import CORE
    from InferenceLibrary.extras import EXTRAS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {requirement.split(">=")[0].split(";")[0].strip() for requirement in requirements}

    extras = {extra: names(needed) for extra, needed in project["optional-dependencies"].items() if extra != "all"}
    assert {extra: set(packages) for extra, packages in EXTRAS.items()} == extras
    assert set(CORE) == names(project["dependencies"]) - {"uvloop"}


def test_versions_agree() -> None:
    import tomllib

    import InferenceLibrary

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == InferenceLibrary.__version__
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
