"""A report on the console: plain text, whole into a pipe as well."""

from __future__ import annotations

from InferenceLibrary.foreign_text import on_one_line
from InferenceLibrary.report.document import Cell, Document, Table, files_line

_WIDEST = 60
"""Characters of a column that is not the last one."""


def lines(document: Document) -> list[str]:
    """Return the lines of a report; detail is left to the other formats."""
    found: list[str] = []
    for section in document.sections:
        if section.folded or not (section.text or section.table):
            continue
        found += ["", on_one_line(section.title), *map(on_one_line, section.text)]
        if section.files:
            found.append(on_one_line(files_line(section.files)))
        if section.table is not None:
            found += table_lines(section.table)
    headline = document.headline
    found += ["", on_one_line(f"{document.title}: {headline.text}" + (f" ({headline.why})" if headline.why else ""))]
    return found[1:]


def table_lines(table: Table) -> list[str]:
    """Return the lines of a table, its columns aligned; the reasons of a row's cells stand at its end."""
    rows = [
        [*(_short(cell.text) for cell in row[:-1]), *(on_one_line(cell.text) for cell in row[-1:])]
        for row in table.rows
    ]
    head = [on_one_line(name) for name in table.head]
    widths = [max([len(head[at]), *(len(row[at]) for row in rows)]) for at in range(len(head))]
    reasons = ["; ".join(dict.fromkeys(on_one_line(cell.why) for cell in row if cell.why)) for row in table.rows]
    return [
        "  " + "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=True)), why]).rstrip()
        for row, why in zip([head, *rows], ["", *reasons], strict=True)
    ]


def cell_line(cell: Cell) -> str:
    """Return a cell as one line."""
    return on_one_line(f"{cell.text}: {cell.why}" if cell.why else cell.text)


def _short(text: str) -> str:
    line = on_one_line(text)
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
