"""The contract with programs that import Colourizer: cheap imports, settings kept, equal files."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.scenes import ROOT, scene

import colourize
from colourizer import Colourizer

# Run in another folder and a fresh process, as a host program would.
HOST_PROGRAM = """
import sys

import colourizer

assert not {"torch", "PIL", "numpy", "simplejpeg"} & sys.modules.keys(), "import colourizer"
import warnings

import torch
from PIL import Image

before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
from colourizer import Colourizer

Colourizer.load(device="cpu")
assert "simplejpeg" not in sys.modules, "Colourizer.load imports image codecs"
assert not any(name.startswith("colourizer.training") for name in sys.modules)
assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before, "settings of the host"
"""


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(str(checkpoint_file), "cpu")


def test_importing_and_loading_leave_the_host_program_as_it_is(tmp_path):
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){HOST_PROGRAM}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_path_in_place_of_an_image_is_refused_with_the_method_that_takes_it(colourizer):
    with pytest.raises(ValueError, match="colourize_file"):
        colourizer.colourize("a.jpg")


def save_photo(path) -> None:
    image = scene(3).convert("L")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6  # 6: to be turned by 90 degrees
    if path.suffix == ".tif":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257 + 5)
    image.save(path, exif=exif, dpi=(300, 300))


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
def test_colourize_file_writes_what_the_command_writes(
    name, colourizer, checkpoint_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    save_photo(tmp_path / name)
    options = ["--checkpoint", str(checkpoint_file), "--device", "cpu", "-o", "command"]
    assert colourize.main([name, *options]) == 0
    colourizer.colourize_file(name, f"library_{name}")
    written = (tmp_path / f"library_{name}").read_bytes()
    assert b"Image Colourizer" in written  # the tag
    assert written == (tmp_path / "command" / name).read_bytes()


def test_colourize_file_keeps_an_existing_file_unless_told_otherwise(colourizer, tmp_path):
    save_photo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        colourizer.colourize_file(tmp_path / "a.png", tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == b"mine"
    colourizer.colourize_file(tmp_path / "a.png", tmp_path / "b.png", overwrite=True)
    assert Image.open(tmp_path / "b.png").mode == "RGB"


def test_files_and_arrays_take_the_same_hints_and_references(colourizer, tmp_path):
    save_photo(tmp_path / "a.png")
    steering = {"hints": [(20, 30, (200, 40, 30))], "reference": scene(4)}
    colourizer.colourize_file(tmp_path / "a.png", tmp_path / "b.png", **steering)
    expected = colourizer.colourize(Image.open(tmp_path / "a.png"), **steering)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), expected)
    assert not np.array_equal(expected, colourizer.colourize(Image.open(tmp_path / "a.png")))
