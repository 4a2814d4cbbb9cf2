"""Things: the decoder's features moved to what is typical of the thing that each place belongs to.

Mean shift (Comaniciu, Meer: PAMI 2002) moves features uphill to the modes of their density; those
of a garment or a wall end up at the same point. What is said of one of its places, by a hint or a
variant, then reaches all of it.
"""

import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.coherence import SHARPNESS, softmax_kernel

SHIFTS, SHIFT_SHARPNESS = 5, 6.0  # steps; of the softmax over negative squared distances


def thing_vectors(vectors: Tensor) -> Tensor:
    """Return for each place the mode of the features of the thing that it belongs to.

    Args:
        vectors: (1, D, h, w), normalized and weighted, as from `coherence.stride_8_vectors`.

    Returns:
        (1, D, h, w).
    """
    points = F.avg_pool2d(vectors, 2, ceil_mode=True)[0].flatten(1)  # (D, N)
    modes = points
    for _ in range(SHIFTS):
        modes = modes @ softmax_kernel(modes, modes, SHIFT_SHARPNESS).T
    weights = softmax_kernel(vectors[0].flatten(1), points, SHARPNESS)
    return (modes @ weights.T).view(vectors.shape)
