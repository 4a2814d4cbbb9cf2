"""streaming.py: groups that are cut without the number of all photographs."""

from pathlib import Path, PurePosixPath

import pytest

from colourizer.inference.output_plan import FoundPhoto
from colourizer.inference.streaming import GROUP_BYTES, cut_stream


@pytest.mark.parametrize("count, workers", [(1, 2), (7, 2), (100, 3), (1000, 1)])
def test_groups_are_cut_without_their_number_and_become_smaller_towards_the_end(count, workers):
    photos = [FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False) for n in range(count)]
    groups = list(cut_stream(photos, 16, lambda: workers))
    assert [photo for group in groups for photo in group] == photos
    assert max(map(len, groups)) <= 16
    assert len(groups[-1]) == 1
    assert len(groups) >= min(count, workers)


def test_groups_are_cut_when_most_of_the_workers_are_lost():
    photos = [FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False) for n in range(2000)]
    workers = iter([16, 16])
    groups = list(cut_stream(photos, 16, lambda: next(workers, 4)))
    assert [photo for group in groups for photo in group] == photos


def test_listing_is_never_far_ahead_of_what_is_done():
    listed = 0

    def listing():
        nonlocal listed
        for n in range(10_000):
            listed += 1
            yield FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False, size=10_000_000)

    groups = cut_stream(listing(), 16, lambda: 2)
    for n in range(1, 20):
        group = next(groups)
        assert sum(photo.size for photo in group) <= GROUP_BYTES
        assert listed <= n * 16 + 4 * 16 * 2
