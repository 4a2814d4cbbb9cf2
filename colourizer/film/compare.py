"""The film of --compare: grey and coloured side by side, upright, with square pixels."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from colourizer.film.container import DEFAULT_CODEC, FilmTarget
from colourizer.film.encode import VideoSettings
from colourizer.film.planes import make_frame, view_plane
from colourizer.film.probe import FilmInfo
from colourizer.inference.side_pictures import COMPARED_SIDE

TARGET = FilmTarget("mp4", DEFAULT_CODEC)
PIXEL_FORMAT = "yuv420p"


def reduced_size(info: FilmInfo) -> tuple[int, int]:
    """Return the even (height, width) that a frame is reduced to, before it is turned upright."""
    height, width = info.height, float(info.width * (info.aspect or Fraction(1)))
    scale = min(1, COMPARED_SIDE / max(height, width))
    return max(1, round(height * scale / 2)) * 2, max(1, round(width * scale / 2)) * 2


def compared_settings(info: FilmInfo, settings: VideoSettings) -> VideoSettings:
    """Return how the film of --compare is encoded; settings are those of the coloured film."""
    height, width = reduced_size(info)
    if info.quarter_turns % 2:
        height, width = width, height
    return replace(
        settings,
        target=TARGET,
        width=2 * width,
        height=height,
        pixel_format=PIXEL_FORMAT,
        bits=8,
        aspect=None,
        fields="",
    )


def compare_frame(coloured: VideoFrame, info: FilmInfo) -> VideoFrame:
    """Return a coloured frame with itself in grey to its left."""
    height, width = reduced_size(info)
    small = coloured.reformat(width, height, PIXEL_FORMAT)
    upright = [info.turn_upright(view_plane(plane, 8)) for plane in small.planes]
    luma, *chroma = upright
    pair = np.stack([np.hstack((np.full_like(plane, 128), plane)) for plane in chroma])
    return make_frame(np.hstack((luma, luma)), pair, PIXEL_FORMAT)
