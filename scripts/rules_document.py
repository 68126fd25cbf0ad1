"""Make docs/rules.md: every rule of the book, with its level, its APIs, its ways to be broken and its source.

    python scripts/rules_document.py [--check]

The rules stand in InferenceLibrary/protocol/rules. With --check nothing is written, and the exit code is 1 when the
document is not what would be written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from coverage_map import tagged_tests

from InferenceLibrary.protocol.rules.book import rules_of
from InferenceLibrary.protocol.rules.rule import Level, Rule
from InferenceLibrary.protocol.rules.verdicts import TAG

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "rules.md"
GROUPS = {
    "F": "Framing of streams",
    "H": "HTTP",
    "J": "Strict JSON",
    "C": "Chats and completions, streamed",
    "N": "Chats, whole",
    "V": "Types and null in chats and completions",
    "X": "Completions",
    "T": "Tool calls",
    "U": "Usage",
    "L": "Log probabilities",
    "RS": "Responses",
    "A": "Messages",
    "E": "Embeddings",
    "M": "Model lists",
    "R": "Refusals",
    "RK": "Rankings",
    "SC": "Scores",
    "TK": "Tokens",
    "W": "Jobs of workers",
    "O": "Orchestration",
}
INTRODUCTION = """\
# The rules of the wire

Made by `python scripts/rules_document.py` from the rules themselves; do not edit.

Each call is judged by these rules. A *must* rule is one whose breach makes clients of the field fail, or show something
wrong; a *should* rule is in the reference, and clients tolerate its breach. A violation names the rule, one of its
kinds, what came, and the event and byte where it came. A kind of a must rule that clients tolerate, or that chance may
bring about, is marked (should), and counts so. A rule about what a record does not hold (the request, the
framing, the times of the reads) is not judged. Rules about several calls are asked of each call together with the two
before it on the same server, and a call is told once what it breaks.

## How much a broken rule counts

The import setting `rules`, `Use Rules` for the rest of a test or suite, and `rules=` of a call take the same words:

| word | a broken must rule | a broken should rule |
| --- | --- | --- |
| `warn` (default) | is a warning, once a server | is told in the log |
| `fail` | fails the call | is told in the log |
| `fail-should` | fails the call | fails the call |
| `fail-tagged` | fails the call in a test with its tag, such as `rule:C6`; else a warning | is told in the log |
| `off` | calls are not judged | calls are not judged |

The suites of this project run with `fail-tagged`, so that a server that breaks a rule fails one test and not a hundred.
At the simulator, and at whatever else offers `fault injection`, `fail-tagged` is `fail-should`: every test fails,
unless the rule is a should rule that rests on times, which a busy machine breaks too.
A test that provokes a breach names it: `Use Rules    fail    leave_out=F8`. What is left out is told as waived.

## Rules of your own

A Python file adds rules: `Use Rules    warn    own_rules.py` in a suite, `load_rules("own_rules.py")` of
`InferenceLibrary.protocol.rules.book` in Python. From then on they are asked about every call, as the others are.

```python
from InferenceLibrary.protocol.rules.rule import Api, Found, Level, rule
from InferenceLibrary.protocol.rules.views import Answer


@rule(
    "OWN1",
    Level.MUST,
    "An answer names the machine that made it.",
    source="our handbook, 3.2, read 2026-11",
    kinds=("missing",),
    view=Answer,
    apis=(Api.CHAT,),
)
def machine_is_named(view, known):
    if view.exchange.header("x-machine") is None:
        yield Found("missing", "no header x-machine")
```

What a rule is given is a *view* of the call: `Answer` (status, headers, body) for any answer, `JsonAnswer` for a whole
one, `EventStream` for the events of a stream, `Choices` for chats and completions in either form, `ChoicesAnswer` and
`ChoicesStream` for one of them. A rule is asked where the call has its view and speaks one of its APIs.
"""

TESTS = """
## The tests of the suites

Where a server that is not ours breaks a must rule, this test of robot/integration fails; the others warn.

| rule | suite and test |
| --- | --- |
"""
WITHOUT_A_TEST = {
    "A20": "none: nothing makes a sound server send an error event; a warning where one comes",
    "R4": "none: whether a server wants a key is for its user to say; a warning where one answers without",
    "R11": "none: nothing makes a sound server ask for patience; a warning where one does",
}


def key_of(rule: Rule) -> tuple[int, int, str]:
    """Where a rule stands in the document: by its group, then by its number."""
    group, number = _split(rule)
    return (list(GROUPS).index(group), int(number or 0), rule.id)


def _split(rule: Rule) -> tuple[str, str]:
    found = re.fullmatch(r"([A-Z]+)(\d*)", rule.id)
    group = found[1] if found else ""
    if group not in GROUPS:
        raise SystemExit(f"Rule {rule.id} is in no group: name it in {Path(__file__).name}.")
    return group, found[2] if found else ""


def document() -> str:
    """The document as it should be."""
    rules = sorted(rules_of(), key=key_of)
    musts = sum(rule.level.value == "must" for rule in rules)
    parts = [INTRODUCTION, f"\n{len(rules)} rules: {musts} must, {len(rules) - musts} should.\n"]
    group = ""
    for rule in rules:
        if _split(rule)[0] != group:
            group = _split(rule)[0]
            parts.append(
                f"\n## {GROUPS[group]}\n\n| id | level | APIs | rule | broken by | source |\n{'| --- ' * 6}|\n"
            )
        apis = ", ".join(sorted(api.value for api in rule.apis)) or "all"
        sentence = rule.sentence + (" (several calls)" if rule.several else "")
        kinds = "; ".join(f"{kind} (should)" if kind in rule.tolerated else kind for kind in rule.kinds)
        cells = (rule.id, rule.level.value, apis, sentence, kinds, rule.source)
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join([*parts, *tests_of([rule.id for rule in rules if rule.level is Level.MUST], tagged_tests(tag=TAG))])


def tests_of(musts: list[str], tagged: dict[str, list[str]]) -> list[str]:
    """The table of the tests that fail where a server breaks a must rule.

    Args:
        musts: Ids of the must rules.
        tagged: The tests by the rule, in lower case, that they are tagged with.
    """
    rows = []
    for rule in musts:
        tests = tagged.get(rule.lower(), [])
        if len(tests) != (rule not in WITHOUT_A_TEST):
            raise SystemExit(f"Rule {rule}: expected one test in robot/integration tagged {TAG}{rule}, got {tests}.")
        rows.append(f"| {rule} | {tests[0] if tests else WITHOUT_A_TEST[rule]} |\n")
    unknown = set(tagged) - {rule.lower() for rule in musts}
    if unknown:
        raise SystemExit(f"Tags of must rules that are not in the book: {', '.join(sorted(unknown))}.")
    return [TESTS, *rows]


def main(arguments: list[str]) -> int:
    wanted = document()
    if arguments == ["--check"]:
        if DOCUMENT.read_text(encoding="utf-8") == wanted:
            return 0
        print(f"{DOCUMENT} is not what the rules say; make it by: python scripts/rules_document.py")
        return 1
    DOCUMENT.write_text(wanted, encoding="utf-8")
    print(f"Wrote {DOCUMENT}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
