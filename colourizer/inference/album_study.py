"""The photographs of an album are seen first, and what several of them show is found.

What they may share, and their features, at stride 8, go to a temporary file. Photographs that look
alike are compared place by place.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.album import DIRECTION_STEPS, STEPS_PER_NAT, Album, Member
from colourizer.inference.colour_file import read_prepared
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.correspondence import MIN_SHARE, find_correspondences, matching_share
from colourizer.inference.hints import Hint
from colourizer.inference.output_plan import Job
from colourizer.inference.prediction import Prediction, Reference
from colourizer.inference.provenance import is_colourized
from colourizer.inference.retrieval import (
    candidate_pairs,
    fit_projection,
    k_means,
    word_histogram,
)
from colourizer.photos.decode import open_image
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.cli import progress
from colourizer.runtime.errors import HintedError, reason_of
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.parallel import PixelBudget, map_ordered
from colourizer.storage.address import Location
from colourizer.storage.files import read_content

DIMENSIONS = 16  # of the features, reduced by principal components
WORDS = 256  # visual words
SAMPLE = 64  # photographs from which components and words are learnt
SAMPLE_STEP = 4  # of their places every fourth
PARTNERS = 12  # photographs that each is compared with at full resolution
PAIRS_AT_A_TIME = 32  # for a thread

T = TypeVar("T")


class AlbumError(HintedError):
    """The album cannot be studied; a note holds a hint."""

    def __init__(self, error: OSError) -> None:
        folder = f"{tempfile.tempdir}: " if tempfile.tempdir else ""  # None if there is none
        what = f"--album: {folder}{reason_of(error)}"
        super().__init__(what, "set TMPDIR to a folder with room for 0.3 MB a photograph")


class PhotoOutputs(NamedTuple):
    """What an album keeps of the network's outputs for a photograph, in few bits.

    `Member` has the same with reduced features, in a file.
    """

    path: Location
    pixels: tuple[int, int]
    log_likelihoods: Tensor  # (K, h, w) uint8
    directions: Tensor  # (MAX_VARIANTS, h, w) int8
    vectors: Tensor  # (C, h, w) float16


class Codebook(NamedTuple):
    """How features are reduced and described: mean (C,), components (C, D) and words (W, D)."""

    mean: Tensor
    components: Tensor
    words: Tensor

    def reduce(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (D, h, w) less their mean, and the histogram of words (W,)."""
        reduced = (vectors.float().movedim(0, -1) - self.mean) @ self.components  # (h, w, D)
        histogram = word_histogram(reduced.flatten(0, 1), self.words)
        return (reduced - reduced.mean(dim=(0, 1))).movedim(-1, 0), histogram


@dataclass(frozen=True)
class Workers:
    """How photographs are worked on at the same time.

    stop: once it has an exit code nothing more is begun.
    pixels: of photographs in memory, at most.
    shown: whether a terminal shows how far they are.
    """

    threads: int
    pixels: int
    stop: Interrupt
    shown: bool = True

    def map(self, items: Iterable[Any], function: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield a function's results in the order of the items; raises what it raises."""
        wanted = itertools.takewhile(lambda _: not self.stop.exit_code, items)
        for _, result in map_ordered(wanted, function, self.threads, 2 * self.threads):
            if isinstance(result, Exception):
                raise result
            yield result


@torch.inference_mode()
def study_album(
    jobs: Sequence[Job],
    colourizer: Colourizer,
    file: ArrayFile,
    workers: Workers,
    hints: Mapping[Location, Sequence[Hint]] | None = None,
    reference: Reference | None = None,
) -> Album:
    """See all photographs of an album, and find what they share.

    Args:
        jobs: the photographs; those that cannot be read are left out.
        colourizer: a network with likelihoods.
        file: for the network's outputs; open as long as the album is used.
        workers: if they stop, the album stays as it is by then.
        hints: known colours of photographs, by their paths.
        reference: a photograph in colour, which belongs to the album, too.

    Raises:
        AlbumError: the temporary file cannot be written.
    """
    outputs = predict_photos(shuffled(jobs), colourizer, workers)
    try:
        album = build_album(outputs, [job.source for job in jobs], file, workers, reference)
    except OSError as error:
        raise AlbumError(error) from error
    for path, points in (hints or {}).items():
        for other, hint in album.carry_hints(path, points):
            album.hints.setdefault(other, []).append(hint)
    return album


def shuffled(items: Sequence[T]) -> list[T]:
    """Return items in another order, so that the first ones, to learn from, are of all kinds."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()
    return [items[n] for n in order]


@torch.inference_mode()
def build_album(
    outputs: Iterator[PhotoOutputs],
    paths: Sequence[Location],
    file: ArrayFile,
    workers: Workers,
    reference: Reference | None = None,
) -> Album:
    """Return the album of photographs, of the network's outputs for them.

    Args:
        outputs: for the photographs, the first ones of all kinds, as `shuffled` makes them.
        paths: those of all, in the order of the album.
        file: as for `study_album`.
        workers: as for `study_album`.
        reference: as for `study_album`.

    Raises:
        OSError: the temporary file cannot be written.
    """
    album = Album(file)
    codebook, descriptors = store_members(album, outputs)
    place = {path: n for n, path in enumerate(paths)}
    sequence = sorted(range(len(descriptors)), key=lambda n: place[album.members[n].path])
    album.members = [album.members[n] for n in sequence]
    album.numbers = {member.path: n for n, member in enumerate(album.members)}
    album.links = [[] for _ in album.members]
    if len(sequence) > 1:
        pairs = candidate_pairs(torch.stack(descriptors)[sequence].float())
        link_members(album, pairs, workers)
    if codebook and reference:
        link_reference(album, codebook, reference, workers)
    return album


def predict_photos(
    jobs: Sequence[Job], colourizer: Colourizer, workers: Workers
) -> Iterator[PhotoOutputs]:
    """Run the network on photographs; yield what it made of those that can be read."""
    budget = PixelBudget(workers.pixels)

    def predict(group: Sequence[Job]) -> list[PhotoOutputs]:
        read = []
        for job in group:
            with suppress(Exception):  # reported when it is coloured
                content = read_content(job.source)
                image = open_image(content)
                with budget.hold(image.width * image.height):
                    prepared = read_prepared(content, opened=image)
                    if job.named or not is_colourized(prepared.photo.metadata):
                        read.append((job.source, prepared.size, prepared.lightness))
        with suppress(Exception):
            return predict_group(read, colourizer)
        return [outputs for each in read for outputs in predict_alone(each, colourizer)]

    size = colourizer.batch_size
    groups = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    with progress((), "looking at all", len(jobs), workers.shown) as bar:
        for group, found in zip(groups, workers.map(groups, predict), strict=False):  # it may stop
            bar.update(len(group))
            yield from found


def predict_alone(
    read: tuple[Location, tuple[int, int], Tensor], colourizer: Colourizer
) -> list[PhotoOutputs]:
    """Return what the network made of one photograph; nothing if it fails."""
    with suppress(Exception):
        return predict_group([read], colourizer)
    return []


@torch.inference_mode()
def predict_group(
    read: Sequence[tuple[Location, tuple[int, int], Tensor]], colourizer: Colourizer
) -> list[PhotoOutputs]:
    """Return what the network makes of photographs: path, size in pixels, and lightness."""
    predictions = colourizer.predict([lightness for *_, lightness in read])
    pairs = zip(read, predictions, strict=True)
    return [pack_outputs(path, pixels, prediction) for (path, pixels, _), prediction in pairs]


@torch.inference_mode()
def pack_outputs(path: Location, pixels: tuple[int, int], prediction: Prediction) -> PhotoOutputs:
    """Return what an album keeps of a prediction; pixels are height and width."""
    assert prediction.vectors is not None
    steps = (prediction.log_likelihoods()[0] * -STEPS_PER_NAT).round().clamp(0, 255)
    directions = (prediction.directions().flatten(0, 1) * DIRECTION_STEPS).round().char()
    return PhotoOutputs(path, pixels, steps.byte(), directions, prediction.vectors[0].cpu().half())


def store_members(
    album: Album, outputs: Iterator[PhotoOutputs]
) -> tuple[Codebook | None, list[Tensor]]:
    """Store the network's outputs for photographs as an album's members.

    Returns:
        What their features were reduced by, None if there are none; and their histograms of words.
    """
    first = list(itertools.islice(outputs, SAMPLE))
    if not first:
        return None, []
    sampled = [each.vectors.flatten(1)[:, ::SAMPLE_STEP].float() for each in first]
    vectors = torch.cat(sampled, dim=1).T
    mean, components = fit_projection(vectors, DIMENSIONS)
    words = k_means((vectors - mean) @ components, min(WORDS, max(1, len(vectors) // 8)))
    codebook = Codebook(mean, components, words)
    descriptors = []
    for each in itertools.chain(first, outputs):
        features, histogram = codebook.reduce(each.vectors)
        descriptors.append(histogram.half())
        arrays = (each.log_likelihoods, each.directions, features.half())
        stored = (album.file.append(array.numpy()) for array in arrays)
        album.members.append(Member(each.path, each.pixels, *stored))
    return codebook, descriptors


def link_members(album: Album, pairs: Tensor, workers: Workers) -> None:
    """Link the photographs that share something, of the pairs (M, 2) that may do so."""

    def compare(part: Tensor) -> list[float]:
        """Return how much pairs share, at half the resolution."""
        return [
            matching_share(*(F.avg_pool2d(album.features(n), 2) for n in pair))
            for pair in part.tolist()
        ]

    shares = list(workers.map(pairs.split(PAIRS_AT_A_TIME), compare))
    chosen = choose_strongest(pairs, list(itertools.chain(*shares)))
    linked = workers.map(chosen, lambda pair: album.link(*pair))
    for _ in progress(linked, "comparing", len(chosen), workers.shown, unit="pair"):
        pass
    for links in album.links:  # threads ended in any order
        links.sort(key=lambda link: link.partner)


def link_reference(
    album: Album, codebook: Codebook, reference: Reference, workers: Workers
) -> None:
    """Find what an album's photographs show of a reference, whose colours are known."""
    assert reference.prediction.vectors is not None
    features, _ = codebook.reduce(reference.prediction.vectors[0].cpu())
    size = (features.shape[1], features.shape[2])
    ab = F.adaptive_avg_pool2d(reference.true_ab, size)[0]
    half = F.avg_pool2d(features, 2)

    def link(number: int) -> None:
        own = album.features(number)
        if matching_share(F.avg_pool2d(own, 2), half) >= MIN_SHARE:
            found = find_correspondences(own, features)
            if found:
                album.add_known(number, ab, found[0])

    for _ in workers.map(range(len(album.members)), link):
        pass
    album.carry_known()


def choose_strongest(pairs: Tensor, shares: Sequence[float]) -> list[tuple[int, int]]:
    """Return those pairs that share most: of each photograph about PARTNERS, if it has so many.

    Args:
        pairs: (M, 2), numbers of photographs.
        shares: from `matching_share`, for the first pairs, or for all.
    """
    chosen = []
    counts: Counter[int] = Counter()
    for n in sorted(range(len(shares)), key=lambda n: -shares[n]):
        if shares[n] < MIN_SHARE:
            break
        one, other = pairs[n].tolist()
        if min(counts[one], counts[other]) < PARTNERS:
            chosen.append((one, other))
            counts.update((one, other))
    return chosen
