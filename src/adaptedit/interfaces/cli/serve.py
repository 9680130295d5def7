"""`adaptedit serve`: a thin layer over interfaces/serve."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.terminal import quiet
from adaptedit.interfaces.hosts import LOOPBACK, allowed, listen
from adaptedit.interfaces.loading import load_pipeline

LIMITS = "Limits"


@loads_editor
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8000,
    model_name: Annotated[
        str | None, typer.Option(help="The model's name in requests.", show_default="BACKBONE")
    ] = None,
    api_keys_file: Annotated[
        Path | None,
        typer.Option(help="Bearer keys, one per line; $ADAPTEDIT_API_KEYS may hold more, with commas."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name that requests may use; may be repeated, * for any.",
            show_default="localhost, 127.0.0.1, ::1 and --host",
        ),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(min=1, help="Requests accepted at once; more get 429.", rich_help_panel=LIMITS),
    ] = 32,
    max_batch: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many requests are edited in one batch, if the editor can; tiny can.",
            rich_help_panel=LIMITS,
        ),
    ] = 8,
    max_mb: Annotated[
        float,
        typer.Option(min=0.01, max=10_000, help="Largest request, in megabytes.", rich_help_panel=LIMITS),
    ] = 20.0,
    max_megapixels: Annotated[
        float,
        typer.Option(min=0.01, max=1000, help="Largest picture, in megapixels.", rich_help_panel=LIMITS),
    ] = 16.0,
    decoded_mb: Annotated[
        float,
        typer.Option(
            min=1,
            max=1e6,
            help="Decoded pictures held at once, in megabytes; more requests wait.",
            rich_help_panel=LIMITS,
        ),
    ] = 1000.0,
    decode_timeout: Annotated[
        float,
        typer.Option(min=0.1, max=3600, help="Seconds allowed to decode a picture.", rich_help_panel=LIMITS),
    ] = 10.0,
    idle_timeout: Annotated[
        float,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds allowed for a request's head, and for a pause within an upload.",
            rich_help_panel=LIMITS,
        ),
    ] = 10.0,
    transfer_timeout: Annotated[
        float,
        typer.Option(
            min=1,
            max=86_400,
            help="Seconds allowed for an upload, and for an answer.",
            rich_help_panel=LIMITS,
        ),
    ] = 60.0,
    timeout: Annotated[
        float,
        typer.Option(
            min=1,
            max=86_400,
            help="Seconds allowed for decoding, waiting and editing.",
            rich_help_panel=LIMITS,
        ),
    ] = 300.0,
    drain: Annotated[
        float,
        typer.Option(
            min=0, max=86_400, help="Seconds allowed to finish after SIGTERM.", rich_help_panel=LIMITS
        ),
    ] = 60.0,
    per_peer: Annotated[
        int,
        typer.Option(
            min=0,
            help="Connections at once from one address; 0: any number (behind a proxy).",
            rich_help_panel=LIMITS,
        ),
    ] = 256,
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Write instructions to the log, not only their length.")
    ] = False,
    *,
    load: LoadOptions,
) -> None:
    """Serve edits over HTTP: OpenAI's POST /v1/images/edits, /v1/regions, metrics; /docs shows all of it."""
    quiet()
    try:
        from adaptedit.interfaces.serve import keys
        from adaptedit.interfaces.serve.server import serve as run
    except ImportError as error:
        raise AdaptEditError(
            f"serve needs one more package ({error}): pip install 'adaptedit[serve]' and try again"
        ) from None
    from adaptedit.interfaces.serve.settings import Settings

    given = (
        max_mb,
        max_megapixels,
        decoded_mb,
        decode_timeout,
        idle_timeout,
        transfer_timeout,
        timeout,
        drain,
    )
    if any(math.isnan(value) for value in given):
        raise AdaptEditError("nan is no limit; give a number")
    settings = Settings(
        model=model_name or load.backbone,
        keys=keys.read(api_keys_file, os.environ.get(keys.VARIABLE)),
        hosts=allowed(host, allowed_host or ()),
        places=queue,
        max_batch=max_batch,
        max_bytes=round(max_mb * 1e6),
        max_pixels=round(max_megapixels * 1e6),
        max_decoded=round(decoded_mb * 1e6),
        decode=decode_timeout,
        idle=idle_timeout,
        per_peer=per_peer,
        transfer=transfer_timeout,
        work=timeout,
        log_prompts=log_prompts,
    )
    listener = listen(host, port)
    if host not in LOOPBACK and not settings.keys:
        typer.echo(f"warning: no API keys: anyone who reaches {host} can use this server", err=True)
    typer.echo(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/docs")
    sys.stdout.flush()
    run(settings, lambda: load_pipeline(load), listener, drain=drain)
