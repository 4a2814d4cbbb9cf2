"""An album: what recurs in several of its photographs gets the same colours in all of them.

Where photographs show the same, each gets the mean of the log-likelihoods of all, and of the
directions in which their variants lean; known colours, of hints and a reference, are carried from
one to the next. `album_study.py` finds what they share. A photograph that shares nothing is
coloured as without album.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from colourizer.inference.correspondence import Correspondence, find_correspondences, sample
from colourizer.inference.hints import Hint
from colourizer.inference.prediction import KnownColours, Prediction, SharedLikelihoods
from colourizer.inference.variants import MAX_VARIANTS
from colourizer.runtime.array_file import ArrayFile, StoredArray
from colourizer.storage.address import Location

STEPS_PER_NAT = 12  # log-likelihoods are stored in 8 bits: down to -21 nats
DIRECTION_STEPS = 127  # directions of variants, at most 1 long, too
MIN_QUALITY = 0.5  # of the way by which a known colour comes from another photograph


@dataclass(frozen=True)
class Member:
    """A photograph of an album, and its arrays in the temporary file.

    log_likelihoods: (K, h, w) uint8, less the sign, in steps of 1 / STEPS_PER_NAT.
    directions: (MAX_VARIANTS, h, w) int8, of variants, in steps of 1 / DIRECTION_STEPS.
    features: (DIMENSIONS, h, w) float16, less their mean.
    """

    path: Location
    pixels: tuple[int, int]  # height, width
    log_likelihoods: StoredArray
    directions: StoredArray
    features: StoredArray


class Link(NamedTuple):
    """A photograph that shows the same as another: its number and a `Correspondence`'s arrays."""

    partner: int
    offset: StoredArray
    quality: StoredArray


@dataclass(eq=False)
class Album:
    """Photographs that were seen, and what they share; threads may share it.

    numbers: of the members, by their paths or addresses.
    links: of each member, to others.
    hints: of members, by their paths or addresses, the hints of others, in their own pixels.
    known: of members that show the same as a reference its ab (2, h, w) and weight (h, w).
    """

    file: ArrayFile
    members: list[Member] = field(default_factory=list)
    numbers: dict[Location, int] = field(default_factory=dict)
    links: list[list[Link]] = field(default_factory=list)
    hints: dict[Location, list[Hint]] = field(default_factory=dict)
    known: dict[int, tuple[StoredArray, StoredArray]] = field(default_factory=dict)

    def sharing(self) -> list[Location]:
        """Return the paths of the photographs that share something with others."""
        linked = zip(self.members, self.links, strict=True)
        return [member.path for member, links in linked if links]

    def share(self, path: Location, prediction: Prediction) -> Prediction:
        """Return a photograph's prediction with what others of the album say, if any do."""
        number = self.numbers.get(path, -1)
        if number in self.known:
            ab, weight = map(self._read, self.known[number])
            prediction = replace(prediction, known=KnownColours(ab[None], weight[None, None]))
        if number < 0 or not self.links[number]:
            return prediction
        qualities = [self._read(link.quality) for link in self.links[number]]
        highest = torch.stack(qualities).amax(dim=0)  # weighs what it says itself
        total, weights = self._shareable(number) * highest, highest.clone()
        for link, quality in zip(self.links[number], qualities, strict=True):
            theirs, _ = sample(self._shareable(link.partner), self._read(link.offset))
            total += theirs * quality
            weights += quality
        mean = total / weights.clamp_min(1e-6)
        directions = mean[-MAX_VARIANTS:].unflatten(0, (-1, 2))
        shared = SharedLikelihoods(mean[None, :-MAX_VARIANTS], directions, highest[None, None])
        return replace(prediction, shared=shared)

    def features(self, number: int) -> Tensor:
        """Return a member's features, (DIMENSIONS, h, w)."""
        return self._read(self.members[number].features)

    def link(self, one: int, other: int) -> None:
        """Link two photographs with each other if they share anything."""
        found = find_correspondences(self.features(one), self.features(other))
        if not found:
            return
        for number, partner, way in ((one, other, found[0]), (other, one, found[1])):
            self.links[number].append(Link(partner, *map(self._store, (way.offset, way.quality))))

    def add_known(self, number: int, ab: Tensor, way: Correspondence) -> None:
        """Add what a member shows of a reference, of which ab (2, h', w') at stride 8 is known."""
        moved, _ = sample(ab, way.offset)
        self.known[number] = self._store(moved), self._store(way.quality)

    def carry_known(self) -> None:
        """Carry a reference's colours on to members that show the same as those that have some."""
        newest = set(self.known)
        while newest:
            linked = {link.partner for number in newest for link in self.links[number]}
            found = {number: self._combine_known(number) for number in linked - set(self.known)}
            newest = {n for n, (_, weight) in found.items() if weight.max() >= MIN_QUALITY}
            for number in newest:
                ab, weight = found[number]
                self.known[number] = self._store(ab), self._store(weight)

    def _combine_known(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the ab (2, h, w) and weight (h, w) that a member gets from those linked to it."""
        size = self.members[number].features.shape[1:]
        total, weights, highest = torch.zeros(2, *size), torch.zeros(size), torch.zeros(size)
        for link in self.links[number]:
            if link.partner not in self.known:
                continue
            ab, weight = map(self._read, self.known[link.partner])
            moved, _ = sample(torch.cat((ab * weight, weight[None])), self._read(link.offset))
            moved *= self._read(link.quality)
            total += moved[:2]
            weights += moved[2]
            highest = torch.maximum(highest, moved[2])
        return total / weights.clamp_min(1e-6), highest

    def carry_hints(self, path: Location, hints: Iterable[Hint]) -> list[tuple[Location, Hint]]:
        """Return a photograph's hints at the same places of all others that show them."""
        number = self.numbers.get(path)
        carried = [] if number is None else [self.carry_hint(number, hint) for hint in hints]
        return [(self.members[n].path, hint) for found in carried for n, hint in found.items()]

    def carry_hint(self, number: int, hint: Hint) -> dict[int, Hint]:
        """Return a member's hint at the same place of all other members that show it."""
        height, width = self.members[number].pixels
        reached = [(-1.0, number, (hint.y + 0.5) / height, (hint.x + 0.5) / width)]
        if hint.y >= height or hint.x >= width:
            return {}  # reported when the photograph is coloured
        carried = {}
        while reached:  # Dijkstra: the surest way first
            cost, here, y, x = heapq.heappop(reached)
            if here in carried:
                continue
            rows, columns = self.members[here].pixels
            carried[here] = Hint(int(x * columns), int(y * rows), hint.rgb)
            for link in self.links[here]:
                quality, place = self._follow(link, y, x)
                if link.partner not in carried and -cost * quality >= MIN_QUALITY:
                    heapq.heappush(reached, (cost * quality, link.partner, *place))
        del carried[number]
        return carried

    def _follow(self, link: Link, y: float, x: float) -> tuple[float, tuple[float, float]]:
        """Return the quality of a link at a place, and where it leads; shares of the sides."""
        offset, quality = self._read(link.offset), self._read(link.quality)
        height, width = quality.shape
        row, column = int(y * height), int(x * width)
        *_, rows, columns = self.members[link.partner].features.shape
        y = (y * height + offset[0, row, column].item()) / rows
        x = (x * width + offset[1, row, column].item()) / columns
        if not (0 <= y < 1 and 0 <= x < 1):
            return 0.0, (y, x)
        return quality[row, column].item(), (y, x)

    def _shareable(self, number: int) -> Tensor:
        """Return a member's log-likelihoods and directions, (K + MAX_VARIANTS, h, w)."""
        member = self.members[number]
        log_likelihoods = self._read(member.log_likelihoods) / -STEPS_PER_NAT
        return torch.cat((log_likelihoods, self._read(member.directions) / DIRECTION_STEPS))

    def _store(self, values: Tensor) -> StoredArray:
        return self.file.append(values.half().numpy())

    def _read(self, stored: StoredArray) -> Tensor:
        return torch.from_numpy(self.file.read(stored)).float()
