"""A film's frames, decoded in their order, each once, past what is damaged."""

import heapq
import itertools
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colourizer.film.planes import view_plane
from colourizer.film.probe import MAX_ERRORS, FilmInfo, open_film, video_stream

CHECKED_ROW = 8  # every eighth is in the checksum
WITHOUT_TIMES = ("avi", "h264", "hevc", "m4v", "mpegvideo")  # store no presentation times


class TimedFrame(NamedTuple):
    """A decoded frame.

    pts, duration: when it is shown and for how long, in units of the film's time base.
    damaged: how many packets could not be decoded, and frames are damaged, up to it.
    """

    pts: int
    duration: int
    frame: VideoFrame
    damaged: int


class Position(NamedTuple):
    """A place in a film, after some frame.

    frames: how many come before it.
    start: the time of a frame some seconds before it.
    pts, checksum: of the last frame before it.
    """

    frames: int
    start: int
    pts: int
    checksum: int


def luma_checksum(frame: VideoFrame) -> int:
    """Return a checksum of some of a frame's rows, by which it is recognized."""
    return zlib.crc32(view_plane(frame.planes[0], 8)[::CHECKED_ROW].tobytes())


class FilmReader:
    """Decodes a film.

    damaged: how many packets could not be decoded, and frames are damaged, so far.
    """

    def __init__(self, path: Path, info: FilmInfo, damaged: int = 0) -> None:
        self.damaged = damaged
        self._path = path
        self._info = info

    def frames(self, after: Position | None = None) -> Iterator[TimedFrame]:
        """Yield the film's frames.

        Args:
            after: where to go on; None is the beginning.

        Raises:
            FilmError: the file cannot be opened.
        """
        if after is None:
            yield from self._decode(None)
            return
        rest: Iterator[TimedFrame] | None = self._seek(after)
        if rest is None:  # the container cannot be searched exactly
            self.damaged = 0
            rest = itertools.islice(self._decode(None), after.frames, None)
        yield from rest

    def _seek(self, after: Position) -> Iterator[TimedFrame] | None:
        """Return the frames after a place, or None if it was not found."""
        frames, damaged = self._decode(after.start), self.damaged
        for timed in frames:
            if timed.pts >= after.pts:
                if timed.pts == after.pts and luma_checksum(timed.frame) == after.checksum:
                    self.damaged = damaged  # what came before was counted
                    return frames
                break
        frames.close()
        return None

    def _decode(self, start: int | None) -> Generator[TimedFrame, None, None]:
        """Yield frames, from a key frame at or before a time on."""
        step = max(1, round(1 / (self._info.rate * self._info.time_base)))
        last: int | None = None
        with open_film(self._path) as container:
            stream = video_stream(container)
            stream.thread_type = "AUTO"
            if start is not None:
                try:
                    container.seek(start, stream=stream)
                except av.FFmpegError:
                    return
            stored = container.format.name not in WITHOUT_TIMES
            times: list[int] = []  # a heap: frames are shown in the order of these
            shift: int | None = None  # FFmpeg begins with the delay of B-frames
            for packet in self._packets(container, stream):
                if not stored and packet and packet.dts is not None and packet.size:
                    shown = packet.dts if packet.pts is None else packet.pts
                    shift = packet.dts - shown if shift is None else shift
                    heapq.heappush(times, shown + shift)
                for frame in self._frames_of(stream, packet):
                    pts = frame.pts
                    if times:
                        pts = heapq.heappop(times)
                    duration = frame.duration or step
                    if pts is None or (last is not None and pts <= last):
                        pts = 0 if last is None else last + step
                    last = pts
                    yield TimedFrame(pts, duration, frame, self.damaged)

    def _packets(
        self, container: "av.container.InputContainer", stream: VideoStream
    ) -> Iterator[Packet | None]:
        """Yield packets past errors of reading; the last, or None, flushes the decoder."""
        errors = 0
        while errors < MAX_ERRORS:
            try:
                for packet in container.demux(stream):
                    errors = 0
                    yield packet
                return
            except av.FFmpegError:
                errors += 1
        self.damaged += 1
        yield None

    def _frames_of(self, stream: VideoStream, packet: Packet | None) -> list[VideoFrame]:
        """Return the frames that a packet completes; count what is damaged."""
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames
