"""Segments of video, and the sound and subtitles of the source, joined to a film without loss."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import PyAVCallbackError
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from colourizer.film.container import ANOTHER_CODEC, FilmError, muxer_options
from colourizer.film.encode import VideoSettings, add_video_stream
from colourizer.film.planes import MAX_BITS
from colourizer.film.probe import FilmInfo, open_film, say, video_stream
from colourizer.film.segments import SegmentStore, read_packets

# Metadata of a container that its muxer writes itself, or that is true of the source's video only.
OWN_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
STATISTICS = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "ENCODER")
TRANSPARENCY = ("alpha_mode", "ALPHA_MODE")  # what Matroska says of pictures with an alpha channel
# Layouts of sound of which only the number of channels is stored, which MP4's muxer wants for PCM.
LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}
FRAMED = ("mp3", "ac3")  # sound of which a packet is a frame
PART_SECONDS = 1  # by which times go back where another part begins
MPEG = {"vob": "mpeg"}  # names of a muxer and its demuxer; of others they are the same
EMPTY = b"\0\0"  # a subtitle of MP4 that is shown between others; the muxer writes its own
COPIED = ("audio", "subtitle", "attachment", "video")


@dataclass(frozen=True)
class JoinPlan:
    """What a film is joined of.

    path: where it will be; the name decides on the container's options.
    source: the film that was coloured.
    info: of it.
    settings: of the segments' encoders.
    provenance: what coloured it, for the metadata; None leaves it out.
    is_compared: whether it is the film of --compare, which is upright and has sound only.
    """

    path: Path
    source: Path
    info: FilmInfo
    settings: VideoSettings
    provenance: str | None
    is_compared: bool


def check_join(plan: JoinPlan) -> None:
    """Check that the container takes all that is to be joined, before anything is coloured.

    Raises:
        FilmError: it does not, or the encoder does not take its settings.
    """
    with (
        open_film(plan.source) as before,
        suppress(av.FFmpegError),  # of the end of a film without packets
        open_output(BytesIO(), plan) as after,
    ):
        begin_film(before, after, plan)


def join_film(
    file: BinaryIO, plan: JoinPlan, store: SegmentStore, video: int
) -> tuple[list[str], float]:
    """Write a film of its segments and of what else is in the source.

    Args:
        file: where to write; seekable.
        plan: what is joined.
        store: the segments.
        video: which of the store's videos.

    Returns:
        What was left out, in words; and the time in seconds at which the source's sound and
        subtitles end, 0 without any.

    Raises:
        FilmError: the container does not take a stream.
    """
    with open_film(plan.source) as before, open_output(file, plan) as after:
        stream, copied, left_out = begin_film(before, after, plan)
        pictures = video_packets(store, video, plan.info)
        end = mux_all(after, stream, pictures, before, copied)
    return left_out, end


def open_output(file: BinaryIO, plan: JoinPlan) -> OutputContainer:
    """Return a container that is written to an open file."""
    options = muxer_options(plan.path, plan.info.time_base.denominator)
    return av.open(file, "w", format=plan.settings.target.muxer, container_options=options)


def begin_film(
    before: InputContainer, after: OutputContainer, plan: JoinPlan
) -> tuple[VideoStream, dict[int, Stream], list[str]]:
    """Add all streams and metadata, and write the container's header.

    Returns:
        The video's stream; those that are copied, by the index of the source's; and what is left
        out, in words.

    Raises:
        FilmError: the container does not take a stream.
    """
    pictures = video_stream(before)
    stream = add_video_stream(after, plan.settings)
    stream.time_base = plan.info.time_base
    if plan.info.matrix and not plan.is_compared:
        stream.set_display_matrix(plan.info.matrix)
    copy_metadata(pictures, stream)
    kinds = ("audio",) if plan.is_compared else COPIED
    copied, left_out = add_copied_streams(before, after, pictures, kinds)
    left_out += plan.info.not_kept
    if plan.settings.bits < min(plan.info.bits, MAX_BITS):
        left_out.append(f"bits beyond {plan.settings.bits} ({plan.settings.target.codec} has none)")
    copy_container_metadata(before, after, plan.provenance)
    try:
        after.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        muxer = plan.settings.target.muxer
        what = f"cannot be written as {muxer} ({say(error, in_detail=True)})"
        is_named_so = MPEG.get(muxer, muxer) in before.format.name.split(",")
        hint = ANOTHER_CODEC if is_named_so else f"it is {before.format.long_name}: rename it so"
        raise FilmError(what, hint) from error
    return stream, copied, left_out


def copy_metadata(source: Stream, stream: Stream) -> None:
    """Copy a stream's metadata, without what is not true of the copy, and its disposition."""
    untrue = STATISTICS + TRANSPARENCY
    stream.metadata.update(
        {key: text for key, text in source.metadata.items() if not key.startswith(untrue)}
    )
    stream.disposition = source.disposition


def add_copied_streams(
    before: InputContainer, after: OutputContainer, pictures: VideoStream, kinds: Sequence[str]
) -> tuple[dict[int, Stream], list[str]]:
    """Add a stream for each of the source's that is copied.

    Returns:
        The new streams by the index of the old ones; and what is left out, in words.
    """
    copied: dict[int, Stream] = {}
    left_out = []
    for source in before.streams:
        if source.index == pictures.index:
            continue
        name = source.codec_context.name if source.codec_context else source.type
        is_known = source.codec_context or source.type == "attachment"
        if source.type in kinds and is_known and not is_refused(source, after):
            try:
                stream = add_stream(before, after, source)
            except (av.FFmpegError, ValueError):
                if add_cover(before, after, source):
                    continue
            else:
                copy_metadata(source, stream)
                copied[source.index] = stream
                continue
        if not is_remade(source, before):
            left_out.append(f"{source.type} ({name})" if name != source.type else source.type)
    return copied, left_out


def is_refused(source: Stream, after: OutputContainer) -> bool:
    """Return whether MP4's muxer would fail at the end: PCM without a layout of its channels."""
    if after.format.name != "mp4" or not isinstance(source, AudioStream):
        return False
    name = source.codec_context.layout.name
    is_unknown = name.endswith(" channels") and name not in LAYOUTS
    return is_unknown and source.codec_context.name.startswith("pcm_")


def add_stream(before: InputContainer, after: OutputContainer, source: Stream) -> Stream:
    """Add a stream for the packets of one of the source's."""
    codec = source.codec_context and source.codec_context.codec.canonical_name
    if codec in FRAMED and after.format.name == "avi":
        return add_framed_sound(before, after, source)
    stream = after.add_stream_from_template(source, opaque=True)
    if isinstance(stream, AudioStream) and after.format.name == "mp4":
        context = stream.codec_context
        context.layout = LAYOUTS.get(context.layout.name, context.layout)  # type: ignore[assignment]
    return stream


def add_framed_sound(before: InputContainer, after: OutputContainer, source: Stream) -> Stream:
    """Add a stream to an AVI for packets of which each is a frame of sound.

    FFmpeg reads the length of a frame as that of a block in bytes, and would count such blocks
    when it writes. Matroska has no blocks, so the stream takes the way through one.
    """
    buffer = BytesIO()
    path = Path(before.name.removeprefix("file:"))
    with open_film(path) as again, av.open(buffer, "w", format="matroska") as wrapped:
        packet = next(again.demux(again.streams[source.index]))
        packet.stream = wrapped.add_stream_from_template(packet.stream, opaque=True)
        wrapped.mux(packet)
    buffer.seek(0)
    with av.open(buffer) as without_blocks:
        return after.add_stream_from_template(without_blocks.streams[0], opaque=True)


def add_cover(before: InputContainer, after: OutputContainer, source: Stream) -> bool:
    """Attach a cover, as Matroska has it; return False if the stream is none.

    FFmpeg reads that as a stream of video, but does not write it so.
    """
    name, kind = (source.metadata.get(key) for key in ("filename", "mimetype"))
    if not (name and kind and source.disposition & Disposition.attached_pic):
        return False
    with open_film(Path(before.name.removeprefix("file:"))) as again:
        after.add_attachment(name, kind, bytes(next(again.demux(again.streams[source.index]))))
    return True


def is_remade(source: Stream, before: InputContainer) -> bool:
    """Return whether QuickTime's and MP4's muxer makes a stream itself, of the metadata.

    These are the data streams of a time code and of the titles of chapters.
    """
    is_titles = source.type == "data" and source.name == "bin_data" and bool(before.chapters())
    return is_titles or (source.type == "data" and "timecode" in source.metadata)


def copy_container_metadata(
    before: InputContainer, after: OutputContainer, provenance: str | None
) -> None:
    """Copy title, date, chapters and the like; say in the comment what coloured the film."""
    metadata = {k: text for k, text in before.metadata.items() if k.lower() not in OWN_METADATA}
    if provenance:
        name = next((key for key in metadata if key.lower() == "comment"), "comment")
        said = metadata.get(name)
        metadata[name] = f"{said}; {provenance}" if said else provenance
    after.metadata.update(metadata)
    if chapters := before.chapters():
        after.set_chapters(chapters)


def mux_all(
    after: OutputContainer,
    stream: VideoStream,
    pictures: Iterator[Packet],
    before: InputContainer,
    copied: dict[int, Stream],
) -> float:
    """Write all packets in the order of their times; return when the copied ones end, in seconds.

    Raises:
        FilmError: the container does not take one.
    """
    end = 0.0
    coloured = ((time_of(packet), 0, packet) for packet in pictures)
    others: Iterator[tuple[float, int, Packet]] = (
        (time, 1, packet) for time, packet in copied_packets(before, after, copied)
    )
    for time, is_copied, packet in heapq.merge(coloured, others, key=lambda item: item[0]):
        if is_copied:
            end = max(end, time + float((packet.duration or 0) * packet.time_base))
            packet.stream = copied[packet.stream_index]
        else:
            packet.stream = stream
        try:
            after.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            if not is_copied or isinstance(error, (OSError, PyAVCallbackError)):
                raise
            raise FilmError(f"its {packet.stream.type} cannot be copied ({say(error)})") from error
    return end


def time_of(packet: Packet) -> float:
    """Return when a packet is decoded, in seconds."""
    return float((packet.dts or 0) * packet.time_base)


def copied_packets(
    before: InputContainer, after: OutputContainer, copied: dict[int, Stream]
) -> Iterator[tuple[float, Packet]]:
    """Yield the packets of streams that are copied, past what cannot be read, with their times."""
    streams = [before.streams[index] for index in copied]
    packets = before.demux(streams) if streams else iter(())
    is_lenient = bool(after.format.flags & Flags.ts_nonstrict.value)  # type: ignore[operator]
    last: dict[int, int] = {}  # decoding times
    time, broken = 0.0, False
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            if broken:  # twice without a packet between
                return
            packets, broken = before.demux(streams), True
            continue
        if packet is None:
            return
        if packet.dts is None and packet.pts is None:
            if not packet.size:  # the end of a stream
                continue
            packet.pts = packet.dts = 0  # a cover
        if packet.stream.type == "subtitle" and bytes(packet) == EMPTY:
            continue
        broken = False
        if packet.dts is not None:
            may_repeat = is_lenient or packet.stream.type == "subtitle"
            delay_if_behind(packet, last.get(packet.stream_index), may_repeat)
            last[packet.stream_index] = packet.dts
        stamp = packet.dts if packet.dts is not None else packet.pts
        time = max(time, float((stamp or 0) * packet.time_base))  # merged by it: never less
        yield time, packet


def delay_if_behind(packet: Packet, last: int | None, may_repeat: bool) -> None:
    """Delay a packet that is decoded no later than the last one of its stream; muxers refuse it.

    Such times are in damaged recordings, and where parts were put together.

    Args:
        packet: with a decoding time.
        last: the decoding time of the last one; None if there is none.
        may_repeat: whether two may have the same.
    """
    assert packet.dts is not None
    if last is None or packet.dts > last or (packet.dts == last and may_repeat):
        return
    is_part = (last - packet.dts) * packet.time_base > PART_SECONDS
    later = last - packet.dts + ((packet.duration or 1) if is_part else 1)
    packet.dts += later
    if packet.pts is not None:
        packet.pts += later


def video_packets(store: SegmentStore, video: int, info: FilmInfo) -> Iterator[Packet]:
    """Yield the packets of all segments, with the film's own times.

    Decoding times are presentation times in ascending order, as late as B-frames allow.
    """
    segments = store.segments
    delay = max(segment.delays[video] for segment in segments)
    first = segments[0].pts
    step = max(1, first[1] - first[0] if len(first) > 1 else segments[0].duration)
    earlier = [first[0] + n * step for n in range(-delay, 0)]  # the last ones before a segment
    for n, segment in enumerate(segments):
        times = [*earlier, *segment.pts]
        last = segment.pts[-1] + segment.duration
        ends = [*segment.pts[1:], segments[n + 1].pts[0] if n + 1 < len(segments) else last]
        for k, stored in enumerate(read_packets(store.packets_path(n, video))):
            packet = Packet(stored.data)
            packet.pts, packet.dts = segment.pts[stored.number], times[k]
            packet.duration = ends[stored.number] - packet.pts
            packet.time_base, packet.is_keyframe = info.time_base, stored.is_key
            yield packet
        earlier = times[len(times) - delay :]
