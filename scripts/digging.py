"""Count the cases of the suites that dig in JSON or hold Python: what the language of the keywords has no word for.

`python scripts/digging.py [FOLDER]` prints the share and each such case with its first line of that kind. A case that
uses a keyword of its suite counts with what stands there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from robot.api import get_model
from robot.parsing.model import blocks

DIGS = re.compile(
    r"""\$\{\{|                             # Python in place
        \bEvaluate\b|
        \$\{?\w+(?:\.\w+)*\.json\b|         # a body by hand
        \}(?:\[[^\]]+\]){2}                 # two keys deep
    """,
    re.VERBOSE,
)


def main(folder: str = "robot") -> int:
    found = list(cases(Path(folder)))
    digging = [(name, line) for name, line in found if line is not None]
    print(f"{len(digging)} of {len(found)} cases dig in JSON or hold Python ({share(found):.1f} %).")
    for name, line in digging:
        print(f"  {name}: {line}")
    return 0


def share(found: list[tuple[str, str | None]]) -> float:
    """Percent of the cases that dig."""
    return 100 * sum(line is not None for _, line in found) / max(len(found), 1)


def cases(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Each case of the suites below a folder, with the first line in it that digs, if any."""
    for path in sorted(folder.rglob("*.robot")):
        parts = [part for section in get_model(path).sections for part in section.body]
        keywords = {part.name.lower(): lines_of(part) for part in parts if isinstance(part, blocks.Keyword)}
        for part in parts:
            if isinstance(part, blocks.TestCase):
                lines = lines_of(part)
                called = [
                    line for name, its in keywords.items() if any(name in one.lower() for one in lines) for line in its
                ]
                yield f"{path.stem}: {part.name}", next((line for line in lines + called if digs(line)), None)


def lines_of(block: object) -> list[str]:
    """The statements of a test or keyword, one text each."""
    found = []
    for child in getattr(block, "body", []):
        header = getattr(child, "header", None)
        if header is not None:
            found.append("    ".join(token.value for token in header.data_tokens))
            found += lines_of(child)
        elif hasattr(child, "data_tokens") and getattr(child, "type", "") != "DOCUMENTATION":
            found.append("    ".join(token.value for token in child.data_tokens))
    return found


def digs(line: str) -> bool:
    """Whether a statement digs in JSON or holds Python."""
    return DIGS.search(line) is not None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
