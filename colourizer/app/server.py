"""The server: its routes, and what stands between them and whoever asks."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from colourizer.app.access import AccessMiddleware
from colourizer.app.answers import HANDLED, error_answer
from colourizer.app.handlers import Handlers, ServerLimits
from colourizer.app.photo_store import PhotoStore
from colourizer.app.senders import timed_protocol

PAGE = Path(__file__).with_name("page")
MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".jpg": "image/jpeg",
}
DEFAULT_LIMITS = ServerLimits()
SHUTDOWN_SECONDS = 2  # that pending responses have to end


def make_app(store: PhotoStore, token: str, limits: ServerLimits = DEFAULT_LIMITS) -> ASGIApp:
    """Return the ASGI application that serves the page and its requests.

    Args:
        store: where photographs are kept.
        token: the secret that the page's address holds, ?token=...
        limits: how much is done at the same time.
    """
    handlers = Handlers(store, limits)
    routes = [
        Route("/api/photos", handlers.upload, methods=["POST"]),
        Route("/api/photos/{key}/carried", handlers.carry_hints),
        Route("/api/photos/{key}/{what}", handlers.get_photo),
        Route("/api/albums", handlers.add_album, methods=["POST"]),
        Route("/api/references", handlers.upload_reference, methods=["POST"]),
        Route("/api/zip", handlers.download_zip, methods=["POST"]),
        Route("/api/keep", handlers.touch, methods=["POST"]),
        Route("/api/forget", handlers.remove, methods=["POST"]),
        *page_routes(),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers=dict.fromkeys(HANDLED, error_answer),
        lifespan=handlers.lifespan,
    )
    return AccessMiddleware(app, token)


def page_routes() -> list[Route]:
    """Return a route for each file of the page, which is read now; "/" is index.html."""
    routes = []
    for file in sorted(path for path in PAGE.rglob("*") if path.suffix in MEDIA_TYPES):
        name = file.relative_to(PAGE).as_posix().removesuffix("index.html")
        routes.append(Route(f"/{name}", _page_file(file)))
    return routes


def _page_file(file: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that answers with a file of the page."""
    content, media_type = file.read_bytes(), MEDIA_TYPES[file.suffix]

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer


def make_server(app: ASGIApp, limits: ServerLimits = DEFAULT_LIMITS) -> uvicorn.Server:
    """Return the HTTP server of an application, to be run with a listening socket."""
    config = uvicorn.Config(
        app,
        http=timed_protocol(limits.senders),
        ws="none",
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)
