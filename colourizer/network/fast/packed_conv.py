"""Convolutions for prediction on x86: weights laid out as the CPU wants them, ReLU6 within.

F.conv2d lays the weights out anew each time, for a single photograph a fifth of the network's time.
These are the operators of oneDNN that torch.compile puts in its place, which itself needs a C++
compiler and a minute at each start. They are PyTorch's own, but nowhere promised: so they are used
only where they are there and answer as F.conv2d does.
"""

import platform
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# For so many sizes at which the network sees photographs the weights are kept, 12 MB each: what is
# laid out for one size another may take a hundred times as long with. From 1:3 to 3:1 there are 19.
# What is laid out for one photograph serves as many together as well.
SIZES = 20


class PackedConv2d(nn.Module):
    """A convolution, followed by ReLU6 or nothing; for prediction only."""

    def __init__(
        self, convolution: nn.Conv2d, relu6: bool, padding: tuple[int, int] = (0, 0)
    ) -> None:
        """Take a convolution's weights; they may not change afterwards.

        Args:
            convolution: is not dilated, if there is padding.
            relu6: whether ReLU6 follows.
            padding: how many zeros its input gets before it, at the top and the left, and behind
                it, no fewer; besides the convolution's own.
        """
        super().__init__()
        # oneDNN pads both sides alike: where that is too much, weights of zero make up for it.
        more, after = padding[1] - padding[0], padding[1]
        self.weight = nn.Parameter(F.pad(convolution.weight.detach(), (more, 0, more, 0)))
        self.bias = convolution.bias
        both_sides = tuple(int(side) + after for side in convolution.padding)
        self._how: tuple[Any, ...] = (
            both_sides, convolution.stride, convolution.dilation, convolution.groups
        )  # fmt: skip
        self._after = ("hardtanh", [0.0, 6.0], "") if relu6 else ("none", [], "")
        self._laid_out = lru_cache(SIZES)(self._lay_out)

    def _lay_out(self, shape: torch.Size) -> Tensor:
        """Lay the weights out for one input of a shape, (c_in, H, W)."""
        weight = self.weight.detach().to_mkldnn()
        padding, stride, dilation, groups = self._how
        lay_out: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        return lay_out(weight, padding, stride, dilation, groups, (1, *shape))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, c_in, H, W), of any type, to (B, c_out, H', W') of the weights' type."""
        features = features.to(self.weight.dtype)
        weight = self._laid_out(features.shape[1:])
        convolve = torch.ops.mkldnn._convolution_pointwise
        return convolve(features, weight, self.bias, *self._how, *self._after)


@torch.inference_mode()
def are_there() -> bool:
    """Say whether this machine and this PyTorch can do it."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    convolution = nn.Conv2d(8, 16, 3, padding=1)
    features = torch.linspace(-9, 9, 8 * 8 * 8).view(1, 8, 8, 8)
    try:
        ours = PackedConv2d(convolution, relu6=True)(features)
        return torch.allclose(ours, F.relu6(convolution(features)), atol=1e-4)
    except Exception:  # whatever has become of them: the others are there
        return False


def pack_convolutions(model: nn.Module) -> None:
    """Replace a model's convolutions, with the padding and the ReLU6 around them, if possible.

    Args:
        model: in eval mode, batch norm folded; is changed, and can only predict then.
    """
    if not are_there():
        return
    for module in list(model.modules()):
        parts = [item for item in module.named_children() if not isinstance(item[1], nn.Identity)]
        for n, (name, part) in enumerate(parts):
            if not isinstance(part, nn.Conv2d):
                continue
            padding, relu6 = (0, 0), False
            if isinstance(module, nn.Sequential):  # others do not say what follows what
                before, after = parts[max(n - 1, 0)], parts[min(n + 1, len(parts) - 1)]
                relu6 = isinstance(after[1], nn.ReLU6)
                if isinstance(before[1], nn.ZeroPad2d) and _can_take_in(before[1].padding, part):
                    padding = before[1].padding[:2]
                    setattr(module, before[0], nn.Identity())
                if relu6:
                    setattr(module, after[0], nn.Identity())
            setattr(module, name, PackedConv2d(part, relu6, padding))
    _shorten(model)


def _shorten(model: nn.Module) -> None:
    """Take out of a model's sequences what does nothing, and sequences of one.

    A network has two hundred of them, and every call takes Python a microsecond.
    """
    for name, part in list(model.named_children()):
        _shorten(part)
        if isinstance(part, nn.Sequential):
            steps = [step for step in part if not isinstance(step, nn.Identity)]
            setattr(model, name, steps[0] if len(steps) == 1 else nn.Sequential(*steps))


def _can_take_in(padding: tuple[int, ...], convolution: nn.Conv2d) -> bool:
    """Say whether a PackedConv2d can pad its input so: left, right, top and bottom."""
    left, right, top, bottom = padding
    return (left, right) == (top, bottom) and left <= right and convolution.dilation == (1, 1)
