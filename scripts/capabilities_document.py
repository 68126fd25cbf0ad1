"""Make docs/capabilities.md: every capability, with its kind, its meaning and what shows it.

    python scripts/capabilities_document.py [--check]

The list stands in InferenceLibrary/protocol/capabilities.py. With --check nothing is written, and the exit code is 1
when the document is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from InferenceLibrary.protocol.capabilities import CAPABILITIES, Capability, CapabilityKind

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "capabilities.md"
TITLES = {
    CapabilityKind.ROUTE: "Routes",
    CapabilityKind.FEATURE: "Features",
    CapabilityKind.PARAMETER: "Parameters",
    CapabilityKind.FORMAT: "Formats",
    CapabilityKind.CONTROL: "Control",
}
INTRODUCTION = """\
# Capabilities: what a server may offer

Made by `python scripts/capabilities_document.py` from the list itself; do not edit.

Suites ask by these words, never by the name of a server: `Skip Unless Server Supports    embeddings` skips a test, with
the reason, where the server does not offer it. Other words are refused with the nearest one, in profiles and keywords.

The server is asked at the first use of a word, by the request that stands here under *shown by*; before the first one a
path that no server has, so that one that answers every path is noticed. What a capability needs (embeddings of 16
numbers need embeddings) is asked first. What was found out is kept for the run, also between processes of pabot, and
stands as a table with its evidence at the top of the log:

| state | meaning | a test that asks for it |
| --- | --- | --- |
| offered | It was shown. | runs |
| not offered | There is no such route, or a field is taken and has no effect. | is skipped |
| refused | It is there, and refused with a reason: no model for it, a key, an option. | is skipped |
| unknown | No answer, or a failure of the server's own at a route that it has. | runs; a parameter is skipped |

Requests without a side effect alone are sent. What would change the server, or no request can show, a profile states:
in `offers` (a list) what it has, in `lacks` (a word and the reason that a skip shows) what it has not. Where it says
nothing, *assumed* counts as offered, because the references ask it of each server; *stated* counts as not offered,
unless the profile has the section of that name. Where the server and its profile say different things, the server
decides, and the table shows both.
"""


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    text = document()
    if "--check" in arguments:
        if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
            print(f"{DOCUMENT} is not what the list says. Run: python scripts/capabilities_document.py")
            return 1
        return 0
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


def document() -> str:
    """Return the text of the document."""
    parts = [INTRODUCTION]
    for kind, title in TITLES.items():
        lines = [f"\n## {title}\n", "| capability | meaning | shown by |", "| --- | --- | --- |"]
        lines += [
            f"| {one.name} | {one.meaning} | {_source(one)} |" for one in CAPABILITIES.values() if one.kind is kind
        ]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _source(one: Capability) -> str:
    return one.probe or ("*assumed*" if one.assumed else "*stated*")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
