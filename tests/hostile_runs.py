"""Run a suite many times with hostile texts drawn at random: `hostile_runs.py COUNT FOLDER`.

The runs happen in this process, as a run of its own each: what Robot Framework writes is the same, and the start of
Python is spared. Counted are runs that leave no log.html, or an output.xml that cannot be read.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

from foreign_texts import PIECES, HostileServer, hostile_texts

from robot import run

SUITE = Path(__file__).parent / "inner" / "foreign_texts.robot"
TEXTS = 3
LEVELS = ("INFO", "DEBUG", "TRACE")


def main(count: int, folder: Path) -> int:
    os.environ["HOSTILE"] = "\udcff\x1b"
    lost = failed = 0
    for number in range(count):
        texts = hostile_texts(len(PIECES) + TEXTS, seed=number)[-TEXTS:]
        server = HostileServer(texts)
        out = folder / str(number)
        console = io.StringIO()
        variables = [f"URL:{server.url}", f"COUNT:{TEXTS}"]
        level = LEVELS[number % len(LEVELS)]
        run(SUITE, outputdir=out, variable=variables, include="calls", loglevel=level, stdout=console, stderr=console)
        server.close()
        try:
            root = ElementTree.parse(out / "output.xml")
            assert (out / "log.html").stat().st_size > 0
        except (OSError, ElementTree.ParseError, AssertionError) as error:
            lost += 1
            print(f"run {number}: {error!r}, texts {texts!a}", console.getvalue()[-500:].encode("unicode_escape"))
            continue
        failed += sum(status.get("status") == "FAIL" for status in root.iterfind(".//test/status"))
        shutil.rmtree(out)
        if number % 50 == 49:
            print(f"{number + 1} runs, {lost} without a log", flush=True)
    print(f"{count} runs, {lost} without a log; {count * TEXTS} texts, {failed} failures told")
    return 1 if lost or not failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
