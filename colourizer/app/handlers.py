"""Request handlers: what is done at each address of the server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from colourizer.app.answers import file_answer, json_answer
from colourizer.app.expiring_store import ExpiringStore
from colourizer.app.photo_store import PhotoStore, StoredPhoto, temporary_file
from colourizer.app.request_parsing import (
    parse_file_settings,
    parse_key,
    parse_list,
    parse_settings,
    parse_side,
    parse_wishes,
)
from colourizer.app.senders import BodyReceiver, SenderLimits
from colourizer.app.shown_pictures import VIEW_SIDE, PredictedPhoto
from colourizer.app.work_queue import WorkQueue
from colourizer.inference.album import Album
from colourizer.inference.hints import WEAK_MATCH
from colourizer.inference.prediction import Reference
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.process import count_cores

MAX_UPLOAD_BYTES = 256 << 20  # of a photograph's file
MAX_JSON_BYTES = 1 << 20
MAX_REFERENCES = 16  # in memory, 5 MB each
MAX_ALBUMS = 8  # of each photograph 0.3 MB on the disk
REFERENCE_REMOVED = "this reference is not here any more; choose it again"
ALBUM_REMOVED = 'this album is not here any more; switch "Same colours in all" off and on'
SWEEP_SECONDS = 60  # between two removals of expired photographs
JPEG = "image/jpeg"


@dataclass(frozen=True)
class ServerLimits:
    """How much is done at the same time.

    senders: how long others are waited for.
    pending: requests in work or waiting for it, in each queue; others are told to try again.
    """

    senders: SenderLimits = field(default_factory=SenderLimits)
    pending: int = 64


class Handlers:
    """Request handlers, one method for each route.

    There are three queues, so that whoever looks at the page waits neither for uploads nor for
    ZIPs: these two; coloured files, and predictions that are not cached; pictures.
    """

    def __init__(self, store: PhotoStore, limits: ServerLimits) -> None:
        self.store = store
        self._references = ExpiringStore[Reference](MAX_REFERENCES, REFERENCE_REMOVED)
        self._albums = ExpiringStore[Album](MAX_ALBUMS, ALBUM_REMOVED)
        self._parse = partial(
            parse_settings,
            default=store.colourizer.look,
            find_reference=self._references.find,
            find_album=self._albums.find,
        )
        self._stop = Interrupt()  # of comparisons, which may take minutes
        self._bodies = BodyReceiver(limits.senders)
        self._uploads = WorkQueue("upload", count_cores(), limits.pending)
        self._results = WorkQueue("result", count_cores(), limits.pending)
        self._pictures = WorkQueue("picture", count_cores(), limits.pending)

    async def upload(self, request: Request) -> Response:
        """POST api/photos: add a photograph; answer its key, size and defaults."""
        name = unquote(request.headers.get("x-name", ""), errors="replace")
        async with self._received_file(request) as file:
            photo = await self._uploads.run(self.store.add, name, file)
        return json_answer({"id": photo.key, **self._describe(photo)})

    async def upload_reference(self, request: Request) -> Response:
        """POST api/references: add a photograph in colour; answer its key."""
        async with self._received_file(request) as file:
            reference = await self._uploads.run(self.store.study_reference, file)
        return json_answer({"id": self._references.add(reference)})

    async def add_album(self, request: Request) -> Response:
        """POST api/albums: compare photographs; answer the album's key and whom it changes."""
        keys = [parse_key(item) for item in await self._receive_list(request)]
        album = await self._uploads.run(self.store.compare, keys, self._stop)
        changed = [path.name for path in album.sharing()]
        return json_answer({"id": self._albums.add(album), "changed": changed})

    async def carry_hints(self, request: Request) -> Response:
        """GET api/photos/ID/carried: the hints at the same places of others of the album."""
        key, settings = request.path_params["key"], self._parse(request.query_params)
        if settings.album is None:
            raise HTTPException(400, "album: needs one")
        carried = await self._pictures.run(settings.album.carry_hints, Path(key), settings.hints)
        return json_answer(
            [
                {"id": path.name, "x": hint.x, "y": hint.y, "colour": f"#{bytes(hint.rgb).hex()}"}
                for path, hint in carried
            ]
        )

    @contextlib.asynccontextmanager
    async def _received_file(self, request: Request) -> AsyncIterator[BinaryIO]:
        """Receive an uploaded file; it is closed if that, or what is done with it, fails."""
        self._uploads.refuse_if_full()
        file = self.store.create_file()
        try:
            await self._bodies.receive(request, MAX_UPLOAD_BYTES, "file", file.write)
            yield file
        except BaseException:
            file.close()
            raise

    def _describe(self, photo: StoredPhoto) -> dict[str, object]:
        """Return what the page has to know about a photograph."""
        scale = min(1, VIEW_SIDE / max(photo.height, photo.width))
        return {
            "name": photo.name,
            "width": photo.width,
            "height": photo.height,
            "view": [max(1, round(side * scale)) for side in (photo.width, photo.height)],
            "knows": self.store.colourizer.has_likelihoods,
            "vividness": self.store.colourizer.look.vividness,
        }

    async def get_photo(self, request: Request) -> Response:
        """GET api/photos/ID/WHAT: a picture to be shown, the coloured file, or a match."""
        key, what = request.path_params["key"], request.path_params["what"]
        settings = self._parse(request.query_params)
        side = parse_side(request.query_params.get("side", str(VIEW_SIDE)))
        draw = self._pictures.run
        if what == "before":
            drawn = await draw((await self._predicted(key)).draw_before, side)
        elif what == "coloured":
            drawn = await draw((await self._predicted(key)).draw_coloured, side, settings)
        elif what == "confidence":
            drawn = await draw((await self._predicted(key)).draw_confidence, side)
        elif what == "match":
            match = await draw((await self._predicted(key)).match, settings)
            return json_answer({"share": match, "hardly": match is not None and match < WEAK_MATCH})
        elif what == "download":
            target, keep_luma = parse_file_settings(request.query_params)
            file = temporary_file()
            try:
                write = partial(self.store.write, key, settings, file, target, keep_luma)
                name = await self._results.run(write)
            except BaseException:
                file.close()
                raise
            return file_answer(file, Path(name).name)
        else:
            raise HTTPException(404, "there is nothing here")
        return Response(drawn, media_type=JPEG)

    async def _predicted(self, key: str) -> PredictedPhoto:
        """Return a photograph's prediction: at once if it is cached, else decoded again."""
        if predicted := self.store.find_predicted(key):
            return predicted
        return await self._results.run(self.store.predict, key)

    async def download_zip(self, request: Request) -> Response:
        """POST api/zip: the coloured files of several photographs."""
        items = await self._receive_list(request)
        wanted = parse_wishes(items, self._parse)
        target, keep_luma = parse_file_settings(request.query_params)
        file = temporary_file()
        try:
            write = partial(self.store.write_zip, wanted, file, target, keep_luma)
            failed = await self._uploads.run(write)
        except BaseException:
            file.close()
            raise
        return file_answer(file, "colourized.zip", {"X-Failed": str(len(failed))})

    async def touch(self, request: Request) -> Response:
        """POST api/keep: a page that has these photographs, references and albums is open."""
        keys = [parse_key(item) for item in await self._receive_list(request)]
        self.store.touch(keys)
        self._references.touch(keys)
        self._albums.touch(keys)
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """POST api/forget: remove photographs, references and albums."""
        keys = [parse_key(item) for item in await self._receive_list(request)]
        await self._pictures.run(self.store.remove, keys)
        self._references.remove(keys)
        self._albums.remove(keys)
        return Response(status_code=204)

    async def _receive_list(self, request: Request) -> list[object]:
        content = bytearray()
        await self._bodies.receive(request, MAX_JSON_BYTES, "request", content.extend)
        return parse_list(bytes(content))

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Remove expired photographs every SWEEP_SECONDS while the server runs."""

        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                await asyncio.to_thread(self.store.remove_expired)
                self._references.remove_expired()
                self._albums.remove_expired()

        sweeper = asyncio.create_task(sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            self._stop.exit_code = 1
            for queue in (self._uploads, self._results, self._pictures):
                queue.stop()
