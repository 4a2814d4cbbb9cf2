"""Answers that are no pictures: JSON, files to be downloaded, errors in words."""

import errno
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from colourizer.app.decoding_weight import PhotoTooLargeError
from colourizer.app.photo_store import NotFoundError, StoreFullError
from colourizer.app.shown_pictures import NoConfidenceError
from colourizer.inference.hints import HintError
from colourizer.photos.errors import PhotoError
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import print_error
from colourizer.runtime.errors import reason_of

CHUNK_BYTES = 1 << 20  # of a file that is sent
STATUS_CODES = {
    PhotoError: 422,
    PhotoTooLargeError: 413,
    StoreFullError: 507,
    NotFoundError: 404,
    NoConfidenceError: 404,
    HintError: 400,
    ClientDisconnect: 400,  # which nobody reads
}
HANDLED = (*STATUS_CODES, OSError, MemoryError, HTTPException, Exception)


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return JSON, in ASCII: a lone surrogate that was asked for has no other encoding."""
    return Response(json.dumps(content), status, headers, "application/json")


def file_answer(file: BinaryIO, name: str, extra_headers: dict[str, str] | None = None) -> Response:
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


async def error_answer(request: Request, error: Exception) -> Response:
    """Return an error as JSON, {"error": a sentence}; an unforeseen one is printed to stderr."""
    if isinstance(error, HTTPException):
        return json_answer({"error": error.detail}, error.status_code, error.headers)
    for kind, status in STATUS_CODES.items():
        if isinstance(error, kind):
            return json_answer({"error": str(error)}, status)
    if isinstance(error, MemoryError):
        return json_answer({"error": "there is not enough memory for it now"}, 507)
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EMFILE, errno.ENFILE):
        what = f"there is no room for it ({reason_of(error)}); remove some"
        return json_answer({"error": what}, 507)
    print_error(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
    return json_answer({"error": "that went wrong here; the terminal says why"}, 500)
