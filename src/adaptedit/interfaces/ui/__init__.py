"""The web page, `adaptedit ui`. Gradio draws it; `actions`, which knows no Gradio, decides what it shows."""
