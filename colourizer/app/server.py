"""What a page in a browser may ask of this machine: the addresses, and who is let in."""

import asyncio
import base64
import contextlib
import errno
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colourizer.app.photo_store import (
    MOST_BYTES,
    MOST_PHOTOS,
    VIEW_SIDE,
    Desk,
    GoneError,
    NoRoomError,
    TooMuchError,
    Wish,
)
from colourizer.inference.hints import HintError, parse_hint
from colourizer.inference.prediction import MAX_VARIANTS
from colourizer.photos.errors import PhotoError
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import print_error
from colourizer.runtime.process import count_cores

T = TypeVar("T")

PAGE = Path(__file__).with_name("page.html")
HOSTS = ("127.0.0.1", "localhost", "[::1]")  # by another name this machine is not asked
MOST_WAITING = 64  # requests that are worked on or wait for it; the page asks again
MOST_JSON = 1 << 20  # bytes
BLOCK = 1 << 20  # bytes of a file that are sent at a time
MOST_HINTS = 100
LEAST_SIDE = 16  # pixels
SWEEP_SECONDS = 60
STATUS = {
    PhotoError: 422,
    TooMuchError: 413,
    NoRoomError: 507,
    GoneError: 404,
    HintError: 400,
}
JPEG = "image/jpeg"


def policy_of(page: str) -> str:
    """Say what the page may load: its own script and style, and this server's answers."""

    def hashes(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digests = [hashlib.sha256(text.encode()).digest() for text in found]
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


class Guard:
    """Lets only this server's own page in, and tells browsers to be as careful."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
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
        """Be an ASGI application."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if scope["type"] == "http" and not is_own(Headers(scope=scope), scope["path"]):
            refusal = JSONResponse({"error": "only this program's own page may ask"}, 403)
            await refusal(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)


def is_own(headers: Headers, path: str) -> bool:
    """Say whether a request comes from this server's own page, or from no page at all.

    The name that it is asked by keeps out pages whose host's name was made to mean this machine.
    """
    host = headers.get("host", "")
    if re.sub(r":\d+$", "", host) not in HOSTS:
        return False
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return False
    # The page itself may be opened by a link.
    return path == "/" or headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def read_wish(asked: dict[str, Any], default: float) -> Wish:
    """Read how a photograph's colours are wanted.

    Args:
        asked: vividness, variant, hints; all may be left out.
        default: the vividness that is meant then.

    Raises:
        ValueError: it makes no sense.
    """
    vividness, variant = float(asked.get("vividness", default)), int(asked.get("variant", 0))
    if not 0 <= vividness <= 1:
        raise ValueError(f"vividness {vividness}: between 0 and 1")
    if not 0 <= variant < MAX_VARIANTS:
        raise ValueError(f"variant {variant}: from 0 to {MAX_VARIANTS - 1}")
    texts = [text for text in str(asked.get("hints", "")).split(";") if text]
    if len(texts) > MOST_HINTS:
        raise ValueError(f"{len(texts)} hints: {MOST_HINTS} are the most")
    return Wish(vividness, variant, tuple(parse_hint(text) for text in texts))


class Service:
    """The answers, one method for each address."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._pool = ThreadPoolExecutor(count_cores(), "photo")
        self._waiting = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Be one of those that wait, or be sent away."""
        if self._waiting >= MOST_WAITING:
            busy = "too much is asked at once; try again in a moment"
            raise HTTPException(503, busy, {"Retry-After": "1"})
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def work(self, do: Callable[..., T], *arguments: Any) -> T:
        """Do something that takes long, when a core is free."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, do, *arguments)

    async def take(self, request: Request) -> Response:
        """POST api/photos: keep a photograph, and say what it is."""
        name = unquote(request.headers.get("x-name", ""), errors="replace")
        with self.place():
            file = self.desk.new_file()
            try:
                size = 0
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MOST_BYTES:
                        most = f"{MOST_BYTES >> 20} MB are the most"
                        raise TooMuchError(f"is too large a file: {most}")
                    file.write(chunk)
                key, kept = await self.work(self.desk.take, name, file)
            except BaseException:
                file.close()
                raise
        scale = min(1, VIEW_SIDE / max(kept.height, kept.width))
        answer = {
            "id": key,
            "name": kept.name,
            "width": kept.width,
            "height": kept.height,
            "view": [max(1, round(side * scale)) for side in (kept.width, kept.height)],
            "knows": self.desk.colourizer.has_likelihoods,
            "vividness": self.desk.colourizer.vividness,
        }
        return JSONResponse(answer)

    async def look(self, request: Request) -> Response:
        """GET api/photos/ID/WHAT: a picture, or the coloured file."""
        key, what = request.path_params["key"], request.path_params["what"]
        wish, side = self.wish_of(dict(request.query_params)), self.side_of(request)
        with self.place():
            if what == "grey":
                return Response(await self.work(self.desk.draw_grey, key, side), media_type=JPEG)
            if what == "coloured":
                return Response(await self.work(self.desk.draw, key, side, wish), media_type=JPEG)
            if what == "confidence":
                drawn = await self.work(self.desk.draw_confidence, key, side)
                return Response(drawn, media_type=JPEG)
            if what == "download":
                file = self.desk.new_file()
                name = await self.work(self.desk.write, key, wish, file)
                return download(file, Path(name).name)
        raise HTTPException(404, "there is nothing here")

    async def zip(self, request: Request) -> Response:
        """POST api/zip: the coloured files of several photographs."""
        asked = await self.read_json(request)
        wishes = []
        for one in asked:
            if not isinstance(one, dict):
                raise HTTPException(400, "needs a list of photographs")
            wishes.append((str(one.get("id")), self.wish_of(one)))
        with self.place():
            file = self.desk.new_file()
            failed = await self.work(self.desk.write_all, wishes, file)
        return download(file, "colourized.zip", {"X-Failed": str(len(failed))})

    async def keep(self, request: Request) -> Response:
        """POST api/keep: a page that shows these is still open."""
        self.desk.keep(map(str, await self.read_json(request)))
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        """POST api/forget: nobody wants these any more."""
        await self.work(self.desk.forget, [str(key) for key in await self.read_json(request)])
        return Response(status_code=204)

    def wish_of(self, asked: dict[str, Any]) -> Wish:
        """Read how colours are wanted; answer 400 where that makes no sense."""
        try:
            return read_wish(asked, self.desk.colourizer.vividness)
        except (ValueError, TypeError, OverflowError) as error:
            raise HTTPException(400, str(error)) from error

    @staticmethod
    def side_of(request: Request) -> int:
        """Read how large a picture is wanted."""
        try:
            side = int(request.query_params.get("side", VIEW_SIDE))
        except ValueError as error:
            raise HTTPException(400, f"side: {error}") from error
        return min(VIEW_SIDE, max(LEAST_SIDE, side))

    @staticmethod
    async def read_json(request: Request) -> list[Any]:
        """Read a list of at most MOST_PHOTOS things from a request's body."""
        content = b""
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_JSON:
                raise HTTPException(413, f"more than {MOST_JSON} bytes of JSON")
        try:
            asked = json.loads(content)
        except ValueError as error:
            raise HTTPException(400, f"not JSON ({error})") from error
        if not isinstance(asked, list) or len(asked) > MOST_PHOTOS:
            raise HTTPException(400, f"needs a list of at most {MOST_PHOTOS}")
        return asked

    @contextlib.asynccontextmanager
    async def alive(self, _app: Starlette) -> AsyncIterator[None]:
        """While it lives, drop now and then what nobody asks for any more."""

        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                await self.work(self.desk.forget_old)

        sweeper = asyncio.create_task(sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            self._pool.shutdown(wait=False, cancel_futures=True)


def download(file: IO[bytes], name: str, headers: dict[str, str] | None = None) -> Response:
    """Answer with a file, from an open one, which is closed afterwards."""
    size = file.seek(0, 2)
    file.seek(0)

    def blocks() -> Iterator[bytes]:
        with file:
            while block := file.read(BLOCK):
                yield block

    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    said = {"Content-Disposition": disposition, "Content-Length": str(size)} | (headers or {})
    return StreamingResponse(blocks(), headers=said, media_type="application/octet-stream")


async def say_why(request: Request, error: Exception) -> Response:
    """Turn an error into an answer of one sentence; what nobody foresaw is told the terminal."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return JSONResponse({"error": str(error)}, status)
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EMFILE, errno.ENFILE):
        why = (error.strerror or str(error)).lower()
        return JSONResponse({"error": f"there is no room for it ({why}); remove some"}, 507)
    if not isinstance(error, ClientDisconnect):
        print_error(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
    return JSONResponse({"error": "that went wrong here; the terminal says why"}, 500)


def make_app(desk: Desk) -> ASGIApp:
    """Make the ASGI application that serves the page and what it asks for."""
    page = PAGE.read_text("utf-8")
    service = Service(desk)

    async def index(_request: Request) -> Response:
        return HTMLResponse(page)

    routes = [
        Route("/", index),
        Route("/api/photos", service.take, methods=["POST"]),
        Route("/api/photos/{key}/{what}", service.look),
        Route("/api/zip", service.zip, methods=["POST"]),
        Route("/api/keep", service.keep, methods=["POST"]),
        Route("/api/forget", service.forget, methods=["POST"]),
    ]
    handlers = dict.fromkeys(
        (*STATUS, OSError, HTTPException, ClientDisconnect, Exception), say_why
    )
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=service.alive)
    return Guard(app, policy_of(page))
