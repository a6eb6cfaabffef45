"""The door: who may ask at all, until there is a login.

The server listens on loopback only. That alone does not keep web pages of elsewhere
out, since they run in a browser on this very machine: a name of theirs may resolve to
127.0.0.1 (DNS rebinding), and their forms may point here (CSRF). Hence two checks
before anything else: the name in `Host` must be this machine's, and a changing request
must come from our own pages or from a program.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 1024 * 1024
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Refuses what comes from elsewhere, and marks every answer as ours alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "websocket":
            # A browser asks for these from any page; its `Origin` tells which.
            refused = refusal_of("CONNECT", Headers(scope=scope)) is not None
            if refused or _holds_nul(scope):
                await send({"type": "websocket.close"})
            else:
                await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = refusal_of(scope["method"], Headers(scope=scope))
        if refusal is None and _holds_nul(scope):
            refusal = 400, "No address of Earmark has a NUL in it.\n"
        if refusal is not None:
            status, text = refusal
            await PlainTextResponse(text, status)(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, marked)


def refusal_of(method: str, headers: Headers) -> tuple[int, str] | None:
    """Say why a request is not let in, with a status; None when it is."""
    host = headers.get("host", "")
    if not _is_this_machine(host):
        return 421, "Open Earmark as http://127.0.0.1 or http://localhost.\n"
    if method in _READING:
        return None
    if _is_foreign(headers, host):
        return 403, "This was asked by a page of elsewhere; it is refused.\n"
    if "transfer-encoding" in headers:
        return 411, "Say how long the request is (Content-Length).\n"
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        return 413, f"At most {BODY_LIMIT} bytes at a time.\n"
    return None


def _holds_nul(scope: Scope) -> bool:
    # No name and no id has one, and PostgreSQL takes none in a question.
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


def _is_foreign(headers: Headers, host: str) -> bool:
    # A browser that tells the site tells the truth; `same-site` is another port here.
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != host


def _is_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
