"""Make docs/dialects.md: what each server does otherwise than the references.

    python scripts/dialects_document.py [--check]

The dialects stand in InferenceLibrary/dialects/shipped. With --check nothing is written, and the exit code is 1 when
the document is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from InferenceLibrary.dialects.dialect import Deviation, Dialect
from InferenceLibrary.dialects.files import shipped_dialects

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "dialects.md"
INTRODUCTION = """\
# Dialects: what each server does otherwise

Made by `python scripts/dialects_document.py` from the files in `InferenceLibrary/dialects/shipped`; do not edit.

A dialect tells of one server, in a range of versions, which [rules](rules.md) it breaks: in which way, in which API and
when, so that a waiver is as narrow as what the server does. `rfinference check URL --dialect NAME` waives these
deviations and nothing else, and a profile names its dialect with `dialect: NAME`. What is waived is shown as waived.
The version is found out where the server tells it, or said: `--dialect llama.cpp@b11434`; what the server offers and
lacks is then what that version does, in the suites as in `rfinference check`. A gateway stands on what is behind it:
`--dialect litellm+llama.cpp`. A server newer than each file keeps the newest, whose waivers are unproven then.
`rfinference dialects` lists them, `rfinference dialects schema` prints the
JSON Schema of such files.

Recorded deviations are proven: `make prove-dialects` judges the recorded answers of the real server, and each deviation
must be met and nothing else be found. `inference-simulator --as NAME` (or `NAME@VERSION`, or a file) stands in for the
server. A dialect with `choices` says all that the references leave open, flags, routes, keys, what is refused and how,
and the shape of each answer, and the stand-in plays it by them. Without them it is the reference with the quirks that
are named, on the calls that their deviations name and no others. The choices of a gateway stand on those of a server
behind it (`stands_on`), of which it takes over what it passes. Errors are worded as the real program words them: by
places in the body with line and column, in the words of its reader of JSON (`body.words`), and by the `form` of a
field, a type of Python whose problems are listed as pydantic lists them. The recorded requests are played to the
stand-ins for all of them: their answers are the recorded ones, but for a list with a reason each, and the
judge reports the deviations of the dialect, no others.

Beside them every fault of the wire is played to the reference, and must still be noticed with each dialect in every
form of an answer that shows it, but for the faults that the dialect names as quirks (several with `;` between). A
deviation is narrowed by `kind`, `apis` and `when` (`streamed`, `several_choices`, `statuses`, `path`, `model`,
`asks_for`, `answer`), and by `got`, a pattern of what failures say that they got.

`make prove-suites` runs the suites against the stand-ins and the real servers of llama.cpp and, where they were built
(`make test-ollama`, `make test-mistralrs`), of Ollama and mistral.rs, each pair started from one profile: every test
ends alike on both, but for those that `tests/data/recorded/NAME.suites` names, each with its reason.
`make prove-suites SERVER=ollama` takes one of them.

A file of one's own has the same form, and may extend one of these. What it calls recorded (`recording: NAME`) lies
beside it as `NAME.jsonl.xz`, whole: a line of JSON for each request and its answer, with `group`, `name`, `request`
(`method`, `path`) and `answer` (`status`, `headers`, `body`), as in `tests/data/recorded`. What only a source shows is
unproven, and the source stands in `evidence`. `rfinference dialects FILE` checks it, its quirks and routes too.

```yaml
name: mine
title: Our server before vLLM
version: '2.1'
extends: vllm
without:                    # what vLLM does and ours does not
  - {rule: C15, kind: missing}
recording: ours             # ours.jsonl.xz, beside this file
shown:                      # what is unproven of vLLM, and ours.jsonl.xz shows
  - {rule: F13}
deviations:
  - rule: R1
    kind: no JSON
    apis: [chat]
    when: {statuses: [502]}
    reason: the load balancer answers with a page
    until: 2027-01-31       # from then on it is held against the server again
```
"""


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    text = document()
    if "--check" in arguments:
        if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
            print(f"{DOCUMENT} is not what the dialects say. Run: python scripts/dialects_document.py")
            return 1
        return 0
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


def document() -> str:
    """Return the text of the document."""
    return "".join([INTRODUCTION, *(section(one) for one in shipped_dialects())])


def section(one: Dialect) -> str:
    """Return what is said of one dialect."""
    proof = f"{one.evidence[:1].upper()}{one.evidence[1:]}" if one.proven else f"Unproven: {one.evidence}"
    lines = [f"\n## {one.title} {one.version}\n", f"`{one.name}`. {proof}.\n"]
    lines += [
        "| rule | breaks it by | where | what it does | who notices | quirk |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(deviation) for deviation in one.deviations]
    return "\n".join(lines) + "\n"


def row(one: Deviation) -> str:
    """Return the row of one deviation."""
    got = f"got `{one.got}`" if one.got else ""
    where = "; ".join(filter(None, (", ".join(one.apis), str(one.when), got))).replace("|", "\\|")
    quirk = ", ".join(f"`{each}`" for each in one.quirks)
    mark = (
        f" *(unproven: {one.evidence})*" if one.unproven and one.evidence else " *(unproven)*" if one.unproven else ""
    )
    cells = (one.rule, one.kind or "any way", where or "everywhere", f"{one.reason}{mark}", one.noticed_by, quirk)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
