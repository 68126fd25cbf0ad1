"""The console script `rfinference`: what a user of the library does from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from InferenceLibrary import __version__
from InferenceLibrary.errors import InferenceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="rfinference", description="Tools of the Robot Framework library InferenceLibrary.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"rfinference {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    profiles = commands.add_parser("profiles", help="list the server profiles, or show one with its options")
    profiles.add_argument("profile", nargs="?", help="name of a profile, or path of a YAML file")
    commands.add_parser("doctor", help="tell what is installed, what is missing, and what to do about it")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "doctor":
            from InferenceLibrary.doctor import examine

            return examine(print)
        if arguments.profile:
            _show_profile(arguments.profile)
        else:
            _list_profiles()
    except InferenceError as error:
        print(f"rfinference: {error}", file=sys.stderr)
        return 1
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
    for feature, reason in profile.lacks.items():
        print(f"  lacks {feature}: {reason}")
