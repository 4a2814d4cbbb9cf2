"""Films' files: which names are films, the container of each, and the codecs it is written with."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePath

from colourizer.runtime.errors import HintedError

# FFmpeg's name of the muxer for each suffix. MPEG programs are written as DVDs have them.
MUXER_OF = {
    **dict.fromkeys((".mp4", ".m4v"), "mp4"),
    **dict.fromkeys((".mpg", ".mpeg", ".vob"), "vob"),
    **dict.fromkeys((".ts", ".mts", ".m2ts", ".m2t"), "mpegts"),
    ".mov": "mov",
    ".mkv": "matroska",
    ".avi": "avi",
    ".webm": "webm",
    ".flv": "flv",
    ".3gp": "3gp",
    ".3g2": "3g2",
}
QUICKTIME = ("mp4", "mov", "3gp", "3g2")  # muxers of QuickTime and what came of it
# H.264 nearly everywhere. WebM has no room for it, and in MPEG programs few players expect it.
DEFAULT_CODEC, CODEC_OF_MUXER = "libx264", {"webm": "libvpx-vp9", "vob": "mpeg2video"}
# Encoders' settings: nearly lossless to the eye.
_BY_QUANTIZER = {"flags": "+qscale", "global_quality": "236"}  # 2, in FFmpeg's units of 1/118
OPTIONS_OF_CODEC = {
    "libx264": {"preset": "medium", "crf": "18"},
    "libx265": {"preset": "medium", "crf": "20", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
    "libsvtav1": {"preset": "8", "crf": "25"},
    **dict.fromkeys(("mpeg1video", "mpeg2video", "mpeg4", "mjpeg"), _BY_QUANTIZER),
}
ANOTHER_CODEC = "name another encoder with --film-codec"
LEFT_OUT = 'that are films; colour them after: pip install -e ".[film]"'


class FilmError(HintedError):
    """A film that cannot be coloured; the message says why, notes hold hints."""


@dataclass(frozen=True)
class FilmTarget:
    """What a film is written as.

    muxer: FFmpeg's name of the container.
    codec: FFmpeg's name of the encoder.
    """

    muxer: str
    codec: str


def is_film_name(path: PurePath) -> bool:
    """Return whether a file's name is a film's; hidden files are none."""
    return path.suffix.lower() in MUXER_OF and not path.name.startswith(".")


def can_read_films() -> bool:
    """Return whether PyAV is installed."""
    return find_spec("av") is not None


def film_target(path: Path, codec: str | None = None) -> FilmTarget:
    """Return what a film of a name is written as; codec is that of --film-codec."""
    muxer = MUXER_OF[path.suffix.lower()]
    return FilmTarget(muxer, codec or CODEC_OF_MUXER.get(muxer, DEFAULT_CODEC))


def muxer_options(path: Path, ticks: int) -> dict[str, str]:
    """Return the options of the muxer for a file's name; ticks are its video's, per second."""
    suffix = path.suffix.lower()
    if MUXER_OF[suffix] in QUICKTIME:
        return {"video_track_timescale": str(ticks)}
    return {"mpegts_m2ts_mode": "1"} if suffix == ".m2ts" else {}
