"""web/: the page without a server, in a browser: it colours, keeps metadata, works offline."""

import base64
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from support.browser_page import (
    add,
    chroma,
    chroma_by_vividness,
    drop,
    edit,
    pixels,
    save_download,
    settled,
    wish,
)
from support.scenes import SAMPLES, scene
from support.static_site import PATIENCE

from colourizer.inference.lightness import to_grey
from colourizer.inference.readout import DEFAULT_VIVIDNESS

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
MAX_FIRST_LOAD = 18_000_000  # bytes
MAX_GROWTH = 250_000_000  # bytes of memory, from some photographs to many
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
    b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff='
    b'"http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Artist="Ann"/></rdf:RDF>'
    b"</x:xmpmeta>"
)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def chroma_of_page(page: Any, grey: np.ndarray) -> np.ndarray:
    """Return ab (2, h, w) that the page's own network gives for a picture (H, W) uint8."""
    height, width = grey.shape
    found = page.evaluate(
        """async ([text, height, width, vividness]) => {
            const network = await import("./network.js");
            const grey = Uint8Array.from(atob(text), c => c.charCodeAt(0));
            const outputs = await network.predict(grey, height, width);
            const {a, b} = await network.readOut(outputs, vividness, 0);
            return [[...a], [...b]];
        }""",
        [base64.b64encode(grey.tobytes()).decode(), height, width, DEFAULT_VIVIDNESS],
    )
    return np.array(found).reshape(2, height // 4, width // 4)


def test_a_first_visit_takes_18_mb_and_gives_grey_at_once_and_then_colour(context, site, page):
    drop(page, {"cat_chelsea.jpg": (SAMPLES / "cat_chelsea.jpg").read_bytes()})
    assert page.locator(".card img").first.get_attribute("class") == "grey"
    page.get_by_text("1 of 1 coloured").wait_for()
    assert chroma(pixels(page, ".card img:last-child")) > 15
    assert "/colourizer.onnx.gz" in site.sent
    assert sum(site.sent.values()) < MAX_FIRST_LOAD


def test_colours_are_those_of_onnxruntime_and_the_picture_that_of_the_command(page):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from colourizer.inference.colourizer import Colourizer

    session = onnxruntime.InferenceSession(ROOT / "checkpoints" / "colourizer.onnx")
    settings = {"vividness": np.float32(DEFAULT_VIVIDNESS), "variant": np.int32(0)}
    settings = {name: np.array(value) for name, value in settings.items()}
    colourizer = Colourizer.load(device="cpu")
    for name in ("coffee.jpg", "cat_chelsea.jpg"):
        image = Image.open(SAMPLES / name)
        grey = np.asarray(image.convert("L").resize((288, 224)))
        expected = session.run(["ab"], {"grey": grey[None], **settings})[0][0]
        assert np.abs(chroma_of_page(page, grey) - expected).max() < 0.05
        add(page, SAMPLES / name, seconds=PATIENCE)
        edit(page, name.removesuffix(".jpg"))
        shown = pixels(page)
        own = np.asarray(image.convert("RGB").resize(shown.shape[1::-1])).astype(int)
        coloured = np.asarray(colourizer.colourize(image.convert("RGB"))).astype(int)
        assert shown.shape == coloured.shape == own.shape
        assert np.abs(shown - coloured).mean() < 2
        page.get_by_role("button", name="Back to all").click()
        page.get_by_role("button", name="Remove all").click()


def test_the_slider_shows_more_or_less_of_the_grey_photograph(page):
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    edit(page, "coffee")
    page.get_by_role("slider", name="Compare").fill("75")
    clip = page.eval_on_selector(":is(#before, #grey)", "e => getComputedStyle(e).clipPath")
    assert clip == "inset(0px 25% 0px 0px)"
    assert chroma(pixels(page, ":is(#before, #grey) > *")) == 0


def test_vividness_variants_hints_and_confidence_are_followed_at_once(page):
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    edit(page, "coffee")
    first = pixels(page)
    strengths = chroma_by_vividness(page)
    assert strengths[0] < strengths[1] < strengths[2]
    page.get_by_role("radio", name="Variant 3").click()
    settled(page)
    assert wish(page)["variant"] == 2
    assert np.abs(pixels(page) - first).mean() > 1
    page.get_by_role("button", name="Undo all changes").click()
    settled(page)
    assert np.array_equal(pixels(page), first)


def test_a_hint_colours_what_belongs_to_the_spot(page):
    add(page, SAMPLES / "cat_chelsea.jpg", seconds=PATIENCE)
    edit(page, "cat_chelsea")
    before = pixels(page)
    page.locator("#add-hint").click()
    page.get_by_label("Colour of hint 1").fill("#2040d0")
    settled(page)
    after = pixels(page)
    height, width = after.shape[:2]
    there = slice(height // 2 - 3, height // 2 + 3), slice(width // 2 - 3, width // 2 + 3)
    was, is_now = (rgb[there].mean(axis=(0, 1)) for rgb in (before, after))
    assert is_now[2] - is_now[0] > was[2] - was[0] + 30
    page.get_by_role("button", name="Remove hint 1").click()
    settled(page)
    assert np.array_equal(pixels(page), before)


def test_a_jpeg_keeps_its_size_exif_xmp_and_profile_and_stands_upright(page, tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6  # turned by a quarter
    exif[0x10F] = "Camera"
    exif[0x131] = "Scanner"
    exif[0x115] = 1  # sample of each pixel
    exif.get_ifd(0x8769)[0x9003] = "1950:01:02 03:04:05"
    exif.get_ifd(0x8769)[0xA002] = 301
    exif.get_ifd(0x8769)[0xA003] = 200
    content = encoded(
        scene(1, 200, 301), "JPEG", exif=exif, icc_profile=ICC, xmp=XMP, comment=b"aunt Mary",
        dpi=(300, 300), quality=95
    )  # fmt: skip
    drop(page, {"aunt.JPG": content})
    page.get_by_text("1 of 1 coloured").wait_for()
    path = save_download(page, "Download", tmp_path)
    assert path.name == "aunt.JPG"
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (200, 301))
        assert image.info["icc_profile"] == ICC
        assert image.info["comment"] == b"aunt Mary"
        assert image.info["dpi"] == (300, 300)
        assert b'tiff:Orientation="1" tiff:Artist="Ann"' in image.info["xmp"]
        found = image.getexif()
        assert found[0x112] == 1
        assert found[0x10F] == "Camera"
        assert 0x115 not in found
        assert found[0x131] == "Scanner; colourized with Image Colourizer"
        assert found.get_ifd(0x8769)[0x9003] == "1950:01:02 03:04:05"
        assert [found.get_ifd(0x8769)[tag] for tag in (0xA002, 0xA003)] == [200, 301]
        assert chroma(np.asarray(image).astype(int)) > 3
        upright = Image.open(io.BytesIO(content)).transpose(Image.Transpose.ROTATE_270)
        greys = [to_grey(np.asarray(picture)).astype(int) for picture in (image, upright)]
        assert np.abs(greys[0] - greys[1]).mean() < 2


def test_a_png_keeps_its_transparency_texts_exif_and_profile(page, tmp_path):
    image = scene(2, 120, 160).convert("L").convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    texts = PngInfo()
    texts.add_text("Title", "Aunt Mary")
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    exif = Image.Exif()
    exif[0x10F] = "Camera"
    content = encoded(image, "PNG", pnginfo=texts, icc_profile=ICC, exif=exif, dpi=(300, 300))
    drop(page, {"album/größe.png": content})
    page.get_by_text("1 of 1 coloured").wait_for()
    with Image.open(save_download(page, "Download", tmp_path)) as found:
        found.load()
        # EXIF says nothing of its orientation, so XMP's counts, as for colourize.py.
        upright = image.transpose(Image.Transpose.ROTATE_270)
        assert (found.format, found.mode, found.size) == ("PNG", "RGBA", (120, 160))
        assert np.array_equal(np.asarray(found)[..., 3], np.asarray(upright)[..., 3])
        assert found.info["icc_profile"] == ICC
        assert found.text["Title"] == "Aunt Mary"
        assert 'Orientation="1"' in found.text["XML:com.adobe.xmp"]
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert found.getexif()[0x10F] == "Camera"
        assert "Image Colourizer" in found.getexif()[0x131]


def lying(file_format: str, by: str) -> bytes:
    """Return a photograph that EXIF or XMP says must be turned by a quarter, as it is stored."""
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {"quality": 95}
    if by == "EXIF":
        options["exif"] = Image.Exif()
        options["exif"][0x112] = 6
    elif file_format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    else:
        options["xmp"] = XMP
    return encoded(scene(1, 200, 301).convert("L").convert("RGB"), file_format, **options)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_lying_photograph_stands_upright_and_its_metadata_say_so(page, tmp_path, file_format):
    photos = {f"by{by}.{file_format.lower()}": lying(file_format, by) for by in ("EXIF", "XMP")}
    drop(page, photos)
    page.get_by_text("2 of 2 coloured").wait_for()
    with zipfile.ZipFile(save_download(page, "Download all 2", tmp_path)) as archive:
        made = [Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    upright = to_grey(np.rot90(np.asarray(scene(1, 200, 301).convert("L")), -1)).astype(int)
    for image in made:
        assert image.format == ("JPEG" if file_format == "JPEG" else "PNG")
        assert np.abs(to_grey(np.asarray(image)).astype(int) - upright).mean() < 1.5
        assert image.getexif().get(0x112, 1) == 1
    xmp = made[1].info.get("xmp") or made[1].text["XML:com.adobe.xmp"].encode()
    assert b'tiff:Orientation="1" tiff:Artist="Ann"' in xmp


def test_a_webp_becomes_a_png_with_its_metadata(page, tmp_path):
    exif = Image.Exif()
    exif[0x10F] = "Camera"
    content = encoded(scene(1, 120, 160), "WEBP", exif=exif, xmp=XMP, icc_profile=ICC)
    drop(page, {"aunt.webp": content})
    page.get_by_text("1 of 1 coloured").wait_for()
    with Image.open(save_download(page, "Download", tmp_path)) as image:
        image.load()
        assert (image.filename[-8:], image.format) == ("aunt.png", "PNG")
        assert image.info["icc_profile"] == ICC
        assert image.getexif()[0x10F] == "Camera"
        assert 'tiff:Artist="Ann"' in image.text["XML:com.adobe.xmp"]


def test_it_works_offline_after_the_first_visit(page, context, site):
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    context.set_offline(True)
    before = dict(site.sent)
    page.reload()
    add(page, SAMPLES / "cat_chelsea.jpg", seconds=PATIENCE)
    assert chroma(pixels(page, ".card img:last-child")) > 15
    assert site.sent == before
    context.set_offline(False)


def test_what_cannot_be_read_says_why_on_its_own_card(page):
    huge = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    huge[16:24] = (12_000).to_bytes(4, "big") + (9_000).to_bytes(4, "big")
    drop(
        page,
        {
            "good.jpg": (SAMPLES / "coffee.jpg").read_bytes(),
            "<b>bad.jpg": b"no photograph",
            "scan.tif": encoded(scene(1), "TIFF"),
            "huge.png": bytes(huge),
            "torn.jpg": (SAMPLES / "coffee.jpg").read_bytes()[:300],
        },
    )
    page.get_by_text("1 of 5 coloured, 4 failed").wait_for()
    frames = {"save_all": True, "append_images": [scene(1)]}
    drop(
        page, {f"film.{kind}": encoded(scene(0), kind, **frames) for kind in ("GIF", "PNG", "WEBP")}
    )
    page.get_by_text("1 of 8 coloured, 7 failed").wait_for()
    said = {card.locator(".name").inner_text(): card.locator(".state").inner_text()
            for card in page.locator(".card.wrong").all()}  # fmt: skip
    assert said["<b>bad.jpg"] == said["torn.jpg"] == "not an image that this browser reads"
    assert "no TIFF" in said["scan.tif"]
    animation = "is an animation; only single photographs are coloured"
    assert [text for name, text in said.items() if name.startswith("film")] == [animation] * 3
    assert "12000 \u00d7 9000 pixels" in said["huge.png"]


def test_a_photograph_of_50_megapixels_is_coloured_in_its_own_size(page, tmp_path):
    size = (8660, 5774)
    drop(page, {"large.jpg": encoded(scene(1, 300, 450).convert("L").resize(size), "JPEG")})
    page.get_by_text("1 of 1 coloured").wait_for()
    with Image.open(save_download(page, "Download", tmp_path)) as image:
        assert (image.size, image.mode) == (size, "RGB")
        image.draft("RGB", (1082, 721))
        assert chroma(np.asarray(image).astype(int)) > 3


def test_thirty_photographs_are_coloured_in_bounded_memory_and_zipped(page, browser, tmp_path):
    photos = {}
    for n in range(30):
        image = scene(n, 500, 750).convert("L")
        photos[f"{n % 2}/photo.jpg" if n < 2 else f"photo{n}.jpg"] = encoded(image, "JPEG")
    first = dict(list(photos.items())[:8])
    drop(page, first)
    page.get_by_text("8 of 8 coloured").wait_for()
    before = memory_of_pages(browser)
    drop(page, {name: content for name, content in photos.items() if name not in first})
    page.get_by_text("30 of 30 coloured").wait_for(timeout=4000 * PATIENCE)
    assert memory_of_pages(browser) - before < MAX_GROWTH
    with zipfile.ZipFile(save_download(page, "Download all 30", tmp_path)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == set(photos)
        with Image.open(io.BytesIO(archive.read("photo9.jpg"))) as image:
            assert (image.mode, image.size) == ("RGB", (750, 500))


def memory_of_pages(browser: Any) -> int:
    """Return the memory that the browser's pages and workers have, in bytes (Linux)."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from /proc")
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    pages = [item["id"] for item in processes if item["type"] == "renderer"]
    resident = (int(Path(f"/proc/{n}/statm").read_text().split()[1]) for n in pages)
    return sum(resident) * os.sysconf("SC_PAGE_SIZE")


def test_nothing_sticks_out_sideways_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    edit(page, "coffee")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")


def test_the_page_may_load_nothing_from_elsewhere_and_says_how_it_is_installed(page):
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy
    assert "http" not in policy
    manifest = page.evaluate("async () => (await fetch('manifest.webmanifest')).json()")
    assert manifest["start_url"] == "./"
    assert manifest["icons"]


def test_a_reference_gives_its_colours_to_what_looks_like_it(page):
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    edit(page, "coffee")
    before = pixels(page)
    blue = np.asarray(Image.open(ROOT / "data/samples_in_colour/coffee.jpg"))[..., ::-1]
    content = encoded(Image.fromarray(np.ascontiguousarray(blue)), "JPEG")
    page.locator("#reference-file").set_input_files(
        {"name": "blue.jpg", "mimeType": "image/jpeg", "buffer": content}
    )
    page.get_by_role("button", name="Remove the reference").wait_for()
    settled(page)
    after = pixels(page)
    assert (after[..., 2] - after[..., 0]).mean() > (before[..., 2] - before[..., 0]).mean() + 5


def add_references(page, photos: list[bytes]) -> list[str]:
    """Give the page's worker references; return what it says: their ids, or why not."""
    return page.evaluate(
        """async photos => {
            const {worker} = await import("./worker_back_end.js");
            const said = [];
            for (const text of photos) {
                const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
                const added = worker.addReference(new File([bytes], "reference"));
                said.push(await added.then(({id}) => id, error => error.message));
            }
            return said;
        }""",
        [base64.b64encode(photo).decode() for photo in photos],
    )


def test_a_reference_that_is_grey_or_too_large_or_none_is_refused_in_words(page):
    huge = bytearray(encoded(Image.new("RGB", (8, 8)), "PNG"))
    huge[16:24] = (12_000).to_bytes(4, "big") + (9_000).to_bytes(4, "big")
    grey = encoded(scene(1).convert("L"), "JPEG")
    said = add_references(page, [grey, bytes(huge), b"no photograph"])
    assert said[0] == "has no colours to take"
    assert "12000 \u00d7 9000 pixels" in said[1]
    assert said[2] == "not an image that this browser reads"


def test_references_are_few_and_each_matches_a_share(page):
    add(page, SAMPLES / "coffee.jpg", seconds=PATIENCE)
    edit(page, "coffee")
    shapes = [(1, 1), (1, 2000), (2000, 1)]
    extreme = [encoded(Image.new("RGB", shape, "red"), "PNG") for shape in shapes]
    ids = add_references(page, [*extreme, *[encoded(scene(1, 8, 8), "PNG")] * 14])
    shares = page.evaluate(
        """async ([ids, wish]) => {
            const {worker} = await import("./worker_back_end.js");
            return Promise.all(ids.map((id) => worker.match("1", {...wish, reference: {id}})
                .then(({share}) => share, (error) => error.message)));
        }""",
        [ids, wish(page)],
    )
    assert shares[0] == "this reference is not here any more; choose it again"
    assert all(0 <= share <= 1 for share in shares[1:])


def test_what_this_page_cannot_do_is_not_offered(page):
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg", seconds=PATIENCE)
    assert page.locator("#same-colours").is_hidden()
    edit(page, "coffee")
    page.locator("#editor .file-options").click()
    assert page.locator("#keep-luma").is_hidden()
    formats = page.locator("#format option").all_inner_texts()
    assert formats == ["each as it was", "JPEG", "PNG"]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add by keyboard").click()
    settled(page)
    assert page.locator("#carry-hint").is_hidden()


def test_another_format_keeps_exif_and_profile(page, tmp_path):
    exif = Image.Exif()
    exif[0x10F] = "Camera"
    content = encoded(scene(1, 100, 150), "JPEG", exif=exif, icc_profile=ICC, xmp=XMP)
    drop(page, {"aunt.jpg": content})
    page.get_by_text("1 of 1 coloured").wait_for()
    page.locator("#zip-options").click()
    page.locator("#format").select_option("png")
    page.keyboard.press("Escape")
    with Image.open(save_download(page, "Download", tmp_path)) as image:
        image.load()
        assert (image.filename[-8:], image.format) == ("aunt.png", "PNG")
        assert image.info["icc_profile"] == ICC
        assert image.getexif()[0x10F] == "Camera"
        assert 'Orientation="1"' in image.text["XML:com.adobe.xmp"]
