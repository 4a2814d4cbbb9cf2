"""The decoder in 8-bit integers, for prediction on x86: in half the time that bf16 takes.

What ReLU6 leaves lies in [0, 6], so 255 steps hold it and no photographs are needed to find out how
large they must be; a weight has 127 steps to the largest of its output channel: Jacob et al., CVPR
2018, section 2. What comes from the encoder may be anything, and stays as precise as it is. Colours
are as near to those of fp32 as they are with bf16 alone (docs/experiments.md).

As in packed_convolutions.py, the operators are oneDNN's own and nowhere promised. They are used
only where they are there and right: without VNNI a processor adds products up in too few bits.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colourizer.network.fast import packed_conv
from colourizer.network.fast.packed_conv import SIZES, PackedConv2d
from Model_CNN import ConvBNReLU, DecoderStep, Model_CNN

TOP, STEPS = 6.0, 255  # what ReLU6 leaves at most, and the steps to there
STEP = TOP / STEPS


def quantize(features: Tensor) -> Tensor:
    """Count the steps in what ReLU6 left, of any shape: uint8. What lies outside [0, 6] is cut."""
    return _round(features.float().clamp(0, TOP) / STEP)


def _round(steps: Tensor) -> Tensor:
    """Round float32 in [0, 255] to uint8; the argument is lost."""
    return steps.add_(0.5).to(torch.int16).to(torch.uint8)  # in one go it takes five times as long


class QuantizedConv2d(nn.Module):
    """A convolution of what ReLU6 left, in integers; for prediction only."""

    def __init__(self, convolution: nn.Conv2d, out: torch.dtype) -> None:
        """Take a convolution's weights.

        Args:
            convolution: its weights may not change afterwards.
            out: the type of the answer; of uint8 in steps as well, after a ReLU6.
        """
        super().__init__()
        weight = convolution.weight.detach().float()
        self.scale = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-9) / 127  # (c_out,)
        self.weight = (weight / self.scale[:, None, None, None]).round().to(torch.int8)
        self.zero_point = torch.zeros(len(weight), dtype=torch.int64)
        self.bias = None if convolution.bias is None else convolution.bias.detach().float()
        self.out = out
        self._how: tuple[Any, ...] = (
            convolution.stride, convolution.padding, convolution.dilation, convolution.groups
        )  # fmt: skip
        self._laid_out = lru_cache(SIZES)(self._lay_out)

    def _lay_out(self, shape: torch.Size) -> Tensor:
        """As PackedConv2d's."""
        pack, one = torch.ops.onednn.qconv_prepack, (1, *shape)
        return pack(self.weight, self.scale, STEP, 0, *self._how, one)

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H', W').

        Args:
            features: uint8, steps; or float, which is quantized.
            added: (B, c_out, H', W') of the type of the answer, not uint8; is added, and lost.
        """
        if features.dtype != torch.uint8:
            features = quantize(features)
        weights = self._laid_out(features.shape[1:]), self.scale, self.zero_point
        step = STEP if self.out == torch.uint8 else 1.0
        how = (self.bias, *self._how, step, 0, self.out)
        convolve = torch.ops.onednn.qconv2d_pointwise
        if added is None:
            return convolve(features, STEP, 0, *weights, *how, "none", [], "")
        added = added.contiguous(memory_format=torch.channels_last)
        return convolve.binary(
            features, STEP, 0, *weights, added, *how, 1.0, 0, "sum", 1.0, "none", [], ""
        )


class QuantizedStep(nn.Module):
    """A DecoderStep in integers, but for what it takes from the encoder."""

    def __init__(self, step: DecoderStep, c_skip: int) -> None:
        """Take a step, its batch norm folded, and of how many channels the encoder's features are.

        A convolution of two things beside each other is the sum of one of each.
        """
        super().__init__()
        first, last = (_convolution(part) for part in step.mix)
        c_in = first.in_channels - c_skip
        self.first = QuantizedConv2d(_part(first, slice(c_in)), first.weight.dtype)
        self.of_skip = PackedConv2d(_part(first, slice(c_in, None)), relu6=False)
        self.of_skip.bias = None  # is in the other
        self.last = QuantizedConv2d(last, torch.uint8)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, c_in, H, W) uint8 and the skip (B, c_skip, 2H, 2W) to (B, c_out, 2H, 2W) uint8.

        As DecoderStep's, but in steps; the skip is in its own units.
        """
        large = F.interpolate(features.float(), scale_factor=2, mode="bilinear")
        return self.last(self.first(_round(large), self.of_skip(skip)))


def _convolution(part: nn.Module) -> nn.Conv2d:
    """Take the convolution out of a ConvBNReLU."""
    assert isinstance(part, ConvBNReLU)
    convolution = part[0]
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def _part(convolution: nn.Conv2d, channels: slice) -> nn.Conv2d:
    """Take what a 3x3 convolution does with some of its input channels; with the bias."""
    weight = convolution.weight.detach()[:, channels]
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, device="meta")
    part.weight, part.bias = nn.Parameter(weight), convolution.bias
    return part


@torch.inference_mode()
def are_there() -> bool:
    """Say whether this machine and this PyTorch can do it."""
    if not packed_conv.are_there():  # they are needed too
        return False
    convolution = nn.Conv2d(64, 16, 3, padding=1)
    nn.init.constant_(convolution.weight, 0.01)  # of the largest weights only
    features = torch.linspace(0, TOP, 64 * 9 * 9).view(1, 64, 9, 9)
    added = torch.linspace(-9, 9, 16 * 9 * 9).view(1, 16, 9, 9)
    expected = convolution(quantize(features) * STEP)
    try:
        sums = QuantizedConv2d(convolution, torch.float32)(features, added.clone())
        steps = QuantizedConv2d(convolution, torch.uint8)(features)
        return torch.allclose(sums, expected + added, atol=1e-3) and torch.allclose(
            steps * STEP, expected.clamp(0, TOP), atol=0.51 * STEP
        )
    except Exception:  # whatever has become of them: others do the same
        return False


def quantize_decoder(model: Model_CNN) -> None:
    """Let a network's decoder compute in integers, where that can be done.

    The first convolution is left: what it is given has been through no ReLU6.

    Args:
        model: in eval mode, batch norm folded; is changed, and can only predict then.
    """
    if not are_there():
        return
    skips = reversed(model.encoder.channels[:3])
    for n, (step, c_skip) in enumerate(zip(list(model.steps), skips, strict=True)):
        assert isinstance(step, DecoderStep)
        if n == 0:
            step.mix[1] = QuantizedConv2d(_convolution(step.mix[1]), torch.uint8)
        else:
            model.steps[n] = QuantizedStep(step, c_skip)
    model.add_module("head", QuantizedConv2d(model.head, model.head.weight.dtype))
