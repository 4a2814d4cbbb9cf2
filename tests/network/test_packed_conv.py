"""packed_conv.py: the same answers as PyTorch's own convolutions, in less time."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from colourizer.inference.colourizer import Colourizer
from colourizer.network.fast import packed_conv
from colourizer.network.fast.packed_conv import SIZES, PackedConv2d, is_supported, pack_convolutions
from colourizer.network.prepare import fold_batch_norm
from Model_CNN import Model_CNN

pytestmark = pytest.mark.skipif(not is_supported(), reason="oneDNN's operators are not there")


def network() -> Model_CNN:
    torch.manual_seed(0)
    model = Model_CNN().eval()
    for parameter in model.head.parameters():  # which begins as nothing
        nn.init.normal_(parameter, std=0.1)
    fold_batch_norm(model)
    return model.to(memory_format=torch.channels_last)


def packed(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    pack_convolutions(model)
    return model


def some(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype) * 5


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("relu6", [True, False])
@pytest.mark.parametrize(
    ("c_in", "c_out", "kernel", "stride", "groups"),
    [(1, 32, 3, 2, 1), (24, 24, 5, 2, 24), (16, 24, 1, 1, 1), (40, 16, 3, 1, 1)],
)
def test_a_packed_convolution_answers_as_pytorchs(
    c_in, c_out, kernel, stride, groups, relu6, dtype
):
    plain = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups).to(dtype)
    after = nn.Sequential(plain, nn.ReLU6()) if relu6 else plain
    ours = PackedConv2d(plain, relu6)
    for height, width in [(7, 9), (8, 8), (33, 20)]:  # one that is laid out otherwise among them
        features = some(1, c_in, height, width, dtype=dtype)
        assert torch.allclose(ours(features), after(features), atol=1e-4, rtol=1e-2)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96), (96, 64), (50, 70)])
def test_a_network_answers_as_before(size):
    model = network()
    ours = packed(model)
    others = (nn.Conv2d, nn.ReLU6, nn.ZeroPad2d, nn.Identity)
    assert not any(isinstance(part, others) for part in ours.modules())
    assert not any(isinstance(part, nn.Sequential) and len(part) < 2 for part in ours.modules())
    lightness = some(2, 1, *size).abs()
    assert torch.allclose(ours(lightness), model(lightness), atol=1e-3)


def test_a_colourizer_on_the_cpu_has_packed_convolutions():
    parts = {type(part) for part in Colourizer.load(device="cpu").model.modules()}
    assert PackedConv2d in parts
    assert nn.Conv2d not in parts


@torch.inference_mode()
def test_only_the_relu6_right_behind_a_convolution_is_taken_into_it():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 1)),
        nn.ReLU6(),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 1),
        nn.Identity(),
        nn.ReLU6(),
        nn.ReLU6(),
    )
    ours = packed(model)
    assert [type(part) for part in ours][1:] == [
        nn.ReLU6, PackedConv2d, PackedConv2d, nn.Identity, nn.Identity, nn.ReLU6
    ]  # fmt: skip
    assert torch.allclose(ours(some(1, 4, 6, 6)), model(some(1, 4, 6, 6)), atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("padding", "dilation", "is_taken_in"),
    [
        ((0, 1, 0, 1), 1, True),
        ((1, 2, 1, 2), 1, True),
        ((1, 1, 1, 1), 1, True),
        ((2, 1, 2, 1), 1, False),  # more before than behind
        ((0, 1, 1, 0), 1, False),  # not the same at the top as at the left
        ((0, 1, 0, 1), 2, False),
    ],
)
@pytest.mark.parametrize("size", [(9, 12), (12, 9)])
def test_padding_before_a_convolution_is_taken_into_it(padding, dilation, is_taken_in, size):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Identity(),
        nn.ZeroPad2d(padding),
        nn.Conv2d(4, 4, 3, 2, 1, dilation=dilation, groups=4),
        nn.ReLU6(),
    )
    ours = packed(model)
    assert isinstance(ours[1], nn.Identity) == is_taken_in
    assert torch.allclose(ours(some(2, 4, *size)), model(some(2, 4, *size)), atol=1e-4)


class Between(nn.Module):
    """A convolution whose ReLU6 comes after something else."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU6()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.relu(self.convolution(features) + features)


@torch.inference_mode()
def test_outside_of_a_sequence_a_relu6_is_left_where_it_is():
    torch.manual_seed(0)
    model = Between()
    ours = packed(model)
    assert isinstance(ours.convolution, PackedConv2d)
    assert torch.allclose(ours(some(1, 4, 6, 6)), model(some(1, 4, 6, 6)), atol=1e-4)


@torch.inference_mode()
def test_many_sizes_in_many_threads_come_out_right_and_not_all_are_kept():
    plain = nn.Conv2d(8, 8, 3, padding=1)
    ours = PackedConv2d(plain, relu6=False)
    sizes = [(1, 8, side, side + 1) for side in range(3, 3 + 3 * SIZES)] * 4

    def differs(size: tuple[int, ...]) -> float:
        with torch.inference_mode():
            return float((ours(some(*size)) - plain(some(*size))).abs().max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(differs, sizes)) < 1e-3
    assert ours._packed.cache_info().currsize == SIZES


@pytest.mark.parametrize("wrong", ["gone", "fails", "answers something else"])
def test_where_the_operators_are_not_what_they_were_a_model_stays_as_it_is(monkeypatch, wrong):
    def lay_out(weight, *how):
        if wrong == "fails":
            raise RuntimeError("expected 7 arguments")
        return (weight.to_dense() * 2).to_mkldnn()

    if wrong == "gone":
        monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    else:
        monkeypatch.setattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", lay_out)
    assert not is_supported()
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6())
    pack_convolutions(model)
    assert [type(part) for part in model] == [nn.Conv2d, nn.ReLU6]


def test_on_other_processors_a_model_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(packed_conv.platform, "machine", lambda: "arm64")
    assert not is_supported()
