"""Near-duplicate photographs, found by a difference hash (dhash)."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores

HASH_SIDE = 16  # the hash has HASH_SIDE x HASH_SIDE entries
MIN_STEP = 4.0  # of 255 grey levels; a smaller step between neighbours counts as flat, 0
# Two photographs are duplicates if the non-zero entries of their hashes overlap by at least
# MIN_OVERLAP (intersection over union) and at most MAX_OPPOSITE of those in both have opposite
# signs. Of 500 photographs all were found when reduced to 0.4 of their size or recompressed as JPEG
# of quality 30, 99% when cropped by 2%, and no two different ones were taken for duplicates.
MIN_OVERLAP = 0.6
MAX_OPPOSITE = 0.06
MIN_COMMON = 16  # non-zero entries in both; with fewer, the picture is too plain to decide
BLOCK = 1024  # rows of the pairwise comparison that are computed at a time: bounds the memory
_CHARACTERS = np.frombuffer(b"-=+", np.uint8)  # for entries of -1, 0 and 1, as text


def dhash(image: Image.Image) -> Tensor:
    """Return a photograph's difference hash: the signs of its horizontal grey steps at 16x16.

    Krawetz: Kind of Like That, The Hacker Factor Blog, 2013 ("dHash"), with more entries, and a
    third value, 0, for steps below MIN_STEP, so that plain skies and walls are not all alike.

    Args:
        image: in any mode.

    Returns:
        (HASH_SIDE^2,) float32: 1 where the right neighbour is brighter, -1 where it is darker, 0.
    """
    size = (HASH_SIDE + 1, HASH_SIDE)
    small = image.convert("L").resize(size, Image.Resampling.BOX)
    grey = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size[::-1]).float()
    step = grey.diff(dim=1)
    return torch.where(step.abs() < MIN_STEP, 0.0, step.sign()).flatten()


def are_duplicates(hashes: Tensor, others: Tensor) -> Tensor:
    """Return for each pair of photographs whether they show the same picture.

    Args:
        hashes: (N, HASH_SIDE^2), rows from `dhash`.
        others: (M, HASH_SIDE^2), rows from `dhash`.

    Returns:
        (N, M) bool.
    """
    nonzero, others_nonzero = hashes.abs(), others.abs()
    both = nonzero @ others_nonzero.T  # entries that are non-zero in both
    either = nonzero.sum(dim=1)[:, None] + others_nonzero.sum(dim=1) - both
    opposite = (both - hashes @ others.T) / 2
    alike = (both >= MIN_COMMON) & (both >= MIN_OVERLAP * either)
    return alike & (opposite <= MAX_OPPOSITE * both)


def find_duplicates(hashes: list[Tensor]) -> list[int]:
    """Return the indices of the photographs that duplicate an earlier one, in rising order.

    Equals `are_duplicates` of all with those before them. Most pairs are excluded by one product:
    duplicates have hash @ other >= (1 - 2 MAX_OPPOSITE) MIN_OVERLAP of either's non-zero entries.

    Args:
        hashes: of each photograph, (HASH_SIDE^2,) from `dhash`.
    """
    if not hashes:
        return []
    nonzero = torch.stack(hashes).abs().sum(dim=1)  # (N,)
    order = nonzero.argsort()
    order = order[nonzero[order] >= MIN_COMMON]
    rows, nonzero = torch.stack(hashes)[order], nonzero[order]
    # Integers up to 256 are exact in bf16 too, which is several times faster where there are
    # instructions for it.
    has_bf16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    dtype = torch.bfloat16 if has_bf16 else torch.float32
    fast = rows.to(dtype)
    least = ((1 - 2 * MAX_OPPOSITE) * MIN_OVERLAP * nonzero).floor().to(dtype)

    def duplicates_of_block(first: int) -> list[int]:
        block = slice(first, min(first + BLOCK, len(rows)))
        most = nonzero[block][-1] / MIN_OVERLAP  # non-zero entries that a duplicate can have
        last = int(torch.searchsorted(nonzero, most, right=True))
        duplicates: list[int] = []
        for start in range(first, last, BLOCK):
            others = slice(start, min(start + BLOCK, last))
            possible = (fast[block] @ fast[others].T >= least[others]).numpy()
            flat = np.flatnonzero(possible)  # several times as fast as torch's
            if not len(flat):
                continue
            row, column = np.unique(flat // possible.shape[1]), np.unique(flat % possible.shape[1])
            found = are_duplicates(rows[block][row], rows[others][column])
            index, other = order[block][row][:, None], order[others][column]
            duplicates += torch.maximum(index, other)[found & (index != other)].tolist()
        return duplicates

    cores, firsts = count_cores(), range(0, len(rows), BLOCK)
    found: set[int] = set()
    # One PyTorch thread each: for many short products, its own pool of threads would mostly wait.
    for _, duplicates in map_ordered(
        firsts, duplicates_of_block, cores, 2 * cores, lambda: torch.set_num_threads(1)
    ):
        if isinstance(duplicates, Exception):
            raise duplicates
        found.update(duplicates)
    return sorted(found)


def dhash_to_text(entries: Tensor) -> str:
    """Return a hash as text: a character for each entry, "-" for -1, "=" for 0, "+" for 1."""
    return _CHARACTERS[entries.numpy().astype(np.int8) + 1].tobytes().decode()


def dhash_from_text(text: str) -> Tensor:
    """Return the hash that `dhash_to_text` wrote.

    Raises:
        ValueError: the text is not such a hash.
    """
    is_entry = np.frombuffer(text.encode(), np.uint8) == _CHARACTERS[:, None]  # (3, HASH_SIDE^2)
    if is_entry.shape[1] != HASH_SIDE**2 or not is_entry.any(axis=0).all():
        raise ValueError(text)
    return torch.from_numpy(is_entry[2] - is_entry[0].astype(np.float32))
