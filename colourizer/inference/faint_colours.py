"""Faint photographs: chroma is enlarged where the whole picture has less than is likely."""

from torch import Tensor

# Chosen on validation photographs (docs/experiments.md). Lab units: the mean chroma from which on
# nothing is added, and at vividness 1 the share of what is less that is added ...
LIKELY_MEAN, ADDED = 15.0, 0.6
MAX_GAIN = 2.5  # ... up to this factor, as what is grey all over has nothing to enlarge.


def enlarge_faint(ab: Tensor, vividness: float | Tensor) -> Tensor:
    """Return chroma, all of it larger by one factor if its mean is faint.

    Mean chroma is estimated best between the network's own and what photographs have on average;
    the network's is too small where it has seen few like it, as of streets a century ago.

    Args:
        ab: (1, 2, h, w) in Lab units.
        vividness: as it was read out with; at 0 nothing is added. A tensor () in the graph that
            onnx_graph.py makes.
    """
    mean = ab.square().sum(dim=1, keepdim=True).sqrt().mean(dim=(2, 3), keepdim=True)
    lacking = (LIKELY_MEAN - mean).clamp_min(0)
    gain = 1 + ADDED * vividness * lacking / mean.clamp_min(1e-6)
    return ab * gain.clamp_max(MAX_GAIN)
