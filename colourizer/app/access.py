"""Who is answered: the token, its cookie, same-origin checks; and all answers' security headers."""

import re
from secrets import compare_digest

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")  # Host headers that are answered
COOKIE = "colourizer-"  # and the port
# The page may load what this server has, and nothing from elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOREIGN = "only this program's own page may ask"
WITHOUT_TOKEN = (
    "this page opens with the address, token included, that the program printed in its terminal "
    "when it was started; open that one"
)


class AccessMiddleware:
    """ASGI middleware: answers 403 to all but the page itself and who knows the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Wrap an application.

        Args:
            app: what is asked if a request may be answered.
            token: the secret in the page's address, ?token=...; a cookie repeats it afterwards.
        """
        self.app = app
        self._token = token
        self._headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        own = is_same_origin(request.headers, scope["path"])
        in_address = own and self._is_token(request.query_params.get("token", ""))
        in_cookie = any(
            name.startswith(COOKIE) and self._is_token(value)
            for name, value in request.cookies.items()
        )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(self._headers)
                if in_address:
                    answer.append("Set-Cookie", self._cookie(request.headers["host"]))
            await send(message)

        if not own:
            await refusal(FOREIGN, scope["path"])(scope, receive, send_with_headers)
        elif in_address or in_cookie:
            await self.app(scope, receive, send_with_headers)
        else:
            await refusal(WITHOUT_TOKEN, scope["path"])(scope, receive, send_with_headers)

    def _is_token(self, given: str) -> bool:
        """Return whether a text is the token, after a time that tells nothing about it."""
        return compare_digest(given.encode(errors="replace"), self._token.encode())

    def _cookie(self, host: str) -> str:
        """Return the cookie for a Host header."""
        port = host.removesuffix("]").rpartition(":")[2]  # browsers send the cookies of all ports
        return f"{COOKIE}{port}={self._token}; Path=/; HttpOnly; SameSite=Strict"


def refusal(why: str, path: str) -> Response:
    """Return an answer with status 403: text where the page would be, JSON elsewhere."""
    if path == "/":
        return PlainTextResponse(f"{why}\n", 403)
    return JSONResponse({"error": why}, 403)


def is_same_origin(headers: Headers, path: str) -> bool:
    """Return whether a request comes from this server's own page, or from no page at all.

    The Host header is checked against DNS rebinding: other sites' names that resolve to 127.0.0.1.
    """
    host = headers.get("host", "")
    if re.sub(r":\d+$", "", host) not in LOCAL_HOSTS:
        return False
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return False
    # A link on another site may open the page itself.
    return path == "/" or headers.get("sec-fetch-site", "none") in ("same-origin", "none")
