"""A chat program for tests that writes down what it was sent, and shows something else: its second argument says what.

Usage: liar.py TRUTH_FILE honest|lost|doubled|swapped|cut|extra|broken|other
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILE, KIND = sys.argv[1:3]
TOKENS = [
    "The",
    " quick",
    " brown",
    " fox",
    " jumps",
    " over",
    " the",
    " lazy",
    " dog",
    ",\n",
    "日本語",
    " 👩‍👩‍👧‍👦",
    " e\u0301nd",
    " of",
    " it",
    ".",
]
AT = 4
SHOWN = {
    "honest": TOKENS,
    "lost": TOKENS[:AT] + TOKENS[AT + 1 :],
    "doubled": TOKENS[: AT + 1] + TOKENS[AT:],
    "swapped": [*TOKENS[:AT], TOKENS[AT + 1], TOKENS[AT], *TOKENS[AT + 2 :]],
    "cut": TOKENS[:-2],
    "extra": [*TOKENS, " And more."],
    "broken": [*TOKENS[:AT], "\n", *TOKENS[AT:]],
    "other": [*TOKENS[:AT], " jumped", *TOKENS[AT + 1 :]],
    # Right in what is written, wrong on the screen: the row above is wiped out afterwards.
    "wiped": TOKENS,
}[KIND]

while True:
    try:
        question = input("> ")
    except EOFError:
        sys.exit(0)
    if question == "/exit":
        sys.exit(0)
    with Path(FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"outcome": "completed", "texts": TOKENS}) + "\n")
    sys.stdout.write("".join(SHOWN) + "\n")
    if KIND == "wiped":
        sys.stdout.write("\x1b[2A\x1b[2K\x1b[2B\r")
    sys.stdout.write("[end]\n")
