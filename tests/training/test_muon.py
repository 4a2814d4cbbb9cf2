"""muon.py: orthogonal steps for matrices, Adam's for all others."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from colourizer.training.muon import Muon, hidden_matrices, orthogonalize
from colourizer.training.options import parse_args
from colourizer.training.state import make_optimizer
from Model_CNN import Model_CNN

# In bf16, where torch.optim.Muon always is, singular values are off by a few hundredths.
COARSE = 0.05


def matrix_of(singular_values: list[float], rows: int, columns: int) -> torch.Tensor:
    """Return a random matrix that has these singular values."""
    torch.manual_seed(0)
    left = torch.linalg.qr(torch.randn(rows, len(singular_values))).Q
    right = torch.linalg.qr(torch.randn(columns, len(singular_values))).Q
    return left @ torch.diag(torch.tensor(singular_values)) @ right.T


@pytest.mark.parametrize(("rows", "columns"), [(24, 60), (60, 24), (24, 24)])
def test_large_and_small_singular_values_become_nearly_one(rows, columns):
    values = [1000.0, 100.0, 30.0, 20.0, 10.0]
    found = torch.linalg.svdvals(orthogonalize(matrix_of(values, rows, columns)))
    assert ((found[:5] > 0.6) & (found[:5] < 1.3)).all()


def test_singular_vectors_stay_as_they_are():
    torch.manual_seed(0)
    matrix = torch.randn(16, 40)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalize(matrix) @ right.T
    assert (turned - torch.diag(turned.diag())).abs().max() < COARSE
    assert (turned.diag() > 0.6).all()


def test_a_gradient_of_nothing_moves_nothing():
    assert orthogonalize(torch.zeros(4, 6)).abs().max() == 0


def test_a_matrix_gets_the_steps_of_pytorch_s_own_muon():
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(32, 48))
    theirs = nn.Parameter(ours.detach().clone())
    muon = Muon([ours], [nn.Parameter(torch.zeros(1))], lr=0.02, weight_decay=0.1)
    oracle = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    before = ours.detach().clone()
    for _ in range(4):
        gradient = torch.randn(32, 48)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        oracle.step()
    moved = (theirs - before).norm()
    assert (ours - theirs).norm() < COARSE * moved


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_is_a_matrix_with_one_row_for_each_output(memory_format):
    torch.manual_seed(0)
    kernel, gradient = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    convolution = nn.Parameter(kernel.clone(memory_format=memory_format))
    matrix = nn.Parameter(kernel.flatten(1).clone())
    muon = Muon([convolution, matrix], [nn.Parameter(torch.zeros(1))], lr=0.1)
    convolution.grad = gradient.to(memory_format=memory_format)
    matrix.grad = gradient.flatten(1)
    muon.step()
    assert torch.allclose(convolution.flatten(1), matrix, atol=1e-6)
    assert not torch.allclose(matrix, kernel.flatten(1), atol=1e-2)


def test_all_other_parameters_get_adam_s_steps_at_the_same_learning_rate():
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(7))
    theirs = nn.Parameter(ours.detach().clone())
    muon = Muon([nn.Parameter(torch.zeros(2, 2))], [ours], lr=1.0)
    oracle = torch.optim.AdamW([theirs], lr=1.0, weight_decay=0.0)
    for rate in (0.1, 0.01):
        for group in (*muon.param_groups, *oracle.param_groups):
            group["lr"] = rate
        gradient = torch.randn(7)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        oracle.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_saved_state_goes_on_bit_for_bit():
    def new() -> tuple[nn.Linear, Muon]:
        torch.manual_seed(0)
        layer = nn.Linear(6, 4)
        return layer, Muon([layer.weight], [layer.bias], lr=0.05)

    def step(layer: nn.Linear, muon: Muon, seed: int) -> None:
        torch.manual_seed(seed)
        muon.zero_grad()
        layer(torch.randn(5, 6)).square().sum().backward()
        muon.step()

    layer, muon = new()
    step(layer, muon, 1)
    saved = copy.deepcopy((layer.state_dict(), muon.state_dict()))
    step(layer, muon, 2)
    again, optimizer = new()
    again.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    step(again, optimizer, 2)
    assert torch.equal(again.weight, layer.weight) and torch.equal(again.bias, layer.bias)


def test_gradients_are_forgotten_by_both():
    layer = nn.Linear(3, 2)
    muon = Muon([layer.weight], [layer.bias], lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    muon.zero_grad()
    assert layer.weight.grad is None and layer.bias.grad is None


def test_the_head_depthwise_kernels_and_what_is_frozen_are_no_matrices_of_its():
    model = Model_CNN()
    model.freeze_encoder(3)
    matrices = {id(weight) for weight in hidden_matrices(model, model.head)}
    names = [name for name, weight in model.named_parameters() if id(weight) in matrices]
    assert "head.weight" not in names and "steps.0.mix.0.0.weight" in names
    assert "attention.0.qkv.weight" in names and "context.weight" in names
    assert not any(name.startswith(("encoder.stem", "encoder.stages.0.")) for name in names)
    assert not any("position" in name for name in names)  # depthwise
    assert all(weight.flatten(1).shape[1] > 9 for weight in hidden_matrices(model, model.head))


def test_every_parameter_that_is_not_frozen_learns():
    model = Model_CNN()
    model.freeze_encoder(3)
    muon = make_optimizer(model, parse_args(["--recipe", "best"]))
    assert isinstance(muon, Muon)
    groups = [*muon.param_groups, *muon.adam.param_groups]
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_fine_tuning_and_training_from_nothing_are_adam_s():
    for arguments in ([], ["--recipe", "scratch"]):
        optimizer = make_optimizer(Model_CNN(), parse_args(arguments))
        assert type(optimizer) is torch.optim.Adam


def test_muon_learns_a_deep_map_in_fewer_steps_than_adam():
    """The rate of each is the best of several for it."""

    def loss_after(name: str, rate: float, steps: int = 60) -> float:
        torch.manual_seed(0)
        layers = [nn.Linear(32, 32, bias=False) for _ in range(4)]
        truth = torch.randn(32, 32) @ torch.diag(torch.logspace(0, -2, 32)) @ torch.randn(32, 32)
        network = nn.Sequential(*layers)
        weights = [layer.weight for layer in layers]
        if name == "adam":
            optimizer: torch.optim.Optimizer = torch.optim.Adam(weights, lr=rate)
        else:
            optimizer = Muon(weights, [nn.Parameter(torch.zeros(1))], lr=rate)
        inputs = torch.randn(256, 32)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - step / steps)
            optimizer.zero_grad()
            loss = F.mse_loss(network(inputs), inputs @ truth.T)
            loss.backward()
            optimizer.step()
        return loss.item()

    rates = (0.003, 0.01, 0.03, 0.1, 0.3)
    best = {name: min(loss_after(name, rate) for rate in rates) for name in ("adam", "muon")}
    assert best["muon"] < best["adam"]
