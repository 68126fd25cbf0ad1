"""Every package that is imported is declared where it is needed, and every declared one is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
FOLDERS = ("InferenceLibrary", "tests", "scripts", "benchmarks", "robot", "resources")
NOT_IMPORTED = {
    "markdown": "libdoc needs it for the documentation of the keywords",
    "robotframework-requests": "a library of the suites",
    "mkdocs-material": "the theme of the site",
    "mypy": "a command",
    "pygments": "robot's console",
    "pytest-xdist": "pytest loads it",
    "robotframework-pabot": "a command",
    "robotframework-robocop": "a command",
    "pip-audit": "a command",
    "robotcode": "a command",
    "ruff": "a command",
    "types-pyyaml": "mypy reads it",
    "types-psutil": "mypy reads it",
    "types-regex": "mypy reads it",
    "uv": "a command",
    "anthropic": "asked for by importorskip",
    "openai": "asked for by importorskip",
}


@cache
def packages_distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def own_names() -> set[str]:
    """What is ours; tests import by their folders."""
    own = {"InferenceLibrary"}
    own |= {path.stem for folder in FOLDERS[1:] for path in (ROOT / folder).rglob("*.py")}
    return own | {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - packages_distributions().keys()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """The distributions of requirements, our own extras followed."""
    found: set[str] = set()
    for requirement in requirements:
        name = canonical(re.split(r"[\[<>=;!~ ]", requirement)[0])
        if name == canonical(PROJECT["project"]["name"]):
            inner = re.findall(r"\[(.*?)\]", requirement)[0].split(",")
            found |= set().union(*(names(EXTRAS[extra.strip()]) for extra in inner))
        else:
            found.add(name)
    return found


APART = ROOT / "tests" / "clients" / "python"
"""Programs that run in an environment of their own, with versions of their own."""
CORE = names(PROJECT["project"]["dependencies"])
OPTIONAL = set().union(*(names(needed) for needed in EXTRAS.values()))
DEVELOPMENT = names(PROJECT["dependency-groups"]["dev"])


def modules_of(source: str) -> set[str]:
    """Top-level names of all that a source imports, inside functions too; `importorskip` and the like count."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "importorskip")):
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.add(argument.value.partition(".")[0])
    return found


@cache
def foreign(folder: Path) -> dict[str, Path]:
    """Modules from other distributions, each with a source that imports it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        if path.is_relative_to(APART):
            continue
        for name in modules_of(path.read_text(encoding="utf-8")) - own_names() - sys.stdlib_module_names:
            # The guard runs without the package, beside its modules.
            if not path.with_name(f"{name}.py").is_file():
                found.setdefault(name, path)
    return found


def undeclared(modules: dict[str, Path], declared: set[str]) -> list[str]:
    found = []
    for name, path in modules.items():
        distributions = {canonical(one) for one in packages_distributions().get(name, [])}
        if not distributions & declared:
            found.append(f"{path.relative_to(ROOT)} imports {name}, of {', '.join(distributions) or 'nothing known'}")
    return found


def test_what_the_library_imports_is_declared() -> None:
    assert undeclared(foreign(ROOT / "InferenceLibrary"), CORE | OPTIONAL) == []


@pytest.mark.parametrize("folder", FOLDERS[1:])
def test_what_everything_else_imports_is_declared(folder: str) -> None:
    assert undeclared(foreign(ROOT / folder), CORE | OPTIONAL | DEVELOPMENT) == []


def test_what_is_not_declared_is_seen() -> None:
    modules = foreign(ROOT / "InferenceLibrary")
    assert "h11" in modules
    assert undeclared(modules, CORE - {"h11"} | OPTIONAL) != []


def test_every_declared_package_is_used() -> None:
    modules: set[str] = set()
    for folder in FOLDERS:
        modules |= set(foreign(ROOT / folder))
    used = {canonical(one) for name in modules for one in packages_distributions().get(name, [])}
    declared = CORE | OPTIONAL - {"onnxruntime-gpu"} | DEVELOPMENT
    assert declared - used - set(NOT_IMPORTED) == set()


def test_documentation_can_be_made_after_the_plain_install() -> None:
    """libdoc needs it for Markdown, and only the tools of development brought it."""
    assert "markdown" in CORE


def test_every_version_has_a_lower_bound() -> None:
    requirements = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    requirements += [one for needed in EXTRAS.values() for one in needed if "[" not in one]
    assert [one for one in requirements if not re.search(r">=\d", one)] == []


def test_the_readme_names_the_oldest_versions() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    needed = PROJECT["project"]["dependencies"]
    (robot,) = [one.partition(">=")[2] for one in needed if one.startswith("robotframework>")]
    python = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"Robot Framework {robot} or later" in readme
    assert f"Python {python} or later" in readme
