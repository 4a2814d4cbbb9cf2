"""checkpoint.py: what was saved comes back, what is damaged or dangerous does not."""

import os
import pickle

import pytest
import torch

from colourizer.network.checkpoint import (
    CheckpointError,
    build_model,
    load_checkpoint,
    load_encoder_weights,
    model_content,
    save_checkpoint,
)
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.network.pretrained import WeightsError
from Model_CNN import Model_CNN, ModelConfig


def speaking(config: ModelConfig | None = None) -> Model_CNN:
    """A network whose head says something, unlike an untrained one's."""
    torch.manual_seed(0)
    model = Model_CNN(config)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    return model.eval()


@pytest.mark.parametrize("name", ["unet", "classic"])
def test_a_network_comes_back_as_it_was(tmp_path, name):
    model = speaking(ModelConfig("lite2", (24, 16, 8))) if name == "unet" else ClassicCNN()
    path = tmp_path / "a.pt"
    save_checkpoint(path, model_content(model, half=False) | {"about": {"epoch": 3}})
    content = load_checkpoint(path)
    again = build_model(content, path)
    assert content["about"] == {"epoch": 3}
    assert not again.training
    lightness = torch.rand(1, 1, 40, 40) * 100
    assert torch.equal(again.ab_of(again(lightness)), model.ab_of(model.eval()(lightness)))


def test_a_network_that_took_known_colours_predicts_as_if_none_were_known(tmp_path):
    model, path = speaking(), tmp_path / "a.pt"
    content = model_content(model, half=False)
    content["model_config"]["known_colours"] = True
    for step in range(3):
        name = f"steps.{step}.mix.0.0.weight"
        weight = content["model"][name]
        content["model"][name] = torch.cat((weight, torch.rand_like(weight[:, :3])), dim=1)
    save_checkpoint(path, content)
    lightness = torch.rand(1, 1, 40, 40) * 100
    assert torch.equal(build_model(load_checkpoint(path), path)(lightness), model(lightness))


def test_half_precision_halves_the_file_and_hardly_moves_the_colours(tmp_path):
    model = speaking()
    save_checkpoint(tmp_path / "full.pt", model_content(model, half=False))
    save_checkpoint(tmp_path / "half.pt", model_content(model, half=True))
    assert (tmp_path / "half.pt").stat().st_size < 0.52 * (tmp_path / "full.pt").stat().st_size
    lightness = torch.rand(1, 1, 64, 64) * 100
    half = build_model(load_checkpoint(tmp_path / "half.pt"), tmp_path)
    assert (half.ab_of(half(lightness)) - model.ab_of(model(lightness))).abs().max() < 0.5


@pytest.mark.skipif(os.name != "posix", reason="bounds files as posix does")
@pytest.mark.parametrize("room", [0, 1000, 300_000])
def test_a_full_disk_is_an_error_of_the_system_and_leaves_nothing(tmp_path, room):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(tmp_path / "full.pt", {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_the_original_is_recognized(tmp_path):
    torch.manual_seed(0)
    model = ClassicCNN()
    original = {"epoch": 91, "model_state_dict": model.state_dict(), "optimizer_state_dict": {}}
    torch.save(original, tmp_path / "model_epoch_90.pth")
    content = load_checkpoint(tmp_path / "model_epoch_90.pth")
    again = build_model(content, tmp_path)
    grey = torch.rand(1, 1, 16, 16)
    assert torch.equal(again(grey), model.eval()(grey))


def damage(name: str, data: bytes) -> bytes:
    middle = len(data) // 2
    return {
        "empty": b"",
        "half": data[:middle],
        "one byte short": data[:-1],
        "flipped byte": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
        "zeros": bytes(len(data)),
        "web page": b"<!doctype html><title>404</title>",
    }[name]


@pytest.mark.parametrize(
    "name", ["empty", "half", "one byte short", "flipped byte", "zeros", "web page"]
)
def test_a_damaged_file_is_refused_in_one_line_with_a_hint(tmp_path, checkpoint_file, name):
    path = tmp_path / "bad.pt"
    path.write_bytes(damage(name, checkpoint_file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"bad\.pt") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)
    assert error.value.__notes__[0].startswith("hint: ")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_checkpoint_never_runs(tmp_path):
    torch.save({"model": Payload(str(tmp_path / "owned"))}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Payload(str(tmp_path / "owned"))))
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "plain.pt")
    assert not (tmp_path / "owned").exists()


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(ClassicCNN(), tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(tmp_path / "module.pt")


@pytest.mark.parametrize(
    "change", ["missing weight", "other shape", "other network", "other format"]
)
def test_weights_that_do_not_fit_are_refused(tmp_path, checkpoint_file, change):
    content = load_checkpoint(checkpoint_file)
    if change == "missing weight":
        del content["model"]["head.weight"]
    elif change == "other shape":
        content["model"]["head.weight"] = torch.zeros(3, 3)
    elif change == "other network":
        content["model_config"]["encoder"] = "lite9"
    else:
        content["format"] = "someone else's"
    save_checkpoint(tmp_path / "a.pt", content)
    with pytest.raises(CheckpointError):
        build_model(load_checkpoint(tmp_path / "a.pt"), tmp_path / "a.pt")


def imagenet_weights(encoder: str) -> dict[str, torch.Tensor]:
    """Weights in the order and shapes of a published EfficientNet-Lite: RGB stem, encoder, head."""
    generator = torch.Generator().manual_seed(5)
    shapes = [v.shape for v in Model_CNN(ModelConfig(encoder)).encoder.state_dict().values()]
    values = [torch.rand(shape, generator=generator) for shape in shapes]
    values[0] = torch.rand(32, 3, 3, 3, generator=generator)
    head = [torch.rand(1280, 320, 1, 1), torch.rand(1000)]
    return {f"tensor{i}": value for i, value in enumerate([*values, *head])}


def test_the_encoder_starts_from_a_file_and_grey_looks_as_it_did_in_rgb(tmp_path):
    torch.save(imagenet_weights("lite0"), tmp_path / "lite0.pth")
    model = Model_CNN(ModelConfig("lite0"))
    load_encoder_weights(model, str(tmp_path / "lite0.pth"))
    expected = imagenet_weights("lite0")
    ours = list(model.encoder.state_dict().values())
    assert torch.equal(ours[1], expected["tensor1"])
    grey = torch.rand(1, 1, 9, 9)
    in_rgb = torch.nn.functional.conv2d(grey.expand(1, 3, 9, 9), expected["tensor0"])
    assert torch.allclose(torch.nn.functional.conv2d(grey, ours[0]), in_rgb, atol=1e-5)


def test_the_encoder_starts_from_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "lite1_package" / "models").mkdir(parents=True)
    (tmp_path / "lite1_package" / "__init__.py").touch()
    torch.save(imagenet_weights("lite1"), tmp_path / "lite1_package" / "models" / "lite1.pth")
    monkeypatch.syspath_prepend(tmp_path)
    model = Model_CNN(ModelConfig("lite1"))
    load_encoder_weights(model, "lite1_package")
    ours = list(model.encoder.state_dict().values())
    assert torch.equal(ours[-2], imagenet_weights("lite1")[f"tensor{len(ours) - 2}"])


def test_weights_of_another_encoder_or_none_are_refused(tmp_path):
    torch.save(imagenet_weights("lite1"), tmp_path / "lite1.pth")
    model = Model_CNN(ModelConfig("lite0"))
    with pytest.raises(WeightsError, match="not the weights of lite0"):
        load_encoder_weights(model, str(tmp_path / "lite1.pth"))
    with pytest.raises(WeightsError, match="neither a file nor an installed package"):
        load_encoder_weights(model, "no_such_package")
    for source in ("os", "./typo.pth", "../typo.pth"):
        with pytest.raises(WeightsError, match="neither a file nor an installed package"):
            load_encoder_weights(model, source)
    torch.save({"epoch": 3, "model": {}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_encoder_weights(model, str(tmp_path / "other.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_encoder_weights(model, str(tmp_path / "text.pth"))


def test_weights_that_are_no_numbers_are_refused(checkpoint_file, tmp_path):
    content = load_checkpoint(checkpoint_file)
    content["model"]["head.bias"][3] = float("nan")
    with pytest.raises(CheckpointError, match=r"head\.bias"):
        build_model(content, tmp_path / "a.pt")
