"""`adaptedit serve`: a thin door over interfaces/serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.edit_cli import AdapterName, BackboneName
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.interfaces.terminal import quiet

LIMITS = "Limits"
LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 8000,
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
    model_name: Annotated[
        str | None, typer.Option(help="What requests call the model.", show_default="BACKBONE")
    ] = None,
    api_keys_file: Annotated[
        Path | None,
        typer.Option(help="Bearer keys, one a line; $ADAPTEDIT_API_KEYS has some too, with commas."),
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests taken at once; more get 429.", rich_help_panel=LIMITS)
    ] = 32,
    max_batch: Annotated[
        int,
        typer.Option(
            min=1,
            help="Of these, edited together, where the editor can: tiny.",
            rich_help_panel=LIMITS,
        ),
    ] = 8,
    max_mb: Annotated[float, typer.Option(min=0.01, help="Of a request.", rich_help_panel=LIMITS)] = 20.0,
    max_megapixels: Annotated[
        float, typer.Option(min=0.01, help="Of a picture.", rich_help_panel=LIMITS)
    ] = 16.0,
    transfer_timeout: Annotated[
        float,
        typer.Option(min=1, help="Seconds for an upload, and for an answer.", rich_help_panel=LIMITS),
    ] = 60.0,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds in the queue and in the model.", rich_help_panel=LIMITS)
    ] = 300.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds to finish in after SIGTERM.", rich_help_panel=LIMITS)
    ] = 60.0,
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Write instructions to the log, not only their length.")
    ] = False,
) -> None:
    """Serve edits over HTTP: OpenAI's POST /v1/images/edits, /v1/regions, metrics; /docs shows all of it."""
    quiet()
    try:
        from adaptedit.interfaces.serve import keys
        from adaptedit.interfaces.serve.server import listen
        from adaptedit.interfaces.serve.server import serve as run
    except ImportError as error:
        raise AdaptEditError(
            f"serve needs a package more ({error}): pip install 'adaptedit[serve]' and try again"
        ) from None
    from adaptedit.interfaces.serve.settings import Settings

    settings = Settings(
        model=model_name or backbone,
        keys=keys.read(api_keys_file, os.environ.get(keys.VARIABLE)),
        places=queue,
        max_batch=max_batch,
        max_bytes=round(max_mb * 1e6),
        max_pixels=round(max_megapixels * 1e6),
        transfer=transfer_timeout,
        work=timeout,
        log_prompts=log_prompts,
    )
    if host not in LOCAL and not settings.keys:
        typer.echo(f"warning: no API keys: whoever reaches {host} can use this server", err=True)
    listener = listen(host, port)
    typer.echo(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/docs")
    sys.stdout.flush()
    run(settings, lambda: load_pipeline(backbone, adapter), listener, drain=drain)
