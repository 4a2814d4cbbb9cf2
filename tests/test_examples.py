"""examples/: the network without PyTorch, in the colours of colourize.py."""

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from colourizer import Colourizer
from colourizer.inference.preprocess import WORKING_PIXELS
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from Model_CNN import STRIDE

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
ROOT = Path(__file__).parent.parent
PYTHON, NODE = ROOT / "examples" / "python", ROOT / "examples" / "node"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpg"))[:3]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
DESCRIPTION, ORIENTATION = 0x010E, 0x0112  # EXIF tags


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of photographs of several formats, a lying one with metadata, and a broken one."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for path, name in zip(SAMPLES, ("a.jpg", "sub/b.png", "c.tif"), strict=True):
        Image.open(path).save(folder / name, quality=95)
    image = Image.open(SAMPLES[0]).convert("L")
    exif = image.getexif()
    exif[DESCRIPTION], exif[ORIENTATION] = "Grandmother", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = Image.merge("RGB", [image.point(lambda v, k=k: v * k // 9) for k in (9, 8, 6)])
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    for suffix in ("jpg", "png", "webp"):
        options: dict[str, Any] = {"pnginfo": text} if suffix == "png" else {"xmp": XMP}
        options |= {"exif": exif, "icc_profile": profile, "dpi": (300, 300)}
        colours.save(folder / f"lying.{suffix}", **options)
    Image.merge("LA", (image, image.point(lambda v: 255 - v))).save(folder / "clear.png")
    (folder / "broken.jpg").write_bytes(b"no photograph")
    return folder


def check(command: list[object], photos: Path, out: Path) -> None:
    """Run an example and check what it wrote."""
    done = subprocess.run(
        [*map(str, command), str(photos), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr  # for the broken one
    assert "broken.jpg" in done.stderr and done.stderr.count("\n") == 1
    sources = sorted(path for path in photos.rglob("*.*") if path.name != "broken.jpg")
    targets = [out / path.relative_to(photos) for path in sources]
    assert sorted(done.stdout.splitlines()) == sorted(map(str, targets))
    colourizer = Colourizer.load(device="cpu")
    for source, target in zip(sources, targets, strict=True):
        with Image.open(source) as before, Image.open(target) as after:
            assert after.format == before.format
            assert ("A" in after.getbands()) == ("A" in before.getbands())
            ours = colourizer.colourize(before).astype(int)
            theirs = np.asarray(after.convert("RGB")).astype(int)
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).mean() < 2, source.name
            if before.mode == "LA":
                alpha = np.asarray(before.getchannel("A"))
                assert np.array_equal(np.asarray(after.getchannel("A")), alpha)
            if source.stem == "lying":
                assert after.getexif()[DESCRIPTION] == "Grandmother"
                assert after.getexif().get(ORIENTATION, 1) == 1
                xmp = after.info.get("xmp") or after.info["XML:com.adobe.xmp"].encode()
                assert b"rdf:RDF" in xmp
                profile = ImageCms.ImageCmsProfile(io.BytesIO(after.info["icc_profile"]))
                assert ImageCms.getProfileDescription(profile).startswith("sRGB")
                if after.format != "WEBP":
                    assert after.info["dpi"][0] == pytest.approx(300, abs=1)


def test_the_python_example_gives_the_colours_of_colourize(photos, tmp_path):
    script = PYTHON / "colour_folder.py"
    assert len(script.read_text().splitlines()) <= 150
    check([sys.executable, script], photos, tmp_path / "out")


def test_the_node_example_has_the_constants_of_colourize():
    script = (NODE / "colour_folder.js").read_text()
    assert f"const DEFAULT_VIVIDNESS = {DEFAULT_VIVIDNESS};" in script
    assert f"const MULTIPLE = {STRIDE};" in script
    assert WORKING_PIXELS == 256 * 256 and "const WORKING_PIXELS = 256 * 256;" in script


def test_the_node_example_gives_the_colours_of_colourize(photos, tmp_path):
    if not (NODE / "node_modules").exists() or not (node := shutil.which("node")):
        pytest.skip("node is not installed, or npm ci has not been run in examples/node")
    check([node, NODE / "colour_folder.js"], photos, tmp_path / "out")
