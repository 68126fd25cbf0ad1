"""Make docs/capabilities.md: every capability, with its kind, its meaning and how it is found out.

    python scripts/capabilities_document.py [--check]

The list stands in InferenceLibrary/protocol/capabilities.py. With --check nothing is written, and the exit code is 1
when the document is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from InferenceLibrary.protocol.capabilities import CAPABILITIES, Capability, Sort

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "capabilities.md"
TITLES = {
    Sort.ROUTE: "Routes",
    Sort.FEATURE: "Features",
    Sort.PARAMETER: "Parameters",
    Sort.FORMAT: "Formats",
    Sort.CONTROL: "Control",
}
INTRODUCTION = """\
# Capabilities: what a server may offer

Made by `python scripts/capabilities_document.py` from the list itself; do not edit.

Suites ask by these words, never by the name of a server: `Skip Unless Server Supports    embeddings` skips a test, with
the reason, where the server does not offer it. There are no other words: a misspelt one is refused with the nearest, in
profiles, keywords and tags.

A profile states what no request can find out, in `offers` (a list) and `lacks` (a word and the reason that a skip
shows). What stands under *found out by* is asked of the server itself; *assumed* is what the references ask of each
server, so that a test of it runs unless the profile has it under `lacks`; *stated* counts as not offered unless the
profile has it under `offers`, or has the section of that name.
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
        lines = [f"\n## {title}\n", "| capability | meaning | found out by |", "| --- | --- | --- |"]
        lines += [
            f"| {one.name} | {one.meaning} | {_source(one)} |" for one in CAPABILITIES.values() if one.kind is kind
        ]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _source(one: Capability) -> str:
    return one.probe or ("*assumed*" if one.assumed else "*stated*")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
