"""What a film is: size, times, colour tags, fields and rotation, found in its first frames."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colourizer.colour.space import BT601, BT709, BT2020, YcbcrCoding
from colourizer.film.container import FilmError
from colourizer.runtime.cli import one_line
from colourizer.runtime.errors import reason_of

PROBED_FRAMES = 12  # of which one that is interlaced makes an interlaced film
MAX_ERRORS = 100  # of reading; then the film is given up
# A film is one file: playlists, which name others, are not followed.
SAFE_INPUT = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv",
}
HD_ROWS = 720  # of so many rows and more, a film without a tag is coded as BT.709 says
UNKNOWN_RATE = Fraction(25)  # frames a second, where the film does not tell
MAX_RATE = 1000  # frames a second; more is a container's guess
# Numbers of ITU-T H.273, as FFmpeg has them: ranges, and the matrices that have luma weights.
UNSPECIFIED, FULL_RANGE = 0, 2
NO_MATRIX, RGB = 2, 0
CODING_OF_MATRIX = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 7: BT709, 9: BT2020, 10: BT2020}
# Of these codecs grey frames have video's range if no tag says otherwise; of others the full one.
VIDEO_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg2video", "mpeg4")
FIELD_ORDERS = {"tff": 2, "bff": 3}  # FFmpeg's


@dataclass(frozen=True)
class ColourTags:
    """A film's colour tags, numbers of ITU-T H.273; 0 for range and 2 for others: unspecified."""

    colour_range: int
    primaries: int
    transfer: int
    matrix: int


@dataclass(frozen=True)
class FilmInfo:
    """What a film is.

    width, height: of a frame as it is stored, in pixels.
    bits: of a luma value.
    rate: frames a second, on average.
    time_base: the unit of time stamps, in seconds.
    aspect: of a pixel, width / height; None if it is not told.
    tags: to be written again.
    coding: how its frames are coded as YCbCr.
    fields: "" for progressive frames; "tff" or "bff" for interlaced ones, by the first field.
    matrix: the nine numbers of the display matrix; none without one.
    quarter_turns: counterclockwise, that make a frame upright.
    mirrored: whether it is shown with left and right exchanged after these.
    frames: how many, if that is known; 0 if not. Often a guess.
    not_kept: what its frames have besides, that is not written.
    """

    width: int
    height: int
    bits: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction | None
    tags: ColourTags
    coding: YcbcrCoding
    fields: str
    matrix: tuple[int, ...]
    quarter_turns: int
    mirrored: bool
    frames: int
    not_kept: tuple[str, ...]

    @property
    def upright_size(self) -> tuple[int, int]:
        """The (height, width) of an upright frame in pixels."""
        sides = self.height, self.width
        return sides[::-1] if self.quarter_turns % 2 else sides

    def turn_upright(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture (H, W) as it is shown, of one as it is stored."""
        turned = np.rot90(picture, self.quarter_turns)
        return turned[:, ::-1] if self.mirrored else turned


def video_stream(container: "av.container.InputContainer") -> VideoStream:
    """Return the film's pictures: the first video stream that is not a cover.

    Raises:
        FilmError: there are none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context:
            return stream
    raise FilmError("has no pictures that can be decoded, only sound or other data")


def open_film(path: Path) -> "av.container.InputContainer":
    """Open a film to read.

    Raises:
        FilmError: it is none, or is damaged.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise FilmError("not a file")
    try:
        return av.open(f"file:{path}", options=dict(SAFE_INPUT), metadata_errors="replace")
    except av.FFmpegError as error:
        raise FilmError(f"cannot be read as a film ({say(error)})") from error
    except OSError as error:
        raise FilmError(f"cannot be read ({reason_of(error)})") from error


def say(error: BaseException, in_detail: bool = False) -> str:
    """Return what FFmpeg says of an error; in detail with the last line that it logged."""
    said = reason_of(error).lower()
    logged = getattr(error, "log", None)
    detail = logged[2] if logged and isinstance(logged[2], str) else ""
    return one_line(f"{said}: {detail}" if detail and in_detail else said)


def probe_film(path: Path) -> FilmInfo:
    """Decode the first frames of a film and return what it is.

    Raises:
        FilmError: it cannot be read, or no frame of it decoded.
    """
    with open_film(path) as container:
        stream = video_stream(container)
        frames: list[VideoFrame] = []
        packets, errors = container.demux(stream), 0
        while len(frames) < PROBED_FRAMES and errors < MAX_ERRORS:
            try:  # what is broken is counted when the film is read
                if (packet := next(packets, None)) is None:
                    break
            except av.FFmpegError:
                packets, errors = container.demux(stream), errors + 1
                continue
            with suppress(av.FFmpegError):
                frames += packet.decode()
        if not frames:
            raise FilmError("has no frames that can be decoded")
        return describe_film(container, stream, frames)


def describe_film(
    container: "av.container.InputContainer", stream: VideoStream, frames: list[VideoFrame]
) -> FilmInfo:
    """Return what a film is, of its first frames, at least one."""
    first = frames[0]
    beside: Any = first.side_data  # PyAV's stubs are wrong here
    side_data = next((each for each in beside if each.type.name == "DISPLAYMATRIX"), None)
    numbers = memoryview(bytes(side_data)).cast("i")[:9] if side_data else ()
    turns, mirrored = read_orientation(numbers)
    rate = stream.average_rate or stream.guessed_rate or UNKNOWN_RATE
    if not 0 < rate <= MAX_RATE:
        rate = UNKNOWN_RATE
    time_base = stream.time_base or 1 / rate
    seconds = 0.0
    if stream.duration:
        seconds = float(stream.duration * time_base)
    elif container.duration:
        seconds = container.duration / av.time_base
    tags, coding = describe_colours(stream, first)
    interlaced = next((frame for frame in frames if frame.interlaced_frame), None)
    fields = ""
    if interlaced:
        fields = "tff" if is_top_field_first(interlaced) else "bff"
    aspect = stream.sample_aspect_ratio
    return FilmInfo(
        width=first.width,
        height=first.height,
        bits=max(component.bits for component in first.format.components),
        rate=Fraction(rate).limit_denominator(100_000),
        time_base=time_base,
        aspect=aspect if aspect and aspect > 0 else None,
        tags=tags,
        coding=coding,
        fields=fields,
        matrix=tuple(numbers),
        quarter_turns=turns,
        mirrored=mirrored,
        frames=stream.frames or round(seconds * float(rate)),
        not_kept=tuple(list_not_kept(stream, frames)),
    )


def list_not_kept(stream: VideoStream, frames: list[VideoFrame]) -> Iterator[str]:
    """Yield the names of what frames have besides, that is not written."""
    is_alpha = any(component.is_alpha for component in frames[0].format.components)
    if is_alpha or stream.metadata.get("alpha_mode") == "1":
        yield "alpha channel"
    beside: Any = [each for frame in frames for each in frame.side_data]
    if any(each.type.name == "A53_CC" for each in beside):
        yield "closed captions"


def read_orientation(matrix: Sequence[int]) -> tuple[int, bool]:
    """Return `quarter_turns` and `mirrored` of FilmInfo; matrix: the display matrix, or none."""
    if not matrix:
        return 0, False
    a, b, _, c, d = matrix[:5]
    mirrored = a * d < b * c
    return round(math.atan2(-b, -a if mirrored else a) / (math.pi / 2)) % 4, mirrored


def describe_colours(stream: VideoStream, frame: VideoFrame) -> tuple[ColourTags, YcbcrCoding]:
    """Return a film's colour tags, and how its luma and chroma are coded."""
    name, matrix, colour_range = frame.format.name, frame.colorspace, frame.color_range
    if name.startswith("yuvj"):
        colour_range = FULL_RANGE
    elif name.startswith("gray") and colour_range == UNSPECIFIED:
        is_video = stream.codec_context.codec.canonical_name in VIDEO_CODECS
        colour_range = UNSPECIFIED if is_video else FULL_RANGE
    elif frame.format.is_rgb or frame.format.has_palette:  # as it is converted in planes.py
        colour_range, matrix = 1, RGB
    if matrix != NO_MATRIX and matrix not in CODING_OF_MATRIX:  # chroma is not coded so
        matrix = 1 if frame.height >= HD_ROWS else 6
    guessed = BT709 if frame.height >= HD_ROWS else BT601
    coding = CODING_OF_MATRIX.get(matrix, guessed)
    if colour_range == FULL_RANGE:
        coding = coding.in_full_range()
    tags = ColourTags(colour_range, frame.color_primaries, frame.color_trc, matrix)
    return tags, coding


def is_top_field_first(frame: VideoFrame) -> bool:
    """Return whether the top field of an interlaced frame is the earlier one."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    chosen = graph.add("select", "eq(interlace_type,TOPFIRST)")
    sink = graph.add("buffersink")
    graph.link_nodes(source, chosen, sink).configure()
    graph.vpush(frame)
    try:
        graph.vpull()
    except av.FFmpegError:  # nothing came through
        return False
    return True
