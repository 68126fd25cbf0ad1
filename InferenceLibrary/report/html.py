"""A report as one HTML file that needs nothing beside it: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from InferenceLibrary.foreign_text import markup
from InferenceLibrary.report.document import Cell, Document, Section, Table, Tone

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d0d7de; --card: #fff;
  --good: #1a7f37; --bad: #b3261e; --odd: #8a5a00; --open: #59636e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --card: #0d1117;
  --good: #3fb950; --bad: #ff7b72; --odd: #d29922; --open: #9198a1; } }
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Arial, sans-serif; color: var(--ink);
  background: var(--card); max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
.wide { overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .odd { color: var(--odd); }
.open { color: var(--open); } .why { color: var(--soft); font-size: .9em; font-weight: 400; display: block; }
.headline { font-size: 1.25rem; }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 600; margin: 1rem 0 .5rem; }
svg { max-width: 100%; height: auto; }
"""


def page(document: Document) -> str:
    """Return the whole file."""
    facts = "".join(f"<tr><th>{markup(name)}</th><td>{markup(value)}</td></tr>" for name, value in document.facts)
    sections = "\n".join(map(_section, document.sections))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup(document.title)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{markup(document.title)}</h1>\n<p class='headline'>{_inside(document.headline)}</p>\n"
        f"<table>{facts}</table>\n{sections}\n</body></html>\n"
    )


def _section(section: Section) -> str:
    body = "".join(f"<p>{markup(text)}</p>\n" for text in section.text)
    if section.table is not None:
        body += f"<div class='wide'>{_table(section.table)}</div>\n"
    body += section.picture
    if section.folded:
        return f"<details><summary>{markup(section.title)}</summary>\n{body}</details>"
    return f"<h2>{markup(section.title)}</h2>\n{body}"


def _table(table: Table) -> str:
    head = "".join(f"<th>{markup(name)}</th>" for name in table.head)
    rows = "\n".join("<tr>" + "".join(f"<td>{_inside(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def _inside(cell: Cell) -> str:
    text = markup(cell.text)
    if cell.link:
        text = f'<a href="{markup(cell.link)}">{text}</a>'
    if cell.tone is not Tone.PLAIN:
        text = f'<span class="{cell.tone}">{text}</span>'
    return text + (f'<span class="why">{markup(cell.why)}</span>' if cell.why else "")
