"""The decoder quantized to 8-bit integers, for prediction on x86: half the time of bf16.

Activations after ReLU6 lie in [0, 6], so their scale needs no calibration; weights are quantized
symmetrically per output channel: Jacob et al., CVPR 2018, section 2. The encoder's features are
unbounded and stay in floating point. Colours are as near to those of fp32 as with bf16 alone
(docs/experiments.md). The plain definition is DecoderStep.

As in packed_conv.py, the oneDNN operators are not documented: they are used only where they exist
and are right; without VNNI, sums of products overflow.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colourizer.network.fast import packed_conv
from colourizer.network.fast.packed_conv import SIZES, PackedConv2d
from Model_CNN import ConvBNReLU, DecoderStep, Model_CNN

MAX_ACTIVATION, LEVELS = 6.0, 255  # of ReLU6; quantization levels above 0
SCALE = MAX_ACTIVATION / LEVELS


def quantize(features: Tensor) -> Tensor:
    """Return activations of any shape, clamped to [0, 6], as uint8 multiples of SCALE."""
    return _round(features.float().clamp(0, MAX_ACTIVATION) / SCALE)


def dequantize(features: Tensor) -> Tensor:
    """Return activations as float32; those that are uint8 are multiples of SCALE."""
    return features.float() * SCALE if features.dtype == torch.uint8 else features.float()


def _round(levels: Tensor) -> Tensor:
    """Round float32 in [0, 255] to uint8, in place."""
    return levels.add_(0.5).to(torch.int16).to(torch.uint8)  # directly takes five times as long


class QuantizedConv2d(nn.Module):
    """A convolution of quantized activations; for prediction only."""

    def __init__(self, convolution: nn.Conv2d, out: torch.dtype) -> None:
        """Take a convolution's weights.

        Args:
            convolution: its weights must not change afterwards.
            out: type of the output; uint8 is quantized, after a ReLU6.
        """
        super().__init__()
        weight = convolution.weight.detach().float()
        self.scale = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-9) / 127  # (c_out,)
        self.weight = (weight / self.scale[:, None, None, None]).round().to(torch.int8)
        self.zero_point = torch.zeros(len(weight), dtype=torch.int64)
        self.bias = None if convolution.bias is None else convolution.bias.detach().float()
        self.out = out
        self._arguments: tuple[Any, ...] = (
            convolution.stride, convolution.padding, convolution.dilation, convolution.groups
        )  # fmt: skip
        self._packed = lru_cache(SIZES)(self._pack)

    def _pack(self, shape: torch.Size) -> Tensor:
        """Return the weights packed for an input shape (c_in, H, W)."""
        pack, one = torch.ops.onednn.qconv_prepack, (1, *shape)
        return pack(self.weight, self.scale, SCALE, 0, *self._arguments, one)

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H', W').

        Args:
            features: uint8, quantized; or float, which is quantized first.
            added: (B, c_out, H', W') of the type of the output, not uint8; added in place.
        """
        if features.dtype != torch.uint8:
            features = quantize(features)
        weights = self._packed(features.shape[1:]), self.scale, self.zero_point
        out_scale = SCALE if self.out == torch.uint8 else 1.0
        arguments = (self.bias, *self._arguments, out_scale, 0, self.out)
        convolve = torch.ops.onednn.qconv2d_pointwise
        if added is None:
            return convolve(features, SCALE, 0, *weights, *arguments, "none", [], "")
        added = added.contiguous(memory_format=torch.channels_last)
        return convolve.binary(
            features, SCALE, 0, *weights, added, *arguments, 1.0, 0, "sum", 1.0, "none", [], ""
        )


class QuantizedStep(nn.Module):
    """A DecoderStep in integers, except for the skip connection."""

    def __init__(self, step: DecoderStep, c_skip: int) -> None:
        """Take a step, its batch norm folded, and the channels of its skip.

        The convolution of a concatenation is the sum of the convolutions of its parts.
        """
        super().__init__()
        first, last = (_convolution(part) for part in step.mix)
        c_in = first.in_channels - c_skip
        self.first = QuantizedConv2d(_part(first, slice(c_in)), first.weight.dtype)
        self.of_skip = PackedConv2d(_part(first, slice(c_in, None)), relu6=False)
        self.of_skip.bias = None  # it is in self.first
        self.last = QuantizedConv2d(last, torch.uint8)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, c_in, H, W) and the skip (B, c_skip, 2H, 2W) to (B, c_out, 2H, 2W) uint8.

        As DecoderStep, but quantized; the features are uint8, or float and quantized first; the
        skip is in its own units.
        """
        if features.dtype != torch.uint8:  # of the self-attention
            features = quantize(features)
        large = F.interpolate(features.float(), scale_factor=2, mode="bilinear")
        return self.last(self.first(_round(large), self.of_skip(skip)))


def _convolution(part: nn.Module) -> nn.Conv2d:
    """Return the convolution of a ConvBNReLU."""
    assert isinstance(part, ConvBNReLU)
    convolution = part[0]
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def _part(convolution: nn.Conv2d, channels: slice) -> nn.Conv2d:
    """Return the part of a 3x3 convolution that reads some input channels, with the bias."""
    weight = convolution.weight.detach()[:, channels]
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, device="meta")
    part.weight, part.bias = nn.Parameter(weight), convolution.bias
    return part


@torch.inference_mode()
def is_supported() -> bool:
    """Return whether the oneDNN operators exist here and equal their plain definition."""
    if not packed_conv.is_supported():  # needed too
        return False
    convolution = nn.Conv2d(64, 16, 3, padding=1)
    nn.init.constant_(convolution.weight, 0.01)  # all at the largest level
    features = torch.linspace(0, MAX_ACTIVATION, 64 * 9 * 9).view(1, 64, 9, 9)
    added = torch.linspace(-9, 9, 16 * 9 * 9).view(1, 16, 9, 9)
    expected = convolution(quantize(features) * SCALE)
    try:
        sums = QuantizedConv2d(convolution, torch.float32)(features, added.clone())
        levels = QuantizedConv2d(convolution, torch.uint8)(features)
        return torch.allclose(sums, expected + added, atol=1e-3) and torch.allclose(
            levels * SCALE, expected.clamp(0, MAX_ACTIVATION), atol=0.51 * SCALE
        )
    except Exception:  # the operators have changed: the decoder stays in floating point
        return False


def quantize_decoder(model: Model_CNN) -> None:
    """Quantize a network's decoder, where supported.

    Its first convolution stays in floating point: no ReLU6 bounds its input. So does what the
    self-attention after the first step reads.

    Args:
        model: in eval mode, batch norm folded; is changed, and can only predict afterwards.
    """
    if not is_supported():
        return
    skips = reversed(model.encoder.channels[:3])
    for n, (step, c_skip) in enumerate(zip(list(model.steps), skips, strict=True)):
        assert isinstance(step, DecoderStep)
        if n == 0:
            last = _convolution(step.mix[1])
            is_read_by_attention = model.config.attention_blocks > 0
            quantized = QuantizedConv2d(
                last, last.weight.dtype if is_read_by_attention else torch.uint8
            )
            step.mix[1] = (
                nn.Sequential(quantized, nn.ReLU6()) if is_read_by_attention else quantized
            )
        else:
            model.steps[n] = QuantizedStep(step, c_skip)
    model.add_module("head", QuantizedConv2d(model.head, model.head.weight.dtype))
