"""Coloured frames of a film -> encoded segments on disk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.video.frame import VideoFrame

from colourizer.film.container import FilmError
from colourizer.film.encode import VideoSettings, open_encoder
from colourizer.film.pictures import ColouredFrame
from colourizer.film.planes import chroma_planes, fit_bits, make_frame
from colourizer.film.probe import FilmInfo
from colourizer.film.read import FilmReader
from colourizer.film.segments import Segment, SegmentStore, write_packet
from colourizer.runtime.interrupt import Interrupt, Stopped


@dataclass(frozen=True)
class Video:
    """One of the videos that are made of a film.

    path: where it will be.
    settings: of its encoder.
    make: returns its frame for a coloured frame of the film.
    """

    path: Path
    settings: VideoSettings
    make: Callable[[VideoFrame], VideoFrame]


class SegmentEncoder:
    """Encodes the frames of one segment into its files, with an encoder for each video."""

    def __init__(self, store: SegmentStore, videos: list[Video]) -> None:
        self._store = store
        self._videos = videos
        self._encoders = [open_encoder(video.settings) for video in videos]
        self._files = store.open_files()
        self._numbers: list[list[int]] = [[] for _ in videos]  # of packets, as they came
        self._pts: list[int] = []

    def add(self, item: ColouredFrame, frame: VideoFrame) -> None:
        """Encode a frame of the film."""
        for n, video in enumerate(self._videos):
            made = video.make(frame)
            made.pts, made.time_base = len(self._pts), 1 / video.settings.rate
            self._encode(n, made)
        self._pts.append(item.pts)
        self._last = item

    def finish(self, state: dict[str, Any] | None, damaged: int | None = None) -> None:
        """Write what the encoders still hold; the segment is whole then.

        Args:
            state: of the colours after it; None after the film's last segment.
            damaged: frames that are damaged up to its end, if it is the last; else up to its last
                frame.

        Raises:
            FilmError: an encoder has lost frames.
        """
        for n, video in enumerate(self._videos):
            self._encode(n, None)
            if sorted(self._numbers[n]) != list(range(len(self._pts))):
                made, name = len(self._numbers[n]), video.settings.target.codec
                raise FilmError(f"{name} made {made} frames of {len(self._pts)}")
        delays = [max(n - number for n, number in enumerate(each)) for each in self._numbers]
        last = self._last
        damaged = last.damaged if damaged is None else damaged
        segment = Segment(self._pts, last.duration, delays, last.checksum, damaged)
        self._store.finish(self._files, segment, state)

    def close(self) -> None:
        """Close the files, also of a segment that is not whole."""
        for file in self._files:
            file.close()

    def _encode(self, n: int, frame: VideoFrame | None) -> None:
        packets = self._encoders[n].encode(frame)
        self._numbers[n] += [write_packet(self._files[n], packet) for packet in packets]


def encode_frames(
    frames: Iterable[ColouredFrame],
    info: FilmInfo,
    settings: VideoSettings,
    videos: list[Video],
    store: SegmentStore,
    reader: FilmReader,
    stop: Interrupt,
) -> None:
    """Encode a film's frames into segments.

    Args:
        frames: those with a state each begin a segment.
        info: of the film.
        settings: of the film's frames, of which the videos make theirs.
        videos: what is made of the film.
        store: the segments.
        reader: counts what is damaged.
        stop: once it has an exit code, the segment at hand is given up.

    Raises:
        FilmError: it cannot be encoded.
        Stopped: the run ends.
    """
    encoder: SegmentEncoder | None = None
    try:
        for item in frames:
            if stop.exit_code:
                raise Stopped
            if item.state is not None:
                if encoder:
                    encoder.finish(item.state)
                encoder = SegmentEncoder(store, videos)
            assert encoder, "the first frame begins a segment"
            chroma = chroma_planes(item.greys, item.ab, info.coding, settings.bits)
            luma = fit_bits(item.luma, settings.bits)
            encoder.add(item, make_frame(luma, chroma, settings.pixel_format))
        if encoder:
            encoder.finish(None, reader.damaged)
    finally:
        if encoder:
            encoder.close()
