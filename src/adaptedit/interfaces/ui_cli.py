"""`adaptedit ui`: a thin door over `editing/`, drawn as a web page."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import suppress
from typing import Annotated

import typer

from adaptedit.interfaces.edit_cli import AdapterName, BackboneName
from adaptedit.interfaces.terminal import quiet, stages


def ui(
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, show_default="the first free one from 7860")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also serve through Gradio's tunnel, at a public address.")
    ] = False,
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
) -> None:
    """Edit pictures in the browser, on this machine. Ctrl-C ends it."""
    quiet()
    from adaptedit.interfaces.ui.models import Models
    from adaptedit.interfaces.ui.serve import LOCAL, check_installed, serving

    check_installed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that temporary files go
    models = Models((backbone, adapter), fixed=share or host not in LOCAL)
    with stages() as stage:
        stage(f"loading {backbone}")
        models.warm()
    with serving(models, host=host, port=port, share=share) as address, suppress(KeyboardInterrupt):
        typer.echo(f"{address}  (Ctrl-C ends it)")
        threading.Event().wait()
