"""How the page looks: the system's own fonts, grey tones, and the region's pink for what is marked."""

from __future__ import annotations

import gradio as gr

from adaptedit.interfaces.ui.parts import ASSETS

FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Gradio's plain theme; fonts given by name are never fetched."""
    plain = gr.themes.Base(
        primary_hue="neutral",
        neutral_hue="neutral",
        radius_size="lg",
        font=FONT,
        font_mono=MONO,
    )
    return plain.set(
        body_background_fill="#fafaf8",
        body_background_fill_dark="#161618",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f1f22",
        block_border_color="#e4e4e0",
        block_border_color_dark="#333338",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        input_background_fill="#ffffff",
        input_background_fill_dark="#161618",
        button_primary_background_fill="#26262a",
        button_primary_background_fill_hover="#000000",
        button_primary_text_color="#ffffff",
        button_primary_background_fill_dark="#f2f2ee",
        button_primary_background_fill_hover_dark="#ffffff",
        button_primary_text_color_dark="#161618",
        button_secondary_background_fill="#efefec",
        button_secondary_background_fill_hover="#e4e4e0",
        button_secondary_background_fill_dark="#2c2c30",
        button_secondary_background_fill_hover_dark="#38383d",
        slider_color="#77777d",
        slider_color_dark="#a0a0a6",
    )


def css() -> str:
    return (ASSETS / "style.css").read_text("utf-8")
