"""perceptual.py against other formulas; its networks as columns of the table."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from support.scenes import ROOT
from torch import nn

import evaluate
from colourizer.network.perceptual import (
    CLASSIFIER_PACKAGE,
    Classifier,
    Inception,
    Lpips,
    frechet_distance,
    kernel_distance,
)
from colourizer.network.pretrained import WeightsError
from Model_CNN import ConvBNReLU, Encoder

CPU = torch.device("cpu")


def features(n, d, seed):
    """Draw n correlated features away from 0."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=rng, dtype=torch.float64)
    return torch.randn(n, d, generator=rng, dtype=torch.float64) @ mix + seed


def save_renamed(network, path):
    """Save a network's weights in order, under names of another package."""
    torch.save({f"other.{i}": value for i, value in enumerate(network.state_dict().values())}, path)


@pytest.fixture(scope="session")
def lite0():
    """EfficientNet-Lite0 as published: three channels in, a thousand classes out."""
    torch.manual_seed(0)
    body = [ConvBNReLU(3, 32, 3, stride=2), *Encoder("lite0").stages, ConvBNReLU(320, 1280, 1)]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(*body, *pool, nn.Linear(1280, 1000))
    for layer in network.modules():  # else random weights let every signal die
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    network(torch.rand(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="session")
def lite0_file(lite0, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "lite0.pth"
    save_renamed(lite0, path)
    return path


@pytest.fixture
def plain_album(tmp_path):
    """Photographs of one colour: there the mean ab is the truth."""
    for i in range(3):
        Image.new("RGB", (40, 40), (180, 90, 60)).save(tmp_path / f"{i}.png")
    return tmp_path


def table(capsys, *args):
    assert evaluate.main([*map(str, args), "--json", "--crop", "32"]) == 0
    return {row["checkpoint"]: row for row in json.loads(capsys.readouterr().out)["rows"]}


def test_the_frechet_distance_of_gaussians_of_known_mean_and_spread():
    ones = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]) * (3 / 4) ** 0.5  # covariance 1
    narrow, wide = ones * torch.tensor([2, 5]), ones * torch.tensor([3, 1]) + torch.tensor([0, 7])
    assert frechet_distance(narrow, wide) == pytest.approx((3 - 2) ** 2 + (5 - 1) ** 2 + 7**2)
    assert frechet_distance(wide, wide) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("n", [200, 20], ids=["many", "fewer than dimensions"])
def test_the_frechet_distance_is_that_of_the_published_formula(n):
    one, two = features(n, 30, seed=0), features(n + 50, 30, seed=1)
    c1, c2 = np.cov(one.numpy().T), np.cov(two.numpy().T)
    root = scipy.linalg.sqrtm(c2)  # tr (c1 c2)^(1/2) = tr (c2^(1/2) c1 c2^(1/2))^(1/2)
    cross = np.sqrt(np.linalg.eigvalsh(root @ c1 @ root).clip(min=0)).sum()
    expected = (one.mean(0) - two.mean(0)).square().sum() + np.trace(c1 + c2) - 2 * cross
    assert frechet_distance(one, two) == pytest.approx(expected.item(), rel=1e-4)


def test_the_kernel_distance_is_that_of_the_published_formula():
    one, two = features(6, 4, seed=0), features(5, 4, seed=1)

    def mean(pairs):
        return np.mean([(float(x @ y) / 4 + 1) ** 3 for x, y in pairs])

    expected = -2 * mean((x, y) for x in one for y in two)
    for half in (one, two):
        others = [(i, j) for i in range(len(half)) for j in range(len(half)) if i != j]
        expected += mean((half[i], half[j]) for i, j in others)
    assert kernel_distance(one, two) == pytest.approx(expected)


def test_the_kernel_distance_of_draws_from_one_distribution_is_about_0():
    draws = features(400, 8, seed=2)
    near, far = kernel_distance(draws[::2], draws[1::2]), kernel_distance(draws, 2 * draws)
    assert abs(near) < 0.01 * far


def test_the_classifier_is_the_published_network(lite0, lite0_file):
    metric = Classifier(str(lite0_file), CPU)
    rgb = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        classes = metric.last(metric.extract(rgb))
        torch.testing.assert_close(classes, lite0((rgb[None] - 0.5) / 0.5)[0])


def test_the_classifier_recognizes_a_cat():
    pytest.importorskip(CLASSIFIER_PACKAGE)
    metric = Classifier(CLASSIFIER_PACKAGE, CPU)
    paths = [ROOT / "data/samples_in_colour/cat_chelsea.jpg"]
    ((_, rgb),) = evaluate.read_photos(paths, 256)
    with torch.inference_mode():
        assert metric.last(metric.extract(rgb)).argmax() in (
            281,
            282,
            285,
        )  # tabby, tiger, Egyptian


def test_same_class_is_the_share_of_photos_that_are_taken_for_the_same(lite0_file):
    metric = Classifier(str(lite0_file), CPU)
    with torch.inference_mode():  # now the largest feature says the class
        metric.last.weight.copy_(torch.eye(1000, 1280))
        metric.last.bias.zero_()
    one, two, three = 10 * torch.eye(1280)[:3]
    metric.true_features = [one, two, three, one]
    metric.features |= {"good": [one, two, three, one], "fair": [one, one, three, three]}
    with torch.inference_mode():
        good, fair = metric.columns("good"), metric.columns("fair")
    assert (good["same class"], fair["same class"]) == (1, 0.5)
    assert good["Lite0 FD"] == 0 < fair["Lite0 FD"]


def test_the_classifier_adds_columns_to_all_rows(plain_album, checkpoint_file, lite0_file, capsys):
    args = [plain_album, "--checkpoint", checkpoint_file, "--classifier", lite0_file]
    rows = table(capsys, *args)
    columns = {"same class", "Lite0 FD", "Lite0 KD x1000"}
    assert all(columns <= set(row) for row in rows.values())
    assert rows["mean ab"]["same class"] == 1
    assert rows["mean ab"]["Lite0 FD"] < rows["grey"]["Lite0 FD"]
    alone = table(capsys, *args, "--limit", 1)["grey"]  # one photograph has no distance to others
    assert columns & set(alone) == {"same class"}


@pytest.mark.parametrize("content", ["text", "other network", "nothing", "list"])
def test_weights_that_are_none_are_named_with_a_hint(tmp_path, content):
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("no")
    elif content == "other network":
        save_renamed(Encoder("lite0"), path)
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    with pytest.raises(WeightsError, match=r"weights\.pth") as error:
        Classifier(str(path), CPU)
    assert "hint: pip install" in error.value.__notes__[0]


class FakeLpips(nn.Module):
    """The interface of lpips.LPIPS; its distance is the mean absolute difference."""

    def __init__(self, net, pnet_rand, verbose):
        super().__init__()
        if not pnet_rand:
            print("Downloading")
            raise OSError("no network")
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))

    def forward(self, one, two, normalize):
        assert normalize
        assert one.shape == two.shape == (1, 3, 32, 32)
        return (one - two).abs().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def fake_lpips(monkeypatch):
    module = ModuleType("lpips")
    module.LPIPS = FakeLpips
    monkeypatch.setitem(sys.modules, "lpips", module)


def test_lpips_loads_the_first_part_of_the_trunk_that_is_named(fake_lpips, tmp_path):
    whole = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(5, 6))
    save_renamed(whole, tmp_path / "vgg.pth")
    loaded = Lpips(tmp_path / "vgg.pth", CPU).network.net
    pairs = zip(loaded.parameters(), whole[:2].parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    save_renamed(nn.Conv2d(3, 4, 5), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth: not the weights of VGG16"):
        Lpips(tmp_path / "other.pth", CPU)


def test_lpips_is_a_column_of_all_rows(
    plain_album, checkpoint_file, fake_lpips, tmp_path_factory, capsys
):
    trunk = tmp_path_factory.mktemp("trunk") / "vgg.pth"
    save_renamed(FakeLpips("vgg", True, False).net, trunk)
    rows = table(capsys, plain_album, "--checkpoint", checkpoint_file, "--lpips", trunk)
    assert rows["mean ab"]["LPIPS"] == 0 < rows["grey"]["LPIPS"]
    assert rows[str(checkpoint_file)]["LPIPS"] > 0


def test_a_trunk_that_cannot_be_downloaded_is_bad_usage(
    plain_album, checkpoint_file, fake_lpips, capsys
):
    args = [plain_album, "--checkpoint", checkpoint_file, "--lpips"]
    assert evaluate.main([*map(str, args)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: VGG16's weights cannot be downloaded (no network)" in err
    assert "hint: --lpips FILE" in err


class FakeInception(nn.Module):
    """The interface of torch-fidelity's extractor; its features are the mean of each channel."""

    def __init__(self, name, features, weights):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        assert features == ["2048"]
        if weights is None:
            raise OSError("no network")
        self.load_state_dict(torch.load(weights, weights_only=False))

    def forward(self, pixels):
        assert pixels.dtype == torch.uint8
        return (pixels.float().mean(dim=(2, 3)),)


@pytest.fixture
def fake_inception(monkeypatch):
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FakeInception
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_fid_is_a_column_of_all_rows(
    plain_album, checkpoint_file, fake_inception, tmp_path_factory, capsys
):
    weights = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save({"bias": torch.zeros(1)}, weights)
    rows = table(capsys, plain_album, "--checkpoint", checkpoint_file, "--fid", weights)
    assert rows["mean ab"]["FID"] < 1 < rows["grey"]["FID"]
    assert rows["mean ab"]["KID x1000"] < rows["grey"]["KID x1000"]


class RunsCode:
    def __reduce__(self):
        return (print, ("code has run",))


def test_weights_of_inception_that_are_none_are_refused(fake_inception, tmp_path, capsys):
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        Inception(None, CPU)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not the weights of Inception-v3"):
        Inception(tmp_path / "other.pth", CPU)
    torch.save({"weight": RunsCode()}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match=r"code\.pth: not a file of weights"):
        Inception(tmp_path / "code.pth", CPU)
    assert "code has run" not in capsys.readouterr().out
