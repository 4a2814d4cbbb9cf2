"""Encoders of video: their settings, of which the same ones make the same headers."""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colourizer.film.container import (
    ANOTHER_CODEC,
    OPTIONS_OF_CODEC,
    QUICKTIME,
    FilmError,
    FilmTarget,
)
from colourizer.film.planes import MAX_BITS
from colourizer.film.probe import FIELD_ORDERS, ColourTags, FilmInfo, say

CELL_OF = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}  # pixels that share one chroma
EVEN_ONLY = ("h264", "hevc")  # codecs that halve chroma of even sides only
MUXERS_WITHOUT_ORDER = ("avi",)  # store one time for each frame: no B-frames
PROFILE = {"color_primaries": "primaries", "color_trc": "transfer", "colorspace": "matrix"}


@dataclass(frozen=True)
class VideoSettings:
    """How video is encoded.

    width, height: of a frame, in pixels.
    pixel_format: FFmpeg's name; planar YCbCr.
    bits: of a value, 8 or 10.
    rate: frames a second.
    fields: "", "tff" or "bff", as in FilmInfo.
    """

    target: FilmTarget
    width: int
    height: int
    pixel_format: str
    bits: int
    rate: Fraction
    aspect: Fraction | None
    tags: ColourTags
    fields: str

    @property
    def cell(self) -> tuple[int, int]:
        """The (height, width) in pixels of what shares one chroma."""
        return CELL_OF[self.pixel_format.removeprefix("yuv")[:3].removeprefix("j")]


def find_encoder(name: str) -> av.Codec:
    """Return an encoder of video.

    Raises:
        FilmError: there is none of that name.
    """
    try:
        codec = av.Codec(name, "w")
    except ValueError:
        raise FilmError(f"{name}: no encoder has that name") from None
    if codec.type != "video" or not codec.video_formats:
        raise FilmError(f"{name}: is no encoder of video")
    return codec


def choose_settings(info: FilmInfo, target: FilmTarget) -> VideoSettings:
    """Return how a film is encoded: its own size, rate, depth, fields and tags.

    Chroma is halved both ways, as nearly all players expect, where the codec can do so.

    Raises:
        FilmError: the encoder does not exist, or has no fitting pixel format.
    """
    codec = find_encoder(target.codec)
    known = {form.name for form in codec.video_formats or ()}
    odd = info.width % 2 or info.height % (4 if info.fields else 2)
    full_chroma = odd and codec.canonical_name in EVEN_ONLY
    depths = [MAX_BITS, 8] if info.bits > 8 else [8, MAX_BITS]
    for bits in depths:
        for chroma in ("444",) if full_chroma else ("420", "422", "444"):
            for name in (f"yuv{chroma}p", f"yuvj{chroma}p"):
                pixel_format = name if bits == 8 else f"{name}10le"
                if pixel_format in known:
                    return VideoSettings(
                        target=target,
                        width=info.width,
                        height=info.height,
                        pixel_format=pixel_format,
                        bits=bits,
                        rate=info.rate,
                        aspect=info.aspect,
                        tags=info.tags,
                        fields=info.fields,
                    )
    raise FilmError(f"{target.codec}: does not encode YCbCr of 8 or 10 bits")


def configure(context: VideoCodecContext, settings: VideoSettings) -> None:
    """Set up an encoder that is not open yet."""
    context.width, context.height = settings.width, settings.height
    context.pix_fmt = settings.pixel_format
    context.framerate, context.time_base = settings.rate, 1 / settings.rate
    if settings.aspect:
        context.sample_aspect_ratio = settings.aspect
    context.color_range = settings.tags.colour_range
    context.color_primaries = settings.tags.primaries
    context.color_trc = settings.tags.transfer
    context.colorspace = settings.tags.matrix
    if settings.target.muxer in MUXERS_WITHOUT_ORDER:
        context.max_b_frames = 0
    if settings.target.muxer in (*QUICKTIME, "matroska", "webm", "flv"):
        context.flags |= Flags.global_header
    if settings.fields:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = FIELD_ORDERS[settings.fields]
    context.options = dict(OPTIONS_OF_CODEC.get(settings.target.codec, {}))
    if settings.target.codec == "libx264" and settings.fields == "bff":
        context.options["x264-params"] = "bff=1"  # else it is set up again at the first frame


def open_encoder(settings: VideoSettings) -> VideoCodecContext:
    """Return an open encoder.

    Raises:
        FilmError: it does not take these settings.
    """
    context = cast(VideoCodecContext, av.CodecContext.create(settings.target.codec, "w"))
    configure(context, settings)
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        what = f"{settings.target.codec} does not encode such a film"
        raise FilmError(f"{what} ({say(error, in_detail=True)})", ANOTHER_CODEC) from error
    return context


def add_video_stream(container: OutputContainer, settings: VideoSettings) -> VideoStream:
    """Add a stream for packets that encoders of the same settings have made.

    Raises:
        FilmError: the container does not take that codec.
    """
    try:
        stream = container.add_stream(settings.target.codec, rate=settings.rate)
    except ValueError as error:
        what = f"{settings.target.muxer} cannot hold {settings.target.codec}"
        raise FilmError(what) from error
    video = cast(VideoStream, stream)
    configure(video.codec_context, settings)
    is_hevc = video.codec_context.codec.canonical_name == "hevc"
    if is_hevc and settings.target.muxer in QUICKTIME:
        video.codec_context.codec_tag = "hvc1"  # without it some players show nothing
    return video


class FieldMarker:
    """Marks frames as progressive, or as interlaced with one field first, for the encoder."""

    def __init__(self, settings: VideoSettings) -> None:
        self._graph: Graph | None = None
        if settings.fields:
            graph = Graph()
            source = graph.add_buffer(
                width=settings.width,
                height=settings.height,
                format=av.VideoFormat(settings.pixel_format),
                time_base=1 / settings.rate,
            )
            marker = graph.add("setparams", f"field_mode={settings.fields}")
            graph.link_nodes(source, marker, graph.add("buffersink")).configure()
            self._graph = graph

    def mark(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame with its mark."""
        if not self._graph:
            return frame
        self._graph.vpush(frame)
        return self._graph.vpull()
