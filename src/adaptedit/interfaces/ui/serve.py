"""Serves the page: nothing is fetched from elsewhere, nothing is told to anyone, nothing stays behind."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from adaptedit.errors import AdaptEditError, quoted
from adaptedit.interfaces.hosts import ANY, LOOPBACK, AllowedHosts
from adaptedit.interfaces.ui.folder import temporary_folder
from adaptedit.interfaces.ui.limits import OWN, BodyLimit, Limits
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.sessions import Sessions
from adaptedit.pictures.pool import DecoderPool

FORM = 1_000_000  # bytes of a request beside its file
OWN_ONLY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:"
)

Asgi = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class OwnOnly:
    """Tells browsers to load nothing from another host, whatever Gradio's page asks for."""

    def __init__(self, app: Asgi) -> None:
        self.app = app

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", OWN_ONLY.encode())
                message = {**message, "headers": [*message.get("headers", []), policy]}
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


def check_installed() -> None:
    """Raises AdaptEditError if gradio is not installed; takes no time."""
    if find_spec("gradio") is None:
        raise AdaptEditError("the web page needs gradio: pip install 'adaptedit[ui]' and try again")


@contextmanager
def serving(
    models: Models,
    *,
    host: str,
    port: int | None,
    share: bool,
    limits: Limits = OWN,
    hosts: frozenset[str] = frozenset(LOOPBACK),
) -> Iterator[str]:
    """Serves the page in the body; the value is its address. port: the first free one from 7860 where None.

    hosts: the names that it answers to, see `hosts.allowed`; to any if it is shared through Gradio's tunnel.

    Raises AdaptEditError if gradio is not installed or the address cannot be used.
    """
    with (
        temporary_folder() as folder,
        _environment(GRADIO_ANALYTICS_ENABLED="0", HF_HUB_DISABLE_TELEMETRY="1", GRADIO_TEMP_DIR=str(folder)),
    ):
        check_installed()
        from starlette.middleware import Middleware

        from adaptedit.interfaces.ui import look
        from adaptedit.interfaces.ui.page import Page

        pool = DecoderPool(limits.decoders, max_pixels=limits.max_pixels, seconds=limits.decode)
        pool.start()
        blocks = Page(models, Sessions(limits.session_bytes), pool).blocks
        middleware = [
            Middleware(AllowedHosts, hosts=frozenset({ANY}) if share else hosts, refuse=_misdirected),
            Middleware(BodyLimit, most=limits.max_bytes + FORM),
            Middleware(OwnOnly),
        ]
        try:
            _, address, public = blocks.launch(
                server_name=host,
                server_port=port,
                share=share,
                prevent_thread_lock=True,
                quiet=True,
                theme=look.theme(),
                css=look.css(),
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                max_file_size=limits.max_bytes,
                app_kwargs={"middleware": middleware},
            )
        except OSError:
            pool.close()
            raise AdaptEditError(
                f"cannot serve at {host}, port {port or '7860 to 7959'}: it is taken, or not this machine's; "
                "give another --host or --port"
            ) from None
        try:
            yield public or address
        finally:
            blocks.close(verbose=False)
            pool.close()


def _misdirected(host: str) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(
        f"This page is not served as {quoted(host)}. Start it with --allowed-host NAME for that.\n", 400
    )


@contextmanager
def _environment(**switches: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in switches}
    os.environ.update(switches)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
