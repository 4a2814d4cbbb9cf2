"""Slow senders and readers: least speeds, and how many of them are waited for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import h11
from starlette.exceptions import HTTPException
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from colourizer.app.work_queue import busy_error


@dataclass(frozen=True)
class SenderLimits:
    """How long others are waited for; beyond it the connection is closed.

    head_seconds: for a request's line and headers, from the connection or the last answer on.
    body_seconds: for the next STEP_BYTES of a body, or for its end.
    read_seconds: for an answer's next STEP_BYTES to be read.
    waited_for: connections that send no whole head or read no answer; one more, and the one that
        has been waited for longest is closed.
    bodies: that are received at the same time; one more, and the slowest gives way to it.
    patience_seconds: for the next STEP_BYTES of a body, before it gives way to others.
    """

    head_seconds: float = 10
    body_seconds: float = 10
    read_seconds: float = 60
    waited_for: int = 64
    bodies: int = 32
    patience_seconds: float = 1


STEP_BYTES = 1 << 16  # that have to come or go in the time that the limits give


class TimedProtocol(H11Protocol):
    """Uvicorn's HTTP protocol with a time limit wherever it waits for the other side.

    What the application waits for, a request's body, `BodyReceiver` limits.
    """

    def __init__(self, *, limits: SenderLimits, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_since = 0.0  # seconds; only while the timer runs
        self._unread = 0  # bytes of answers, when the timer was started

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, and give up the one who has been waited for longest."""
        super().connection_made(transport)
        self._review()
        connections = [c for c in self.connections if isinstance(c, TimedProtocol) and c._timer]
        if len(connections) > self._limits.waited_for:
            min(connections, key=lambda c: c._waiting_since).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what was sent."""
        super().data_received(data)
        self._review()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._review()

    def pause_writing(self) -> None:
        """Begin to wait for the answer to be read."""
        super().pause_writing()
        self._review()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._review()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; where an answer was begun already, close the connection."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def _review(self) -> None:
        """Start the timer if the other side is waited for, stop it if not."""
        idle = self.cycle is None or self.cycle.response_complete
        if not (idle or self.flow.write_paused):
            self._stop_timer()
        elif self._timer is None:
            self._waiting_since = time.monotonic()
            self._start_timer()

    def _start_timer(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        seconds = self._limits.read_seconds if self._unread else self._limits.head_seconds
        self._timer = self.loop.call_later(seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        """Close the connection, unless an answer is being read."""
        read = self._unread - self.transport.get_write_buffer_size()
        if read >= STEP_BYTES or 0 < read == self._unread:
            self._start_timer()
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:  # a part of a head
            self._refuse(408, "the rest of the request did not come in time")
        self.transport.close()
        if self._unread:
            self.transport.abort()

    def _refuse(self, status: int, why: str) -> None:
        """Answer a request that never becomes one."""
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=f"{why}\n".encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")


def timed_protocol(limits: SenderLimits) -> type[asyncio.Protocol]:
    """Return `TimedProtocol` with its limits, for uvicorn's option `http`."""
    return cast(type[asyncio.Protocol], partial(TimedProtocol, limits=limits))


class BodyReceiver:
    """Receives the bodies of requests, not too many at the same time, none too slowly."""

    def __init__(self, limits: SenderLimits) -> None:
        self._limits = limits
        self._latest_step: dict[asyncio.Timeout, float] = {}  # of each body: when, in seconds

    async def receive(
        self, request: Request, most: int, what: str, write: Callable[[bytes], object]
    ) -> None:
        """Receive a request's body.

        Args:
            request: the request.
            most: bytes of the body; what announces more is refused before it is sent.
            what: the body's name in messages.
            write: is called with each piece.

        Raises:
            HTTPException: 408 it comes too slowly, 413 it is too large, 503 too many come already.
            ClientDisconnect: the connection was closed.
        """
        if int(request.headers.get("content-length", 0)) > most:
            raise _too_large(what, most)
        self._make_room()
        now = asyncio.get_running_loop().time
        timeout = asyncio.timeout(self._limits.body_seconds)
        self._latest_step[timeout] = now()
        size = received_at_step = 0
        try:
            async with timeout:
                async for piece in request.stream():
                    size += len(piece)
                    if size > most:
                        raise _too_large(what, most)
                    write(piece)
                    if size >= received_at_step + STEP_BYTES:
                        received_at_step = size
                        self._latest_step[timeout] = now()
                        timeout.reschedule(now() + self._limits.body_seconds)
        except TimeoutError:
            raise HTTPException(408, f"the rest of the {what} did not come in time") from None
        finally:
            self._latest_step.pop(timeout, None)

    def _make_room(self) -> None:
        """Give up the slowest body if no more may be received; 503 if none is slow."""
        if len(self._latest_step) < self._limits.bodies:
            return
        slowest = min(self._latest_step, key=lambda timeout: self._latest_step[timeout])
        now = asyncio.get_running_loop().time()
        if now - self._latest_step[slowest] < self._limits.patience_seconds:
            raise busy_error()
        del self._latest_step[slowest]
        if not slowest.expired():
            slowest.reschedule(now)


def _too_large(what: str, most: int) -> HTTPException:
    return HTTPException(413, f"is too large a {what}: {most >> 20} MB are the most")
