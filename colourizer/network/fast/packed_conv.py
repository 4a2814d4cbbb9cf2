"""Convolutions with prepacked weights and fused ReLU6, for prediction on x86.

F.conv2d reorders the weights at each call, for a single photograph a fifth of the network's time.
These are the oneDNN operators that torch.compile calls, which itself needs a C++ compiler and a
minute at each start. PyTorch does not document them: they are used only where they exist and equal
their plain definition, F.relu6(F.conv2d(...)).
"""

import platform
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Input sizes for which packed weights are kept, 12 MB each; weights packed for one size may be a
# hundred times slower with another. There are 19 working sizes from 1:3 to 3:1. The size of the
# batch does not matter.
SIZES = 20


class PackedConv2d(nn.Module):
    """A convolution with prepacked weights, with or without ReLU6; for prediction only."""

    def __init__(
        self, convolution: nn.Conv2d, relu6: bool, padding: tuple[int, int] = (0, 0)
    ) -> None:
        """Take a convolution's weights, which must not change afterwards.

        Args:
            convolution: not dilated, if there is padding.
            relu6: whether ReLU6 follows.
            padding: zeros added to the input before (top, left) and after (bottom, right; no
                fewer), besides the convolution's own padding.
        """
        super().__init__()
        # oneDNN pads both sides alike; zero weights make up for padding that is too much.
        more, after = padding[1] - padding[0], padding[1]
        self.weight = nn.Parameter(F.pad(convolution.weight.detach(), (more, 0, more, 0)))
        self.bias = convolution.bias
        both_sides = tuple(int(side) + after for side in convolution.padding)
        self._arguments: tuple[Any, ...] = (
            both_sides, convolution.stride, convolution.dilation, convolution.groups
        )  # fmt: skip
        self._activation = ("hardtanh", [0.0, 6.0], "") if relu6 else ("none", [], "")
        self._packed = lru_cache(SIZES)(self._pack)

    def _pack(self, shape: torch.Size) -> Tensor:
        """Return the weights packed for an input shape (c_in, H, W)."""
        weight = self.weight.detach().to_mkldnn()
        padding, stride, dilation, groups = self._arguments
        pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        return pack(weight, padding, stride, dilation, groups, (1, *shape))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, c_in, H, W), of any type, to (B, c_out, H', W') of the weights' type."""
        features = features.to(self.weight.dtype)
        weight = self._packed(features.shape[1:])
        convolve = torch.ops.mkldnn._convolution_pointwise
        return convolve(features, weight, self.bias, *self._arguments, *self._activation)


@torch.inference_mode()
def is_supported() -> bool:
    """Return whether the oneDNN operator exists here and equals F.conv2d followed by ReLU6."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    convolution = nn.Conv2d(8, 16, 3, padding=1)
    features = torch.linspace(-9, 9, 8 * 8 * 8).view(1, 8, 8, 8)
    try:
        ours = PackedConv2d(convolution, relu6=True)(features)
        return torch.allclose(ours, F.relu6(convolution(features)), atol=1e-4)
    except Exception:  # the operator has changed: F.conv2d stays
        return False


def pack_convolutions(model: nn.Module) -> None:
    """Replace a model's convolutions, and padding and ReLU6 around them, where supported.

    Args:
        model: in eval mode, batch norm folded; is changed, and can only predict afterwards.
    """
    if not is_supported():
        return
    for module in list(model.modules()):
        parts = [item for item in module.named_children() if not isinstance(item[1], nn.Identity)]
        for n, (name, part) in enumerate(parts):
            if not isinstance(part, nn.Conv2d):
                continue
            padding, relu6 = (0, 0), False
            if isinstance(module, nn.Sequential):  # of others the order is unknown
                before, after = parts[max(n - 1, 0)], parts[min(n + 1, len(parts) - 1)]
                relu6 = isinstance(after[1], nn.ReLU6)
                if isinstance(before[1], nn.ZeroPad2d) and _can_fuse(before[1].padding, part):
                    padding = before[1].padding[:2]
                    setattr(module, before[0], nn.Identity())
                if relu6:
                    setattr(module, after[0], nn.Identity())
            setattr(module, name, PackedConv2d(part, relu6, padding))
    _remove_identities(model)


def _remove_identities(model: nn.Module) -> None:
    """Remove Identity modules and unwrap Sequentials of one: two hundred Python calls less."""
    for name, part in list(model.named_children()):
        _remove_identities(part)
        if isinstance(part, nn.Sequential):
            steps = [step for step in part if not isinstance(step, nn.Identity)]
            setattr(model, name, steps[0] if len(steps) == 1 else nn.Sequential(*steps))


def _can_fuse(padding: tuple[int, ...], convolution: nn.Conv2d) -> bool:
    """Return whether a PackedConv2d can pad (left, right, top, bottom) by itself."""
    left, right, top, bottom = padding
    return (left, right) == (top, bottom) and left <= right and convolution.dilation == (1, 1)
