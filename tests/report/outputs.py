"""Small outputs of Robot Framework as tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<robot generator="Robot 7.5 (Python 3.11.7 on linux)" schemaversion="5">\n'
)


def one_test(
    name: str,
    status: str = "PASS",
    message: str = "",
    body: str = "",
    *,
    at: float = 0.0,
    took: float = 1.0,
    tags: tuple[str, ...] = (),
    meta: Mapping[str, str] | None = None,
) -> str:
    metas = "".join(f"<meta name={quoteattr(key)}>{escape(value)}</meta>" for key, value in (meta or {}).items())
    marks = "".join(f"<tag>{escape(tag)}</tag>" for tag in tags)
    return (
        f'<test id="t" name={quoteattr(name)}>{body}{metas}{marks}'
        f'<status status="{status}" start="{time(at)}" elapsed="{took}">{escape(message)}</status></test>\n'
    )


def time(seconds: float) -> str:
    return f"2026-01-02T03:04:{seconds:09.6f}"


def run_xml(tests: str, *, suite: str = "Root", meta: Mapping[str, str] | None = None, errors: str = "") -> str:
    metas = "".join(f"<meta name={quoteattr(key)}>{escape(value)}</meta>" for key, value in (meta or {}).items())
    return (
        f'{HEAD}<suite id="s1" name={quoteattr(suite)}><suite id="s1-s1" name="Chat">\n{tests}{metas}'
        f'<status status="PASS" start="{time(0)}" elapsed="9.5"/></suite>\n'
        f'<status status="PASS" start="{time(0)}" elapsed="10.5"/></suite>\n'
        f'<statistics><total><stat pass="1" fail="0" skip="0">All Tests</stat></total><suite>'
        f'<stat name="Root" id="s1" pass="1" fail="0" skip="0">Root</stat></suite></statistics>\n'
        f"<errors>{errors}</errors>\n</robot>\n"
    )


def write(folder: Path, text: str, name: str = "output.xml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
