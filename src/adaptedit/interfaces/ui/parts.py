"""The page's own parts: small custom components, whose HTML and script lie in `assets/`.

Gradio's ImageEditor is not used: it drops a layer that comes with its first picture, sometimes later ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

ASSETS = Path(__file__).parent / "assets"


def part(kind: str, name: str, value: Any = None) -> gr.HTML:
    """A custom component. kind, and what it takes and tells as its value:

    painter: takes {"picture", "layer", "serial"} or None, tells {"layer", "serial"}, see `canvas`.
    compare: takes {"before", "after", "fresh"} or None.
    strip: takes {"name", "items": [{"src", "text"}], "selected"} or None; its event `select` has the index.
    name: its id in the page.
    """
    return gr.HTML(
        value,
        html_template=(ASSETS / f"{kind}.html").read_text("utf-8"),
        js_on_load=(ASSETS / f"{kind}.js").read_text("utf-8"),
        apply_default_css=False,
        elem_id=name,
    )
