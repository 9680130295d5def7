"""The settings below the picture, in the order of `actions.Settings.read`."""

from __future__ import annotations

import gradio as gr

from adaptedit.interfaces.ui.models import Models

PRESERVE = [
    ("Keep every pixel (exact)", "exact"),
    ("Keep the latents (latent)", "latent"),
    ("Neither (soft)", "soft"),
]
NARROW = 140  # pixels: two in a row on a phone


# Not an accordion, which makes its fields only when it opens, and loses what is typed in them meanwhile.
TOGGLE = """() => {
  const open = document.body.classList.toggle("ae-open");
  document.querySelector("#settings").setAttribute("aria-expanded", open);
}"""


def fields(models: Models) -> list[gr.components.Component]:
    """Draws them, folded; a visitor names a model only where `models` allows it."""
    unfold = gr.Button("Settings", size="sm", elem_id="settings")
    unfold.click(None, js=TOGGLE, api_visibility="private")
    with gr.Column(elem_id="fields"):
        with gr.Row():
            seed = _text("Seed", "Empty: a new one each time", "new")
            steps = _text("Steps", "Empty: the editor's own", "default")
        with gr.Row():
            guidance = _text("Guidance", "Empty: the editor's own", "default")
            scale = _text("Strength", "Of the adapter; 0: none", "1")
        negative = _text(
            "Negative prompt", "What the result should not show; not for every editor", "nothing"
        )
        candidates = _slider("Candidates", "Results to choose from", 1, 8, 1, 1)
        preserve = gr.Radio(PRESERVE, value="exact", label="Outside the region", elem_id="preserve")
        with gr.Row():
            threshold = _slider("Threshold", "Lower finds more", 0.05, 0.95, 0.5, 0.05)
            grow = _slider("Grow", "Pixels, of what is marked", -50, 50, 0, 1)
        with gr.Row():
            feather = _text("Feather", "Pixels of soft edge", "by its size")
            context = _slider("Context", "How much is seen around it", 1, 4, 2, 0.1)
        with gr.Row(visible=not models.fixed):
            backbone = _text("Backbone", "A folder or a hub id", models.default.backbone)
            adapter = _text("Adapter", "A folder or a hub id", models.default.adapter or "the backbone's own")
    sampling = [seed, steps, guidance, negative, scale, candidates, preserve]
    return [*sampling, threshold, grow, feather, context, backbone, adapter]


def _text(label: str, info: str, placeholder: str) -> gr.Textbox:
    """Also for numbers that may be empty, which gr.Number makes 0."""
    return gr.Textbox(
        "",
        label=label,
        info=info,
        placeholder=placeholder,
        max_lines=1,
        min_width=NARROW,
        elem_id=label.lower().replace(" ", "-"),
    )


def _slider(label: str, info: str, low: float, high: float, value: float, step: float) -> gr.Slider:
    return gr.Slider(
        low, high, value, step=step, label=label, info=info, min_width=NARROW, elem_id=label.lower()
    )
