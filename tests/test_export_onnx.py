"""export_onnx.py: one file for every runtime, whose colours are those of the checkpoint."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import export_onnx
from colourizer.colour.space import grey_to_lightness, round_to_greys
from colourizer.inference.looks import Look
from colourizer.inference.prediction import Prediction
from colourizer.inference.preprocess import stretch_levels, working_size
from colourizer.network.checkpoint import (
    BUNDLED,
    build_model,
    load_checkpoint,
    model_content,
    save_checkpoint,
)
from colourizer.network.classic_cnn import ClassicCNN
from Model_CNN import Model_CNN, ModelConfig

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
ROOT = Path(__file__).parent.parent
BUNDLED_ONNX = ROOT / "checkpoints" / "colourizer.onnx"
BUNDLED_READOUT = ROOT / "checkpoints" / "colourizer_readout.onnx"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpg"))
READOUTS = [(0.0, 0), (0.5, 0), (1.0, 1)]  # vividness, variant


def run(*args: object) -> int:
    return export_onnx.main([str(arg) for arg in args])


def open_session(path: Path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def settings(vividness: float, variant: int) -> dict[str, np.ndarray]:
    """Return the scalars that the graphs take."""
    return {"vividness": np.array(vividness, np.float32), "variant": np.array(variant, np.int32)}


def small_grey(path: Path) -> np.ndarray:
    """Return a photograph (1, H, W) uint8 of the working size."""
    image = Image.open(path).convert("L")
    height, width = working_size(image.height, image.width)
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))[None]


def ab_differences(checkpoint: Path, exported: Path, greys: list[np.ndarray]) -> list[float]:
    """Return the mean ab differences between a checkpoint and its ONNX, in Lab units."""
    model, session = build_model(load_checkpoint(checkpoint), checkpoint), open_session(exported)
    found = []
    for grey in greys:
        lightness = round_to_greys(stretch_levels(grey_to_lightness(torch.from_numpy(grey) / 255)))
        prediction = Prediction.of_plain_network(model, lightness[None])
        for vividness, variant in READOUTS:
            ab = session.run(["ab"], {"grey": grey, **settings(vividness, variant)})[0]
            expected = prediction.ab(Look(vividness), variant).numpy()
            assert ab.shape == expected.shape
            found.append(float(np.abs(ab - expected).mean()))
    return found


def save_random(path: Path, model: Model_CNN | ClassicCNN) -> Path:
    """Save a network with random weights; return its path."""
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    save_checkpoint(path, model_content(model, half=True))
    return path


def test_the_onnx_in_the_repository_belongs_to_the_checkpoint_in_the_repository():
    facts = open_session(BUNDLED_ONNX).get_modelmeta().custom_metadata_map
    hint = "export it again: python export_onnx.py"
    assert facts["checkpoint_sha256"] == hashlib.sha256(BUNDLED.read_bytes()).hexdigest(), hint
    assert "multiples of 32" in facts["how_to_prepare"]
    assert "MIT" in facts["licence"]
    assert BUNDLED_ONNX.stat().st_size <= export_onnx.MAX_BYTES


def test_the_onnx_in_the_repository_gives_the_colours_of_the_checkpoint():
    differences = ab_differences(BUNDLED, BUNDLED_ONNX, [small_grey(p) for p in SAMPLES[:3]])
    in_8_bits = (
        "8 bits in 0 layers"
        not in (open_session(BUNDLED_ONNX).get_modelmeta().custom_metadata_map["weights"])
    )
    assert np.mean(differences) < (0.4 if in_8_bits else 0.15)
    assert max(differences) < 1


def test_the_readout_alone_gives_the_colours_of_the_whole_with_other_settings():
    whole, readout = open_session(BUNDLED_ONNX), open_session(BUNDLED_READOUT)
    facts = readout.get_modelmeta().custom_metadata_map
    hint = "export it again: python export_onnx.py --readout"
    assert facts["checkpoint_sha256"] == hashlib.sha256(BUNDLED.read_bytes()).hexdigest(), hint
    grey = {"grey": small_grey(SAMPLES[0])}
    names = [value.name for value in whole.get_outputs()]
    known = dict(zip(names, whole.run(None, {**grey, **settings(0.2, 0)}), strict=True))
    height, width = grey["grey"].shape[1:]
    assert known["features"].shape[2:] == (height // 8, width // 8)
    inputs = {value.name: known.get(value.name) for value in readout.get_inputs()}
    for vividness, variant in READOUTS:
        (expected,) = whole.run(["ab"], {**grey, **settings(vividness, variant)})
        (ab,) = readout.run(["ab"], {**inputs, **settings(vividness, variant)})
        assert np.abs(ab - expected).max() < 0.1  # constants in half precision, or not


@pytest.mark.parametrize("size", [(48, 64), (64, 100)])
def test_sizes_that_are_no_multiples_of_32_are_refused(size):
    with pytest.raises(Exception, match="dimensions must match"):
        open_session(BUNDLED_ONNX).run(
            None, {"grey": np.zeros((1, *size), np.uint8), **settings(0, 0)}
        )


@pytest.mark.long
def test_it_exports_attention(checkpoint_file, tmp_path, capsys):
    exported = tmp_path / "small.onnx"
    assert run(checkpoint_file, "-o", exported) == 0
    size = exported.stat().st_size / 1e6
    assert capsys.readouterr().out == f"{exported}, {size:.1f} MB\n"
    greys = [small_grey(path)[:, :96, :160].copy() for path in SAMPLES[:2]]
    assert np.mean(ab_differences(checkpoint_file, exported, greys)) < 0.15
    content = exported.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    assert {value.name for value in open_session(exported).get_inputs()} == {
        "grey",
        "vividness",
        "variant",
    }


@pytest.mark.long
def test_the_same_checkpoint_gives_the_same_file(checkpoint_file, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        assert run(checkpoint_file, "-o", tmp_path / name) == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.long
def test_with_8_bits_colours_stay_near(tmp_path):
    exported = tmp_path / "small.onnx"
    assert run(BUNDLED, "-o", exported, "--max-megabytes", 7) == 0
    assert exported.stat().st_size <= 7e6
    differences = ab_differences(BUNDLED, exported, [small_grey(p) for p in SAMPLES[:3]])
    assert np.mean(differences) < 0.4


@pytest.mark.long
@pytest.mark.parametrize("kind", ["classic", "without likelihoods"])
def test_networks_without_likelihoods_have_ab_alone(tmp_path, kind):
    torch.manual_seed(0)
    likelihoods = ModelConfig(likelihoods=False, attention_blocks=0)
    model = ClassicCNN() if kind == "classic" else Model_CNN(likelihoods)
    checkpoint = save_random(tmp_path / "small.pt", model)
    assert run(checkpoint, "--readout") == 2
    assert not checkpoint.with_suffix(".onnx").exists()
    assert run(checkpoint) == 0
    exported = tmp_path / "small.onnx"
    assert [value.name for value in open_session(exported).get_outputs()] == ["ab"]
    assert np.mean(ab_differences(checkpoint, exported, [small_grey(SAMPLES[0])])) < 0.15


def test_what_is_missing_or_no_checkpoint_is_named_and_nothing_written(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "torn.pt").write_bytes(b"torn")
    assert run(tmp_path / "torn.pt") == 2
    assert f"error: {tmp_path / 'torn.pt'}: not a checkpoint" in capsys.readouterr().err
    monkeypatch.setattr(export_onnx, "find_spec", lambda name: name != "onnxscript")
    assert run(BUNDLED, "-o", tmp_path / "x.onnx") == 2
    error = capsys.readouterr().err
    assert error == 'error: needs onnxscript\nhint: pip install -e ".[onnx]"\n'
    assert [path.name for path in tmp_path.iterdir()] == ["torn.pt"]


def test_where_nothing_can_be_written_nothing_is_exported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export_onnx, "export", lambda *_: pytest.fail("exported"))
    (tmp_path / "file").write_bytes(b"")
    assert run(BUNDLED, "-o", tmp_path) == 2
    assert f"error: {tmp_path}: is a folder\nhint: " in capsys.readouterr().err
    assert run(BUNDLED, "-o", tmp_path / "file" / "x.onnx") == 2
    assert f"{tmp_path / 'file'} is a file, not a folder\nhint: " in capsys.readouterr().err
