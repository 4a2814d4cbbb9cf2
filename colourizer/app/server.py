"""HTTP server of the page: routes, request parsing, same-origin checks, error responses."""

import asyncio
import base64
import contextlib
import errno
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colourizer.app.photo_store import (
    MAX_PHOTOS,
    VIEW_SIDE,
    ColourSettings,
    NotFoundError,
    PhotoStore,
    PhotoTooLargeError,
    StoreFullError,
)
from colourizer.inference.hints import HintError, parse_hint
from colourizer.inference.readout import MAX_VARIANTS
from colourizer.photos.errors import PhotoError
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import print_error
from colourizer.runtime.process import count_cores

T = TypeVar("T")

PAGE = Path(__file__).with_name("page.html")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")  # Host headers that are answered
MAX_UPLOAD_BYTES = 256 << 20  # of a photograph's file
MAX_JSON_BYTES = 1 << 20
MAX_PENDING = 64  # requests in work or waiting for it; the page tries the others again
MAX_HINTS = 100
MIN_SIDE = 16  # pixels of a picture
CHUNK_BYTES = 1 << 20  # of a file that is sent
SWEEP_SECONDS = 60  # between two removals of expired photographs
STATUS_CODES = {
    PhotoError: 422,
    PhotoTooLargeError: 413,
    StoreFullError: 507,
    NotFoundError: 404,
    HintError: 400,
}
JPEG = "image/jpeg"


def content_security_policy(page: str) -> str:
    """Return the policy that allows a page its own script and style and this server's responses.

    Args:
        page: HTML; the policy holds the hashes of its inline script and style.
    """

    def hashes(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digests = [hashlib.sha256(text.encode()).digest() for text in found]
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


class SameOriginMiddleware:
    """ASGI middleware: refuses other sites' requests, and adds security headers to all answers."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        """Wrap an application; the policy is of `content_security_policy`."""
        self.app = app
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if scope["type"] == "http" and not is_same_origin(Headers(scope=scope), scope["path"]):
            refusal = JSONResponse({"error": "only this program's own page may ask"}, 403)
            await refusal(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)


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


def parse_settings(fields: Mapping[str, Any], default_vividness: float) -> ColourSettings:
    """Parse how a photograph is to be coloured.

    Args:
        fields: vividness, variant and hints, "X,Y,RRGGBB;..."; all may be left out.
        default_vividness: the vividness if it is left out.

    Raises:
        HTTPException: 400, if one of them is invalid.
    """
    try:
        vividness = float(fields.get("vividness", default_vividness))
        variant = int(fields.get("variant", 0))
        if not 0 <= vividness <= 1:
            raise ValueError(f"vividness {vividness}: between 0 and 1")
        if not 0 <= variant < MAX_VARIANTS:
            raise ValueError(f"variant {variant}: from 0 to {MAX_VARIANTS - 1}")
        texts = [text for text in str(fields.get("hints", "")).split(";") if text]
        if len(texts) > MAX_HINTS:
            raise ValueError(f"{len(texts)} hints: {MAX_HINTS} are the most")
        return ColourSettings(vividness, variant, tuple(parse_hint(text) for text in texts))
    except (ValueError, TypeError, OverflowError) as error:
        raise HTTPException(400, str(error)) from error


def parse_side(text: str) -> int:
    """Parse the longest side of a picture, in pixels, clamped to [MIN_SIDE, VIEW_SIDE].

    Raises:
        HTTPException: 400, if it is no number.
    """
    try:
        return min(VIEW_SIDE, max(MIN_SIDE, int(text)))
    except ValueError as error:
        raise HTTPException(400, f"side: {error}") from error


async def read_json_list(request: Request) -> list[Any]:
    """Return the list of at most MAX_PHOTOS items in a request's body.

    Raises:
        HTTPException: 400 or 413, if the body is something else, or too long.
    """
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise HTTPException(413, f"more than {MAX_JSON_BYTES} bytes of JSON")
    try:
        items = json.loads(content)
    except ValueError as error:
        raise HTTPException(400, f"not JSON ({error})") from error
    if not isinstance(items, list) or len(items) > MAX_PHOTOS:
        raise HTTPException(400, f"needs a list of at most {MAX_PHOTOS}")
    return items


class Handlers:
    """Request handlers, one method for each route."""

    def __init__(self, store: PhotoStore) -> None:
        self.store = store
        self._pool = ThreadPoolExecutor(count_cores(), "photo")
        self._pending = 0

    @contextlib.contextmanager
    def count_pending(self) -> Iterator[None]:
        """Count a request as pending within the context.

        Raises:
            HTTPException: 503, if MAX_PENDING are pending already.
        """
        if self._pending >= MAX_PENDING:
            busy = "too much is asked at once; try again in a moment"
            raise HTTPException(503, busy, {"Retry-After": "1"})
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def run_in_pool(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a worker thread and return its result; there is one for each core."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def upload(self, request: Request) -> Response:
        """POST api/photos: add a photograph; answer its key, size and defaults."""
        name = unquote(request.headers.get("x-name", ""), errors="replace")
        with self.count_pending():
            file = self.store.create_file()
            try:
                size = 0
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MAX_UPLOAD_BYTES:
                        most = f"{MAX_UPLOAD_BYTES >> 20} MB are the most"
                        raise PhotoTooLargeError(f"is too large a file: {most}")
                    file.write(chunk)
                key, photo = await self.run_in_pool(self.store.add, name, file)
            except BaseException:
                file.close()
                raise
        scale = min(1, VIEW_SIDE / max(photo.height, photo.width))
        answer = {
            "id": key,
            "name": photo.name,
            "width": photo.width,
            "height": photo.height,
            "view": [max(1, round(side * scale)) for side in (photo.width, photo.height)],
            "knows": self.store.colourizer.has_likelihoods,
            "vividness": self.store.colourizer.vividness,
        }
        return JSONResponse(answer)

    async def get_photo(self, request: Request) -> Response:
        """GET api/photos/ID/WHAT: a picture to be shown, or the coloured file."""
        key, what = request.path_params["key"], request.path_params["what"]
        settings = parse_settings(request.query_params, self.store.colourizer.vividness)
        side = parse_side(request.query_params.get("side", str(VIEW_SIDE)))
        store, run = self.store, self.run_in_pool
        with self.count_pending():
            if what == "grey":
                return Response(await run(store.draw_grey, key, side), media_type=JPEG)
            if what == "coloured":
                drawn = await run(store.draw_coloured, key, side, settings)
                return Response(drawn, media_type=JPEG)
            if what == "confidence":
                return Response(await run(store.draw_confidence, key, side), media_type=JPEG)
            if what == "download":
                file = store.create_file()
                name = await run(store.write, key, settings, file)
                return file_response(file, Path(name).name)
        raise HTTPException(404, "there is nothing here")

    async def download_zip(self, request: Request) -> Response:
        """POST api/zip: the coloured files of several photographs."""
        wanted = []
        for item in await read_json_list(request):
            if not isinstance(item, dict):
                raise HTTPException(400, "needs a list of photographs")
            settings = parse_settings(item, self.store.colourizer.vividness)
            wanted.append((str(item.get("id")), settings))
        with self.count_pending():
            file = self.store.create_file()
            failed = await self.run_in_pool(self.store.write_zip, wanted, file)
        return file_response(file, "colourized.zip", {"X-Failed": str(len(failed))})

    async def touch(self, request: Request) -> Response:
        """POST api/keep: a page that shows these photographs is still open."""
        self.store.touch(map(str, await read_json_list(request)))
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """POST api/forget: remove photographs."""
        keys = [str(key) for key in await read_json_list(request)]
        await self.run_in_pool(self.store.remove, keys)
        return Response(status_code=204)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Remove expired photographs every SWEEP_SECONDS while the server runs."""

        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                await self.run_in_pool(self.store.remove_expired)

        sweeper = asyncio.create_task(sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            self._pool.shutdown(wait=False, cancel_futures=True)


def file_response(
    file: BinaryIO, name: str, extra_headers: dict[str, str] | None = None
) -> Response:
    """Return a response that downloads an open file under a name, and closes it at the end."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Length": str(size),
    } | (extra_headers or {})
    return StreamingResponse(chunks(), headers=headers, media_type="application/octet-stream")


async def error_response(request: Request, error: Exception) -> Response:
    """Return an error as JSON, {"error": a sentence}; an unforeseen one is printed to stderr."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    for kind, status in STATUS_CODES.items():
        if isinstance(error, kind):
            return JSONResponse({"error": str(error)}, status)
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EMFILE, errno.ENFILE):
        reason = (error.strerror or str(error)).lower()
        return JSONResponse({"error": f"there is no room for it ({reason}); remove some"}, 507)
    if not isinstance(error, ClientDisconnect):
        print_error(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
    return JSONResponse({"error": "that went wrong here; the terminal says why"}, 500)


def make_app(store: PhotoStore) -> ASGIApp:
    """Return the ASGI application that serves the page and its requests."""
    page = PAGE.read_text("utf-8")
    handlers = Handlers(store)

    async def index(_request: Request) -> Response:
        return HTMLResponse(page)

    routes = [
        Route("/", index),
        Route("/api/photos", handlers.upload, methods=["POST"]),
        Route("/api/photos/{key}/{what}", handlers.get_photo),
        Route("/api/zip", handlers.download_zip, methods=["POST"]),
        Route("/api/keep", handlers.touch, methods=["POST"]),
        Route("/api/forget", handlers.remove, methods=["POST"]),
    ]
    exceptions = (*STATUS_CODES, OSError, HTTPException, ClientDisconnect, Exception)
    app = Starlette(
        routes=routes,
        exception_handlers=dict.fromkeys(exceptions, error_response),
        lifespan=handlers.lifespan,
    )
    return SameOriginMiddleware(app, content_security_policy(page))
