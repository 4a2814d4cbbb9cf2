"""Muon: steps of momentum made orthogonal, for weights that are matrices; Adam for all others.

Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024; the length of a step
is that of Liu et al., Muon is Scalable for LLM Training, 2025, so that it takes Adam's learning
rates. torch.optim.Muon has matrices only, no kernels of convolutions.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from colourizer.network.device import autocast

MOMENTUM = 0.95
STEP_RMS = 0.2  # root mean square of a step at learning rate 1, about that of Adam
# Newton-Schulz iteration: the coefficients of an odd polynomial of the singular values, by which
# so many iterations bring all but the smallest to between 0.7 and 1.2.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for some parameters and AdamW for others, at one learning rate."""

    def __init__(
        self,
        matrices: list[Tensor],
        others: list[Tensor],
        lr: float,
        weight_decay: float = 0.0,
    ) -> None:
        """Begin with no momentum.

        Args:
            matrices: (M, ...) each, a matrix of M rows: from `hidden_matrices`.
            others: of any shape, for AdamW.
            lr: the learning rate.
            weight_decay: by lr times it all parameters shrink in a step.
        """
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        self.adam = torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take a step along the gradients."""
        (group,) = self.param_groups
        self.adam.param_groups[0]["lr"] = group["lr"]
        self.adam.step()
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
            nesterov = parameter.grad.lerp(state["momentum"], MOMENTUM)
            rows = orthogonalize(nesterov.flatten(1))
            length = STEP_RMS * math.sqrt(max(rows.shape))
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(rows.view_as(parameter), alpha=-group["lr"] * length)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        super().zero_grad(set_to_none)
        self.adam.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return both optimizers' states."""
        return {"muon": super().state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        super().load_state_dict(state_dict["muon"])
        self.adam.load_state_dict(state_dict["adam"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return about U V^T, of a matrix (M, N) = U S V^T with singular values S.

    In bf16 where that is fast.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / x.norm().clamp_min(1e-7)  # no singular value is over 1
    with autocast(matrix.device):
        for _ in range(ITERATIONS):
            gram = x @ x.mT
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    x = x.to(matrix.dtype)
    return x.mT if tall else x


def hidden_matrices(model: nn.Module, head: nn.Module | None = None) -> list[Tensor]:
    """Return the weights of linear layers and convolutions, of each output's as one row.

    Args:
        model: the network; its frozen and depthwise weights are left out.
        head: its last layer, left out as well, whose rows are bins and not features.
    """
    layers = [each for each in model.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    weights = [
        layer.weight
        for layer in layers
        if layer is not head and (isinstance(layer, nn.Linear) or layer.groups == 1)
    ]
    return [weight for weight in weights if weight.requires_grad]
