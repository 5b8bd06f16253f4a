"""The address by which clients reach the application, which its own URLs begin with."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
FORWARDED = re.compile(r'\s*(proto|host)\s*=\s*"?([^";,]*)"?\s*', re.IGNORECASE)


class PublicAddress:
    """ASGI middleware: scheme, host and path of a request as its client wrote them.

    public_url: the application's address, whatever a request says; None takes the Host header, and
    from `trusted` peers what they forward (X-Forwarded-Proto and -Host, or Forwarded). Of several
    values the last counts, which the peer wrote itself.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, trusted: Sequence[Network]) -> None:
        self.app = app
        self.public = urlsplit(public_url) if public_url else None
        self.trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self.public:
                scope = _under(scope, self.public.path.rstrip("/"))
                _reached(scope, self.public.scheme, self.public.netloc)
            elif self._is_trusted(scope):
                scope = dict(scope)
                _reached(scope, *_forwarded(Headers(scope=scope)))
        await self.app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        try:
            peer = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self.trusted)


def _under(scope: Scope, prefix: str) -> Scope:
    """The same request below another path than the one that the application is deployed at."""
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    return {**scope, "root_path": prefix, "path": prefix + path}


def _reached(scope: Scope, scheme: str | None, host: str | None) -> None:
    if scheme in ("http", "https"):
        scope["scheme"] = scheme
    if host and HOST.fullmatch(host):
        scope["headers"] = list(scope["headers"])
        MutableHeaders(scope=scope)["host"] = host


def _forwarded(headers: Headers) -> tuple[str | None, str | None]:
    """Scheme and host as the nearest proxy saw them."""
    told = dict(FORWARDED.findall(_last(headers, "forwarded").replace(";", ",")))
    told = {name.lower(): value for name, value in told.items()}
    scheme = _last(headers, "x-forwarded-proto") or told.get("proto", "")
    host = _last(headers, "x-forwarded-host") or told.get("host", "")
    return scheme.lower(), host


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()
