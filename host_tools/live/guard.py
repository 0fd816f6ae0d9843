"""Who may see the page: a browser of this computer that knows the token in the page's address.

The server listens on loopback, but any page in the same browser can send requests there, and a name
that an attacker owns can be made to mean 127.0.0.1. So the Host header must be ours, an Origin must
be the page's own, and the first part of the path must be the token.
"""

from __future__ import annotations

import hmac
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
TOKEN_BYTES = 24
HEADERS = {
    # Vue compiles its templates in the browser, which 'unsafe-eval' is for.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' {sockets}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
REFUSED = b"403: this address is not the one that tinyproof live has printed\n"


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Guard:
    """An ASGI application that lets through what may reach `app`; 403 for all else."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self._token = token.encode()
        hosts = [f"{name}:{port}" for name in (LOOPBACK, "localhost")]
        self._hosts = {host.encode() for host in hosts}
        # 'self' is not the websocket in every browser
        sockets = " ".join(f"ws://{host}" for host in hosts)
        self._headers = [
            (name.encode(), value.replace("{sockets}", sockets).encode())
            for name, value in HEADERS.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, websocket or lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif self._may(scope):
            await self.app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            plain = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 403, "headers": plain})
            await send({"type": "http.response.body", "body": REFUSED})

    def _may(self, scope: Scope) -> bool:
        given = [(name.lower(), value) for name, value in scope["headers"]]
        hosts = [value for name, value in given if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return False
        origins = [value for name, value in given if name == b"origin"]
        if any(origin != b"http://" + hosts[0] for origin in origins):
            return False
        if scope["type"] == "websocket" and not origins:
            return False  # every browser sends one
        first = scope["path"].encode("utf-8", "replace").split(b"/")[1:2]
        return bool(first) and hmac.compare_digest(first[0], self._token)

    def _with_headers(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        return sent
