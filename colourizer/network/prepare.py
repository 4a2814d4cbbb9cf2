"""A network made ready to predict; all use of the kernels in fast/ is decided here.

The plain definition is `model.eval()`. What is done here changes predictions by no more than
rounding; the network cannot be trained afterwards.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colourizer.network.checkpoint import Network
from colourizer.network.device import is_fast_in_bf16
from colourizer.network.fast.packed_conv import pack_convolutions
from colourizer.network.fast.quantized_decoder import QuantizedConv2d, quantize_decoder
from Model_CNN import Model_CNN


def prepare_for_inference(model: Network, device: torch.device) -> Network:
    """Fold, quantize, pack and move a network, as far as the device gains by it.

    Args:
        model: is changed.
        device: where it is to predict.

    Returns:
        The model, in eval mode, in channels_last memory, on the device.
    """
    fold_batch_norm(model.eval())
    if isinstance(model, Model_CNN):
        if is_fast_in_bf16(device):
            cast_to_bf16(model)
        if device.type == "cpu":
            quantize_decoder(model)  # before packing, which takes the convolutions that are left
            pack_convolutions(model)
    return model.to(device).to(memory_format=torch.channels_last)


def cast_to_bf16(model: Model_CNN) -> None:
    """Cast the weights to bf16 that autocast would cast anew at each forward pass."""
    decoder = (model.deepest, model.context, model.attention, model.steps, model.head)
    for part in (*model.encoder.stages[1:], *decoder):
        part.bfloat16()


def fold_batch_norm(model: nn.Module) -> None:
    """Fold each batch normalization into the convolution before it; the model is in eval mode."""
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(1, len(module)):
            convolution, norm = module[i - 1], module[i]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i - 1] = fuse_conv_bn_eval(convolution, norm)
                module[i] = nn.Identity()


def name_precision(model: Network, device: torch.device) -> str:
    """Return what a prepared network computes in: float32 or bfloat16; "+int8" if quantized."""
    fast = isinstance(model, Model_CNN) and is_fast_in_bf16(device)
    quantized = any(isinstance(module, QuantizedConv2d) for module in model.modules())
    return ("bfloat16" if fast else "float32") + ("+int8" if quantized else "")
