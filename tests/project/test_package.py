"""What is installed: schemas, suites, commands; and the workflows that build and publish it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from InferenceLibrary.cli import main
from InferenceLibrary.report.check_results import read_results

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import schemas  # noqa: E402

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "inference-tests" / "action.yml"


@pytest.mark.parametrize("name", schemas.SCHEMAS)
def test_a_schema_is_that_of_its_types(name: str) -> None:
    text = (schemas.FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")
    assert text == schemas.text_of(name), "run `make schemas`"
    jsonschema.validators.validator_for(json.loads(text)).check_schema(json.loads(text))


@pytest.mark.parametrize("name", schemas.FILES)
def test_the_files_of_a_kind_name_their_schema_and_fit_it(name: str) -> None:
    schema = json.loads((schemas.FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    files = sorted(schemas.FILES[name].glob("*.yaml"))
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(schemas.first_line(name)), f"{path.name}: run `make schemas`"
        assert (path.parent / schemas.first_line(name).partition("=")[2].strip()).is_file()
        jsonschema.validate(yaml.safe_load(text), schema)


def test_a_file_that_does_not_fit_is_seen() -> None:
    schema = json.loads((schemas.FOLDER / "profile.schema.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"title": "x", "modle": "y"}, schema)


def test_the_suites_are_found_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suites"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "integration").is_dir()
    assert main(["suites", "--copy", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "robot" / "integration" / "streaming.robot").is_file()
    assert (tmp_path / "mine" / "resources" / "target.resource").is_file()
    for profile in tomllib.loads((tmp_path / "mine" / "robot.toml").read_text(encoding="utf-8"))["profiles"]:
        assert (tmp_path / "mine" / "robot" / "args" / f"{profile}.args").is_file()
    capsys.readouterr()
    assert main(["suites", "--copy", str(tmp_path / "mine")]) == 1
    assert "is there already" in capsys.readouterr().err


def shell_of(text: str) -> list[str]:
    """The scripts of a workflow or action."""
    loaded = yaml.safe_load(text)
    jobs = loaded["jobs"].values() if "jobs" in loaded else [loaded["runs"]]
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.stem)
def test_a_workflow_calls_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    scripts = shell_of(text)
    assert scripts
    called = {name for script in scripts for name in re.findall(r"(?<!\S)make ([a-z-]+)", script)}
    assert called <= targets
    commands = {name for script in scripts for name in re.findall(r"rfinference ([a-z]+)", script)}
    for name in commands:
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
    for script in scripts:
        for file in re.findall(r"--argumentfile (\S+)", script):
            assert (ROOT / file).is_file()
        assert "${{" not in script, "values go through the environment: a script must not be written by them"
    assert all("@" in used for used in re.findall(r"uses: (?!docker:)(\S+)", text))


def test_ci_runs_on_every_system_and_python() -> None:
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["systems"]["strategy"][
        "matrix"
    ]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)", classifiers)


def test_workflows_are_checked_and_a_wrong_one_is_seen(tmp_path: Path) -> None:
    install = [sys.executable, str(ROOT / "scripts" / "install_program.py"), "actionlint"]
    found = subprocess.run(install, capture_output=True, text=True, check=False)
    if found.returncode == 77:
        pytest.skip(found.stderr.strip())
    wrong = tmp_path / "wrong.yml"
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    wrong.write_text(text.replace("runs-on:", "runs_on:", 1), encoding="utf-8")
    guide = ROOT / "docs" / "guides" / "github.yml"
    for files, code in (([*WORKFLOWS, guide], 0), ([wrong], 1)):
        done = subprocess.run([found.stdout.strip(), *files], capture_output=True, text=True, check=False)
        assert (done.returncode, "runs_on" in done.stdout) == (code, bool(code)), done.stdout


def test_nothing_is_installed_by_a_name_that_no_index_has() -> None:
    texts = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.yml"), ROOT / "README.md", ACTION]
    texts += [path for kind in ("*.py", "*.yaml") for path in (ROOT / "InferenceLibrary").rglob(kind)]
    by_name = re.compile(r"(?:pip install|default:|--from|--spec) +[\"']?robotframework-inferencelibrary")
    assert len(texts) > 100
    assert [path.name for path in texts if by_name.search(path.read_text(encoding="utf-8"))] == []
    assert by_name.search("run: pip install 'robotframework-inferencelibrary[terminal]'")


@pytest.mark.parametrize("given", ["", "a.whl[terminal]"])
def test_the_action_installs_the_library_of_its_own_repository(tmp_path: Path, given: str) -> None:
    (install,) = (
        step["run"] for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if step["name"] == "Install"
    )
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LIBRARY": given,
        "GITHUB_ACTION_PATH": str(ACTION.parent),
    }
    done = subprocess.run(["bash", "-c", install], capture_output=True, text=True, check=True, env=environment)
    installed = done.stdout.splitlines()[-1]
    if given:
        assert installed == given
    else:
        path, _, extras = installed.partition("[")
        assert (Path(path).resolve(), extras) == (ROOT, "terminal,performance]")


LARGEST = 15 * 2**20


def first_commands(text: str) -> list[str]:
    """What the first page tells to type, but for what installs."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    return [line for line in lines if not line.startswith(("python -m venv", "pip install"))]


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"

    def run(*command: str | Path) -> str:
        clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=clean, timeout=240
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout

    run(uv, "build", "--quiet", "--out-dir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / ".venv")
    programs = tmp_path / ".venv" / "bin"
    run(uv, "pip", "install", "--quiet", "--python", programs / "python", wheel)
    (package,) = (tmp_path / ".venv").glob("lib/*/site-packages/InferenceLibrary")
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert size <= LARGEST
    assert sdist.stat().st_size <= LARGEST
    assert (package / "py.typed").is_file()
    assert (package / "schemas" / "profile.schema.json").is_file()
    assert run(programs / "rfinference", "--version").startswith("rfinference ")
    assert "vllm" in run(programs / "rfinference", "profiles")
    assert "missing-done" in run(programs / "inference-simulator", "--list-faults")
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    (tmp_path / "capital.robot").write_text(text.partition("```robotframework\n")[2].partition("```")[0])
    assert "1 test, 1 passed, 0 failed" in run("bash", "-ec", "\n".join(first_commands(text)))
    assert (tmp_path / "results" / "log.html").is_file()
    suites = run(programs / "rfinference", "suites").strip()
    assert suites == str(package / "suites")
    run(programs / "rfinference", "docs", "keywords.html")
    integration = Path(suites) / "integration"
    run(programs / "robot", "--outputdir", "out", "--include", "smoke", "--suite", "streaming", integration)
    assert "passed: " in run(programs / "rfinference", "report", "out", "--html", "report.html").splitlines()[-1]
    assert run(programs / "rfinference", "verdict", "out", "out")
    run(programs / "rfinference", "suites", "--copy", "mine")
    assert (tmp_path / "mine" / "robot.toml").is_file()
    assert run(programs / "rfinference", "check", "simulator", "--plan")
    run(programs / "rfinference", "check", "simulator", "--suites", "--include", "smokeANDapi", "--output", "checked")
    (ran,) = read_results(tmp_path / "checked" / "check.json").suites
    assert (ran.error, ran.failures) == ("", [])
    assert ran.passed >= 3
