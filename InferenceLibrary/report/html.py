"""A report as one HTML file that needs nothing beside it: no script, no font, no picture from elsewhere.

A content security policy in the file says so to the browser, too.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from InferenceLibrary.foreign_text import shown
from InferenceLibrary.report.document import Document, Image


def page(document: Document, way: str = "") -> str:
    """Return the whole file. All texts are escaped; only `Section.picture` is taken as it stands.

    Args:
        document: What it says.
        way: How links begin: from the file to the folder of the results.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def fit(value: Any) -> Any:
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=fit, keep_trailing_newline=True)
    environment.filters["data_url"] = _data_url
    template = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(document=document, way=way)


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.content).decode('ascii')}"
