"""A report as Markdown for a pull request (GitHub's dialect): tables, and detail that folds up."""

from __future__ import annotations

import re

from InferenceLibrary.foreign_text import shown
from InferenceLibrary.report.document import Cell, Document, Section, Table, Tone, files_line

_MARKS = {Tone.GOOD: "✅ ", Tone.BAD: "❌ ", Tone.ODD: "⚠️ ", Tone.OPEN: "➖ ", Tone.PLAIN: ""}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@])")


def markdown(document: Document) -> str:
    """Return the whole text. Foreign text is escaped: it can neither break a table nor mention anybody."""
    facts = [f"- **{escaped(name)}**: {escaped(value)}" for name, value in document.facts]
    parts = [f"# {escaped(document.title)}", _inside(document.headline), "\n".join(facts)]
    parts += [_section(section) for section in document.sections]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it stands, on one line."""
    line = " ".join(shown(text).split())
    # Without this, a mention would notify people and a URL would become a link.
    return _SPECIAL.sub(r"\\\1", line).replace("\\@", "@\u200b").replace("://", ":\u200b//")


def _section(section: Section) -> str:
    body = [escaped(text) for text in section.text]
    if section.files:
        body.append(escaped(files_line(section.files)))
    if section.table is not None:
        body.append(_table(section.table))
    inside = "\n\n".join(body)
    if section.folded:
        return f"<details><summary>{escaped(section.title)}</summary>\n\n{inside}\n\n</details>"
    return f"## {escaped(section.title)}\n\n{inside}"


def _table(table: Table) -> str:
    lines = ["| " + " | ".join(map(escaped, table.head)) + " |", "|" + " --- |" * len(table.head)]
    lines += ["| " + " | ".join(map(_inside, row)) + " |" for row in table.rows]
    return "\n".join(lines)


def _inside(cell: Cell) -> str:
    # A text that ends as a sentence needs no colon before its reason.
    joint = " " if cell.text.endswith((".", "!", "?")) else ": "
    return _MARKS[cell.tone] + escaped(cell.text) + (f"{joint}{escaped(cell.why)}" if cell.why and cell.text else "")
