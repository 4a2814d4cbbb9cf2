"""A film's frames with their colours: decoded, coloured in batches, cut into segments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colourizer.film.coherence import FilmColours
from colourizer.film.film_hints import FilmHint
from colourizer.film.planes import cell_greys, luma_of
from colourizer.film.probe import FilmInfo
from colourizer.film.read import TimedFrame, luma_checksum
from colourizer.film.segments import SEGMENT_SECONDS
from colourizer.inference.hints import Hint
from colourizer.inference.preprocess import reduced_lightness

BATCH = 4  # frames that go through the network at once


@dataclass
class ColouredFrame:
    """A frame with its colours.

    pts, duration: in units of the film's time base.
    luma: (H, W) as decoded, uint8 or uint16.
    greys: of `cell_greys`.
    ab: (1, 2, h, w) in Lab units, turned as the frame is stored.
    checksum: of the luma as decoded.
    damaged: frames that are damaged, up to it.
    state: of the colours before it, if it begins a segment; otherwise None.
    """

    pts: int
    duration: int
    luma: np.ndarray
    greys: np.ndarray
    checksum: int
    damaged: int
    ab: Tensor
    state: dict[str, Any] | None = None


class FilmPainter:
    """Colours a film's frames in their order."""

    def __init__(
        self,
        info: FilmInfo,
        cell: tuple[int, int],
        colours: FilmColours,
        hints: Sequence[FilmHint],
        start: int | None,
    ) -> None:
        """Take what the frames are coloured by.

        Args:
            info: of the film.
            cell: (height, width) of the pixels that share one chroma when it is encoded.
            colours: of the frames so far.
            hints: all of them; the colours have those up to `after` of `colourize`.
            start: the time of the film's first frame; None at its beginning.
        """
        self._info = info
        self._cell = cell
        self._colours = colours
        self._hints = hints
        self._start = start

    def colourize(self, frames: Iterator[TimedFrame], after: int | None) -> Iterator[ColouredFrame]:
        """Yield frames with their colours.

        Args:
            frames: decoded.
            after: the time of the last frame before them; None at the film's beginning.

        Raises:
            HintError: a hint lies outside the frame.
        """
        length = round(SEGMENT_SECONDS / self._info.time_base)
        batch: list[tuple[ColouredFrame, Tensor]] = []
        hints: list[Hint] = []  # for the batch
        begin: int | None = None  # of the segment
        for timed in frames:
            if self._start is None:
                self._start = timed.pts
            begins = begin is None or timed.pts - begin >= length
            new = self._hints_between(after, timed.pts)
            if batch and (len(batch) == BATCH or begins or new):
                yield from self._colour(batch, hints)
                batch, hints = [], []
            hints += new
            item = self._prepare(timed)
            if begins:
                begin, item[0].state = timed.pts, self._colours.state()
            batch.append(item)
            after = timed.pts
        if batch:
            yield from self._colour(batch, hints)

    def _hints_between(self, after: int | None, pts: int) -> list[Hint]:
        """Return the hints whose time is later than one frame's, and not than the next one's."""
        assert self._start is not None
        unit = float(self._info.time_base)
        now = (pts - self._start) * unit
        before = -1.0 if after is None else (after - self._start) * unit
        return [each.hint for each in self._hints if before < (each.seconds or 0.0) <= now]

    def _prepare(self, timed: TimedFrame) -> tuple[ColouredFrame, Tensor]:
        """Return a frame without colours, and its lightness, upright and with square pixels."""
        info = self._info
        luma = luma_of(timed.frame, info)
        interlaced = bool(info.fields)
        greys = cell_greys(luma, self._cell, info.coding, interlaced)
        seen = greys
        if self._cell[0] != self._cell[1]:
            seen = cell_greys(luma, (2, 2), info.coding, interlaced)
        if info.aspect and info.aspect != 1:
            width = max(1, round(seen.shape[1] * info.aspect))
            square = Image.fromarray(seen).resize((width, len(seen)), Image.Resampling.BILINEAR)
            seen = np.asarray(square)
        upright = np.ascontiguousarray(info.turn_upright(seen))
        frame = ColouredFrame(
            pts=timed.pts,
            duration=timed.duration,
            luma=luma,
            greys=greys,
            checksum=luma_checksum(timed.frame),
            damaged=timed.damaged,
            ab=torch.zeros(1, 2, 1, 1),  # until it is coloured
        )
        return frame, reduced_lightness(upright)

    def _colour(
        self, batch: Sequence[tuple[ColouredFrame, Tensor]], hints: Sequence[Hint]
    ) -> Iterator[ColouredFrame]:
        """Yield a batch with its colours."""
        colours = self._colours.colourize_batch([lightness for _, lightness in batch], hints)
        for (frame, _), ab in zip(batch, colours, strict=True):
            turned = ab.flip(3) if self._info.mirrored else ab
            frame.ab = torch.rot90(turned, -self._info.quarter_turns, (2, 3))
            yield frame
