"""Write the keyword documentation (HTML and JSON) with libdoc; any warning of libdoc is an error.

Broken links are silent in libdoc, so they are looked for here: every `[Name]` must be a keyword or a section.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    for name in ("keywords.json", "keywords.html"):
        done = subprocess.run(
            [sys.executable, "-m", "robot.libdoc", "InferenceLibrary", str(folder / name)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or done.stderr.strip():
            problems.append(f"libdoc {name}: exit code {done.returncode}: {done.stderr.strip()}")
    if not problems:
        problems += broken_links(folder / "keywords.json")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{folder / 'keywords.html'}: {len(problems)} problems")
    return 1 if problems else 0


def broken_links(spec: Path) -> list[str]:
    """Return what stands in brackets and leads nowhere, in the sources that libdoc has turned into HTML."""
    data = json.loads(spec.read_text(encoding="utf-8"))
    texts = {"introduction": data["doc"]} | {entry["name"]: entry["doc"] for entry in data["keywords"]}
    # A link that libdoc has resolved is an <a>; an unresolved one stays in brackets.
    broken = []
    for name, html in texts.items():
        prose = re.sub(r"<pre.*?</pre>|<code.*?</code>", "", html, flags=re.DOTALL)
        broken += [f"{name}: [{link}] leads nowhere" for link in re.findall(r"\[([A-Z][A-Za-z ]+)\]", prose)]
    return broken


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")))
