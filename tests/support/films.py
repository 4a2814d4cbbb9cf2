"""Films made in the tests: moving shapes with sound, in any container, codec and pixel format."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition

SOUND_RATE = 48_000  # samples a second
SAMPLES = {"flt": (np.float32, 1.0), "s16": (np.int16, 2.0**15), "s32": (np.int32, 2.0**31)}
MUXERS = {
    ".mkv": "matroska",
    ".mpg": "vob",
    ".m2ts": "mpegts",
    ".ts": "mpegts",
}  # others are named as the suffix


@dataclass
class Film:
    """A film to be made; times are when its frames are shown, in units of the time base."""

    frames: int = 30
    size: tuple[int, int] = (48, 64)  # height, width
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    times: list[int] | None = None
    sound: str = ""
    fields: str = ""
    rotation: int = 0
    aspect: Fraction | None = None
    cut: int = 10**9  # the frame at which another scene begins
    attributes: dict[str, Any] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=lambda: {"g": "12"})
    metadata: dict[str, str] = field(default_factory=dict)


def draw_luma(film: Film, number: int) -> np.ndarray:
    """Return the luma (H, W) uint8 of a frame, different in each: a disc that moves over a slope.

    The first pixels hold the frame's number in 8x8 blocks, black or white, a bit each.
    """
    height, width = film.size
    y, x = np.mgrid[:height, :width]
    turned = number >= film.cut
    slope = 40 + (x if turned else y) * 120 / max(height, width)
    centre = 10 + number % (width - 20), height * 0.6
    disc = np.hypot(x - centre[0], y - centre[1]) < min(height, width) / 5
    luma = np.where(disc, 70 if turned else 190, slope).astype(np.uint8)
    for bit in range(width // 8):
        luma[:8, bit * 8 : bit * 8 + 8] = 220 if number >> bit & 1 else 30
    return luma


def read_number(luma: np.ndarray) -> int:
    """Return the number of a frame of `draw_luma`, of its luma (H, W)."""
    blocks = luma[2:6, : luma.shape[1] // 8 * 8].reshape(4, -1, 8).mean(axis=(0, 2))
    return sum(1 << bit for bit, level in enumerate(blocks) if level > 125)


def draw_frame(film: Film, number: int) -> av.VideoFrame:
    """Return a frame in the film's pixel format, its chroma not quite neutral."""
    luma = draw_luma(film, number)
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], film.pixel_format)
    for n, plane in enumerate(frame.planes):
        bits = frame.format.components[n].bits
        kind: Any = np.uint8 if bits == 8 else np.uint16
        view = np.frombuffer(memoryview(plane), kind).reshape(
            -1, plane.line_size // np.dtype(kind).itemsize
        )
        if n:
            view[:] = 140 << (bits - 8)
        else:
            values = luma.astype(kind) << (bits - 8)
            view[: luma.shape[0], : luma.shape[1]] = values + (number % 3 if bits > 8 else 0)
    return frame


def make_film(path: Path, film: Film) -> Path:
    """Write a film; return its path."""
    muxer = MUXERS.get(path.suffix, path.suffix[1:])
    time_base = film.time_base or 1 / film.rate
    with av.open(str(path), "w", format=muxer) as container:
        container.metadata.update(film.metadata)
        video: Any = container.add_stream(film.codec, rate=film.rate, options=dict(film.options))
        video.height, video.width = film.size
        video.pix_fmt = film.pixel_format
        video.codec_context.time_base = video.time_base = time_base
        if film.aspect:
            video.codec_context.sample_aspect_ratio = film.aspect
        for name, value in film.attributes.items():
            setattr(video.codec_context, name, value)
        if film.rotation:
            video.set_display_rotation(film.rotation)
        marker = None
        if film.fields:
            video.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            marker = av.filter.Graph()
            source = marker.add_buffer(
                width=film.size[1],
                height=film.size[0],
                format=av.VideoFormat(film.pixel_format),
                time_base=time_base,
            )
            mark = marker.add("setparams", f"field_mode={film.fields}")
            marker.link_nodes(source, mark, marker.add("buffersink")).configure()
        sound = container.add_stream(film.sound, rate=SOUND_RATE) if film.sound else None
        container.start_encoding()
        if sound:
            write_sound(container, sound, film.frames / film.rate)
        for number in range(film.frames):
            frame = draw_frame(film, number)
            frame.pts = film.times[number] if film.times else number
            frame.time_base = time_base
            if marker:
                marker.vpush(frame)
                frame = marker.vpull()
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def write_sound(container: Any, stream: Any, seconds: Fraction) -> None:
    """Write a tone as long as the film."""
    form = stream.codec_context.format.name
    for n in range(0, round(seconds * SOUND_RATE), 1024):
        tone = np.sin(np.arange(n, n + 1024) / 20) * 0.3
        kind, full = SAMPLES[form.removesuffix("p")]
        values = (tone * full).astype(kind)
        planes = np.stack((values, values))
        array = planes if form.endswith("p") else planes.T.reshape(1, -1).copy()
        frame = av.AudioFrame.from_ndarray(array, form, "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, n, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read_frames(path: Path) -> list[av.VideoFrame]:
    """Return all frames of a film."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def luma(frame: av.VideoFrame) -> np.ndarray:
    """Return a frame's first plane (H, W), uint8 or uint16."""
    plane = frame.planes[0]
    kind: Any = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    row = plane.line_size // np.dtype(kind).itemsize
    return np.frombuffer(memoryview(plane), kind).reshape(-1, row)[: frame.height, : frame.width]


def chroma(frame: av.VideoFrame) -> np.ndarray:
    """Return a frame's chroma planes (2, h, w)."""
    planes = []
    for plane in frame.planes[1:3]:
        kind: Any = np.uint8 if frame.format.components[1].bits == 8 else np.uint16
        row = plane.line_size // np.dtype(kind).itemsize
        planes.append(
            np.frombuffer(memoryview(plane), kind).reshape(-1, row)[: plane.height, : plane.width]
        )
    return np.stack(planes)


def packets_of(path: Path, kind: str) -> list[bytes]:
    """Return the data of the packets of all streams of a kind: audio, subtitle."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        packets = container.demux(streams) if streams else ()
        return [bytes(packet) for packet in packets if packet.size]


def packet_times(path: Path, kind: str) -> list[float]:
    """Return the times of the packets of all streams of a kind, in seconds."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [float(each.pts * each.time_base) for each in container.demux(streams) if each.size]  # type: ignore[operator]


def frame_times(path: Path) -> list[Fraction]:
    """Return when the frames are shown, in seconds."""
    frames: list[Any] = read_frames(path)
    return [frame.pts * frame.time_base for frame in frames]


def copy_film(
    source: Path, path: Path, cover: bytes = b"", later: float = 0, **metadata: str
) -> Path:
    """Write a film with two chapters, metadata and a cover, a PNG; return its path.

    Args:
        source: a film without B-frames.
        path: of the copy.
        cover: the file's content; QuickTime has none.
        later: by how many seconds it begins later.
        metadata: of the container.
    """
    unit = Fraction(1, 1000)
    with av.open(str(source)) as before, av.open(str(path), "w") as after:
        streams = [after.add_stream_from_template(each, opaque=True) for each in before.streams]
        after.metadata.update(metadata)
        titles = ({"id": n, "start": n * 300, "end": n * 300 + 300} for n in range(2))
        after.set_chapters(
            [{**each, "time_base": unit, "metadata": {"title": "Part"}} for each in titles]  # type: ignore[typeddict-item]
        )
        picture = None
        if cover and path.suffix == ".mkv":
            after.add_attachment("cover.png", "image/png", cover)
        elif cover and path.suffix != ".mov":
            picture = after.add_mux_stream("png", width=32, height=32)
            picture.disposition = Disposition.attached_pic
        for packet in before.demux():
            if packet.pts is not None and packet.dts is not None:
                ticks = round(later / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = streams[packet.stream_index]
                after.mux(packet)
        if picture:
            packet = av.Packet(cover)
            packet.pts = packet.dts = 0
            packet.stream, packet.time_base = picture, unit
            after.mux(packet)
    return path


def add_subtitles(source: Path, path: Path, texts: list[bytes]) -> Path:
    """Write a film with English subtitles, half a second each, and a chapter; return its path."""
    unit = Fraction(1, 1000)
    with av.open(str(source)) as before, av.open(str(path), "w") as after:
        streams = [after.add_stream_from_template(each, opaque=True) for each in before.streams]
        subtitles = after.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
        subtitles.time_base = unit
        subtitles.metadata["language"] = "eng"
        chapter = {"id": 1, "start": 0, "end": 500, "time_base": unit}
        after.set_chapters([{**chapter, "metadata": {"title": "One"}}])  # type: ignore[typeddict-item]
        for n, text in enumerate(texts):
            packet = av.Packet(text)
            packet.pts = packet.dts = n * 500
            packet.duration, packet.time_base, packet.stream = 400, unit, subtitles
            after.mux(packet)
        for packet in before.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                after.mux(packet)
    return path
