"""The console script `rfinference`: what a user of the library does from a shell."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.files import make_folder
from InferenceLibrary.foreign_text import shown
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="rfinference", description="Tools of the Robot Framework library InferenceLibrary.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"rfinference {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_profiles(commands)
    _add_dialects(commands)
    _add_servers(commands)
    _add_check(commands)
    _add_mutate(commands)
    _add_reports(commands)
    docs = commands.add_parser(
        "docs", help="open the documentation of the keywords in a browser, or write it to a file"
    )
    docs.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="write it there (.html or .json), open nothing"
    )
    docs.set_defaults(run=lambda arguments: _document(arguments.file))
    suites = commands.add_parser("suites", help="tell where the suites of the library are, or copy them")
    suites.add_argument("--copy", type=Path, metavar="FOLDER", help="copy them and what they share into a new folder")
    suites.set_defaults(run=lambda arguments: _suites(arguments.copy))
    doctor = commands.add_parser("doctor", help="tell what is installed, what is missing, and what to do about it")
    doctor.set_defaults(run=lambda arguments: _examine())
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(given)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may hold bytes that are not UTF-8.
            stream.reconfigure(errors="backslashreplace")
    with contextlib.redirect_stdout(_Console(sys.stdout)), contextlib.redirect_stderr(_Console(sys.stderr)):
        return _run(arguments)


class _Console(io.TextIOBase):
    """Shows what people can read and nothing else, whoever named it: servers, profiles, files, containers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redact = Redactor()

    def write(self, text: str) -> int:
        self._stream.write(self._redact(shown(text)))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Who read has seen enough, as `head`. What is still to be written at the end of Python goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InferenceError as error:
        print(f"rfinference: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check",
        help="check what a server offers and which rules of the wire it keeps",
        description="Asks some 50 plain calls and judges each answer by the rules of the wire. Exit code 0: all that "
        "was judged passed; 1: a rule is broken; 2: it could not be judged, which wins.",
        allow_abbrev=False,
    )
    # Its modules are read where they are needed: the other commands start without them.
    from InferenceLibrary.check.command import add_options, run

    add_options(check)
    check.set_defaults(run=run)


def _add_mutate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    mutate = commands.add_parser(
        "mutate",
        help="tell which faults of a server your suites do not notice",
        description="Runs your suites against the simulator, once clean, then with each fault that they can meet. Exit "
        "code 0: the score reaches the threshold; 1: it does not; 2: nothing can be said.",
        allow_abbrev=False,
    )
    from InferenceLibrary.check.mutation import add_options, run

    add_options(mutate)
    mutate.set_defaults(run=run)


def _add_reports(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="write JSON, Markdown and HTML from the output.xml of a run",
        description="Reads the output.xml of a run and tells what happened: on the console, and as JSON, Markdown or "
        "one HTML file with the timeline, the failures with their evidence, the figures with their charts. Exit code 0 "
        "when the report is made, 1 when the run is not whole or cannot be read.",
        allow_abbrev=False,
    )
    verdict = commands.add_parser(
        "verdict",
        help="join a run on the simulator and a run on a real server by test, and say what each pair means",
        description="Joins two runs of the same suites by test. Exit code 0: all that was compared passes on both "
        "sides; 1: a test fails on one; 2: nothing was compared.",
        allow_abbrev=False,
    )
    merge = commands.add_parser(
        "merge",
        help="join a run with its reruns in other folders, so that all links of the log hold",
        description="Joins a run with its reruns: the result of a test is that of the last run that has it, and the "
        "files that the logs link to come along. Exit code 0: all tests pass at last; 1: some failed, or the runs "
        "cannot be joined.",
        allow_abbrev=False,
    )
    from InferenceLibrary.report.command import add_merge_options, add_report_options, add_verdict_options

    add_merge_options(merge)
    add_report_options(report)
    add_verdict_options(verdict)


def _add_profiles(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    profiles = commands.add_parser(
        "profiles",
        help="list the server profiles, show one with its options, check one, or print the schema",
        usage="rfinference profiles [PROFILE | check PROFILE [NAME=VALUE ...] | schema]",
    )
    profiles.add_argument(
        "words",
        nargs="*",
        metavar="PROFILE",
        help="name of a profile, or path of a YAML file; `check` before it validates it and starts the server once, "
        "with options as NAME=VALUE; `schema` alone prints the JSON Schema of profiles",
    )
    profiles.set_defaults(run=lambda arguments: _profiles(arguments.words, profiles))


def _add_dialects(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    dialects = commands.add_parser(
        "dialects",
        help="list what servers are known to do otherwise than the references, show one server, or print the schema",
        usage="rfinference dialects [DIALECT | schema]",
    )
    dialects.add_argument(
        "dialect",
        nargs="?",
        help="a name, NAME@VERSION, GATEWAY+SERVER, or the path of a YAML file, which is checked; `schema` prints the "
        "JSON Schema of dialects",
    )
    dialects.set_defaults(run=_dialects)


def _dialects(arguments: argparse.Namespace) -> int:
    from InferenceLibrary.check.dialects import list_dialects, show_dialect

    return list_dialects() if arguments.dialect is None else show_dialect(arguments.dialect)


def _profiles(words: list[str], parser: argparse.ArgumentParser) -> int:
    match words:
        case []:
            _list_profiles()
        case ["schema"]:
            _print_schema()
        case ["check", profile, *options] if all("=" in option for option in options):
            return _check_profile(profile, dict(option.split("=", 1) for option in options))
        case ["check"]:
            parser.error("check which profile? Give its name or the path of a YAML file")
        case ["check", _, *options]:
            wrong = next(option for option in options if "=" not in option)
            parser.error(f"expected options as NAME=VALUE, got: {wrong}")
        case [profile]:
            _show_profile(profile)
        case _:
            parser.error(f"expected one profile, got: {' '.join(words)}")
    return 0


def _add_servers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    servers = commands.add_parser("servers", help="list or stop the servers that runs on this machine have started")
    servers.set_defaults(run=_list_servers)
    actions = servers.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="list what runs: of living runs, kept, and left behind by dead runs")
    listing.set_defaults(run=_list_servers)
    stop = actions.add_parser("stop", help="stop one server, or all that no living run owns")
    which = stop.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "id", nargs="?", help="process id of a server, or name of a container or compose project, as `list` shows it"
    )
    which.add_argument("--all", action="store_true", help="all that were kept or left behind, by any run of this user")
    which.add_argument("--here", action="store_true", help="those of runs that began in this folder or below it")
    stop.set_defaults(run=_stop_servers)


def _list_servers(arguments: argparse.Namespace) -> int:
    from InferenceLibrary.servers.by_hand import list_servers

    return list_servers()


def _stop_servers(arguments: argparse.Namespace) -> int:
    from InferenceLibrary.servers.by_hand import stop_all, stop_one

    return stop_one(arguments.id) if arguments.id is not None else stop_all(here=arguments.here)


def _examine() -> int:
    from InferenceLibrary.doctor import examine

    return examine(print)


def _document(file: Path | None) -> int:
    """Make the documentation of the installed keywords; it is opened where no file is named."""
    import subprocess
    import webbrowser

    path = file or Path(tempfile.gettempdir()) / f"InferenceLibrary-{__version__}-keywords.html"
    make_folder(path.absolute().parent)
    done = subprocess.run(
        [sys.executable, "-m", "robot.libdoc", "InferenceLibrary", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise InferenceError(describe(f"The documentation cannot be written to '{path}'", got=said.rstrip(".")))
    print(path)
    if file is None and not webbrowser.open(path.absolute().as_uri()):
        print("No browser was found: open the file above.", file=sys.stderr)
    return 0


def _suites(target: Path | None) -> int:
    """Tell where the shipped suites are: in the package when it was installed, in the checkout otherwise."""
    import shutil

    from InferenceLibrary.check.suites import shipped_folders

    suites, shared = shipped_folders()
    if target is None:
        print(suites)
        return 0
    if target.exists():
        raise InferenceError(describe(f"'{target}' is there already", expected="the path of a new folder", got="it"))
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(suites, target / "robot", ignore=leave_out)
    shutil.copytree(shared, target / "resources", ignore=leave_out)
    shutil.copy(shared.with_name("robot.toml"), target)
    print(target / "robot")
    return 0


def _print_schema() -> None:
    import json

    from InferenceLibrary.servers.schema import profile_schema

    print(json.dumps(profile_schema(), indent=2))


def _check_profile(name: str, options: dict[str, str]) -> int:
    """Validate a profile, start its server once, and tell the stages."""
    from InferenceLibrary.deadline import Deadline
    from InferenceLibrary.redaction import Redactor
    from InferenceLibrary.servers.profile import load_profile
    from InferenceLibrary.servers.starting import StartSettings, start

    profile = load_profile(name)
    if profile.start is None:
        print(f"{profile.name}: valid")
        print(f"{profile.name}: is connected to, not started")
        return 0
    model = options.pop("model", None)
    told: list[str] = []

    def report(line: str) -> None:
        if not told:
            # Only now are the options known to be complete, too.
            print(f"{profile.name}: valid")
        told.append(line)
        print(line)

    with tempfile.TemporaryDirectory(prefix="rfinference-") as folder:
        server = start(
            profile,
            StartSettings(options=options, model=model, also_allowed=("model",)),
            name=profile.name,
            new_log=lambda: Path(folder) / f"{profile.name}.log",
            redact=Redactor(),
            report=report,
        )
        try:
            print(f"{profile.name}: ready at {server.base_url}, model {server.model}")
        finally:
            stopping = Deadline(0.0)
            graceful = server.stop()
        took = round(stopping.elapsed * 1000)
        how = server.process.how_it_ended() if server.process else ""
        print(f"{profile.name}: stopped {took} ms after {profile.stop.signal}{'' if graceful else ', by KILL'}, {how}")
        if server.process is not None and server.process.orphans:
            print(f"{profile.name}: left behind {', '.join(map(str, server.process.orphans))}")
    return 0


def _list_profiles() -> None:
    from InferenceLibrary.servers.profile import load_profile, profile_names

    names = profile_names()
    width = max(map(len, names))
    for name in names:
        profile = load_profile(name)
        how = "Start Server" if profile.start else "Connect To Server"
        print(f"{name:<{width}}  {profile.title}  ({how})")


def _show_profile(name: str) -> None:
    from InferenceLibrary.servers.profile import load_profile

    profile = load_profile(name)
    print(f"{profile.name}: {profile.title}")
    if profile.homepage:
        print(f"  {profile.homepage}")
    print(f"  model: {profile.model or 'the first of the model list'}")
    if profile.start is None:
        print("  is connected to, not started")
    else:
        print(f"  command: {' '.join(profile.start.command)}")
        for option, details in profile.start.options.items():
            facts: list[str] = [details.type]
            facts += ["required"] if details.required else []
            facts += [f"default {details.default}"] if details.default is not None else []
            facts += [f"from {details.environment}"] if details.environment else []
            print(f"  {option}: {details.help or details.flag} ({', '.join(facts)})")
    if profile.offers:
        print(f"  offers {', '.join(profile.offers)}")
    for feature, reason in profile.lacks.items():
        print(f"  lacks {feature}: {reason}")
