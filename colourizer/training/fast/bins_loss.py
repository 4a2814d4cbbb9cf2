"""losses.bins_loss with its gradient in closed form, computed in parts that fit a cache."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from colourizer.colour.bins import soft_bins
from colourizer.training.losses import AB_SCALE

# Places at a time: of 261 bins 4 MB in float32. All of a batch's, 130 MB, would be written to
# memory and read again for each of autograd's operations.
PART = 4096


def bins_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Return `losses.bins_loss`; arguments as there. Its gradient cannot be differentiated."""
    loss: Tensor = _BinsLoss.apply(logits, ab, centres)
    return loss


class _BinsLoss(torch.autograd.Function):
    """The loss; its gradient is computed with it, and multiplied in the backward pass."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
        """Compute the loss, a scalar, and keep its gradient with respect to the logits."""
        rows = logits.movedim(1, -1).flatten(0, 2)  # (N, K); of channels_last memory a view
        true = ab.movedim(1, -1).flatten(0, 2)  # (N, 2)
        gradient = torch.empty_like(rows)
        columns = centres.T.contiguous()
        loss = torch.zeros((), device=logits.device)
        parts = zip(rows.split(PART), true.split(PART), gradient.split(PART), strict=True)
        for row, colour, out in parts:
            log_probability = torch.log_softmax(row.float(), dim=-1)
            target = soft_bins(colour, centres)
            loss -= (target * log_probability).sum()
            probability = log_probability.exp_()
            off = F.linear(probability, columns) - colour  # (n, 2)
            loss += off.abs().sum() / (2 * AB_SCALE)
            # d|off|/d logit_k = p_k sign(off) (c_k - mean), d cross-entropy/d logit_k = p_k - t_k.
            sign = off.sign() / (2 * AB_SCALE)
            constant = 1 - (sign * (off + colour)).sum(dim=-1, keepdim=True)
            factor = torch.addmm(constant, sign, columns)
            out.copy_(factor.mul_(probability).sub_(target).div_(len(rows)))
        ctx.save_for_backward(gradient)
        ctx.shape = logits.movedim(1, -1).shape
        return loss / len(rows)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_output: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient with respect to the logits."""
        (gradient,) = ctx.saved_tensors
        return (gradient * grad_output[0]).view(ctx.shape).movedim(-1, 1), None, None
