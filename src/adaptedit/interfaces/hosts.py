"""Answers only requests to names of this machine, so that no other site's name can stand for it.

Any web page can make a browser send requests to 127.0.0.1 under the page's own name (DNS rebinding), and then
read the answers. So the `Host` header must be one that the operator expects.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from adaptedit.errors import AdaptEditError, quoted

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::", "")
ANY = "*"
ADDRESSES = "an address"  # any IP address, such as 192.168.1.5: other sites are reached by name
PROBES = ("/healthz", "/readyz", "/metrics")  # monitors ask by address, without knowing the name

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
Refuse = Callable[[str], App]  # from the host to the answer


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0: a free one. Raises AdaptEditError if the address or port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError, TypeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "this is not an address"
        where = f"{quoted(host)}, port {port}"
        raise AdaptEditError(f"cannot listen on {where} ({reason}); give another --host or --port") from None


def allowed(host: str, names: Iterable[str]) -> frozenset[str]:
    """host: the address that the server listens on. names: further ones from the operator; "*" is every name.

    On every address of this machine, any address is allowed.
    """
    own = ADDRESSES if host in EVERYWHERE else host
    return frozenset(name.lower().strip("[]") for name in (*LOOPBACK, own, *names))


class AllowedHosts:
    """ASGI middleware: a request to another host is answered by `refuse`, except for probes."""

    def __init__(self, app: App, hosts: frozenset[str], refuse: Refuse) -> None:
        self.app, self.hosts, self.refuse = app, hosts, refuse

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        app = self.app
        if scope["type"] in ("http", "websocket") and ANY not in self.hosts and scope["path"] not in PROBES:
            host = _host(scope)
            if host not in self.hosts and not (ADDRESSES in self.hosts and _is_address(host)):
                app = self.refuse(host)
        await app(scope, receive, send)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host(scope: Scope) -> str:
    """Without the port; empty where there is none, or more than one."""
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(found) != 1:
        return ""
    host: str = found[0].strip().lower()
    if host.startswith("["):  # [::1]:8000
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
