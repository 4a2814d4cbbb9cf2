"""A network is made ready to predict: batch norm folded, weights in bf16."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from Model_CNN import Model_CNN


def halve_weights(model: "Model_CNN") -> None:
    """Turn to bf16 the weights that autocast would turn to bf16 each time anew.

    Args:
        model: is changed, works under autocast only, and cannot be trained any more.
    """
    for part in (*model.encoder.stages[1:], model.deepest, model.context, model.steps, model.head):
        part.bfloat16()


def fold_batch_norm(model: nn.Module) -> None:
    """Make every batch normalization part of the convolution before it: the same, but faster.

    Args:
        model: in eval mode; is changed, and cannot be trained any more.
    """
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(1, len(module)):
            convolution, norm = module[i - 1], module[i]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i - 1] = fuse_conv_bn_eval(convolution, norm)
                module[i] = nn.Identity()
