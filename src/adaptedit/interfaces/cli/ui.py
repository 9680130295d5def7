"""`adaptedit ui`: a thin layer over `editing/`, drawn as a web page."""

from __future__ import annotations

import math
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import typer

from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.terminal import quiet, stages
from adaptedit.interfaces.hosts import LOOPBACK, allowed, listen


@loads_editor
def ui(
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, show_default="the first free one from 7860")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also serve through Gradio's tunnel, at a public address.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name that browsers may use; may be repeated, * for any.",
            show_default="localhost, 127.0.0.1, ::1 and --host",
        ),
    ] = None,
    max_megapixels: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1000, help="Largest picture, in megapixels.", show_default="50; 16 for others"
        ),
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=10_000, help="Largest file, in megabytes.", show_default="200; 20 for others"
        ),
    ] = None,
    session_mb: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=1e6,
            help="Pictures kept for all visitors together, in megabytes.",
            show_default="2000; 1000 for others",
        ),
    ] = None,
    *,
    load: LoadOptions,
) -> None:
    """Edit pictures in the browser, on this machine. Ctrl-C ends it.

    Where other machines can reach the page (--host, --share), smaller limits hold.
    """
    quiet()
    from adaptedit.interfaces.ui.limits import OWN, SHARED
    from adaptedit.interfaces.ui.models import Models
    from adaptedit.interfaces.ui.serve import check_installed, serving

    check_installed()
    listen(host, port or 0).close()  # before the model is loaded
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that temporary files go
    others = share or host not in LOOPBACK
    given = {"max_pixels": max_megapixels, "max_bytes": max_mb, "session_bytes": session_mb}
    if any(value is not None and math.isnan(value) for value in given.values()):
        raise AdaptEditError("nan is no limit; give a number")
    limits = replace(
        SHARED if others else OWN,
        **{name: round(value * 1e6) for name, value in given.items() if value is not None},
    )
    models = Models(load, fixed=others)
    with stages() as stage:
        stage(f"loading {load.backbone}", shows_itself=load.backbone != "tiny")
        models.warm()
    served = serving(
        models,
        host=host,
        port=port,
        share=share,
        limits=limits,
        hosts=allowed(host, allowed_host or ()),
    )
    with served as address, suppress(KeyboardInterrupt):
        typer.echo(f"{address}  (Ctrl-C ends it)")
        threading.Event().wait()
