"""The server: its routes, and what stands between them and whoever asks."""

from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from colourizer.app.access import AccessMiddleware, content_security_policy
from colourizer.app.answers import HANDLED, error_answer
from colourizer.app.handlers import Handlers, ServerLimits
from colourizer.app.photo_store import PhotoStore
from colourizer.app.senders import timed_protocol

PAGE = Path(__file__).with_name("page.html")
DEFAULT_LIMITS = ServerLimits()
SHUTDOWN_SECONDS = 2  # that pending responses have to end


def make_app(store: PhotoStore, token: str, limits: ServerLimits = DEFAULT_LIMITS) -> ASGIApp:
    """Return the ASGI application that serves the page and its requests.

    Args:
        store: where photographs are kept.
        token: the secret that the page's address holds, ?token=...
        limits: how much is done at the same time.
    """
    page = PAGE.read_text("utf-8")
    handlers = Handlers(store, limits)

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
    app = Starlette(
        routes=routes,
        exception_handlers=dict.fromkeys(HANDLED, error_answer),
        lifespan=handlers.lifespan,
    )
    return AccessMiddleware(app, token, content_security_policy(page))


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
