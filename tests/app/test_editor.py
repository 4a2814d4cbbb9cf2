"""The editor of app.py's page: looks, zoom, undo, hints, reference, files, samples, keys."""

import io
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.browser_page import add, chroma, edit, pixels, settled, wait, wish
from support.scenes import ROOT, SAMPLES, scene

from colourizer.inference.readout import DEFAULT_VIVIDNESS

pytestmark = pytest.mark.browser
IN_COLOUR = ROOT / "data" / "samples_in_colour"


def look(page: Any, name: str) -> None:
    page.locator("#looks").get_by_role("button", name=name).click()
    settled(page)


def yellow(page: Any) -> float:
    """Return how much more red than blue the picture has on average."""
    rgb = pixels(page)
    return float((rgb[..., 0] - rgb[..., 2]).mean())


def saved(page: Any, button: Any, tmp_path: Path) -> Path:
    """Press a button, and return the file that it downloads."""
    with page.expect_download() as download:
        button.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def open_file_options(page: Any, where: str = "#editor") -> None:
    page.locator(f"{where} .file-options").click()


def test_looks_set_the_sliders_which_make_other_looks(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    natural = yellow(page)
    look(page, "warm")
    warm = yellow(page)
    assert page.get_by_label("Warmth").input_value() == "60"
    assert page.locator("#looks [aria-pressed=true]").inner_text() == "warm"
    look(page, "cool")
    assert yellow(page) + 5 < natural < warm - 5
    page.get_by_label("Saturation").fill("0")
    page.get_by_label("Warmth").fill("0")
    settled(page)
    assert chroma(pixels(page)) < 1
    assert page.locator("#looks [aria-pressed=true]").count() == 0
    wait(page, "document.querySelectorAll('#looks img').length === 6")


def test_one_look_for_all_photographs_and_for_those_that_come_later(page, tmp_path):
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg")
    edit(page, "coffee")
    page.get_by_label("Saturation").fill("0")
    settled(page)
    page.get_by_role("button", name="Use for all photographs").click()
    page.get_by_text("All 2 photographs have this now.").wait_for()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.locator("#title").inner_text() == "cat_chelsea.jpg"
    assert chroma(pixels(page)) < 1
    page.get_by_role("button", name="Undo", exact=True).click()
    settled(page)
    assert chroma(pixels(page)) > 5
    page.get_by_role("button", name="Back to all").click()
    add(page, SAMPLES / "astronaut.jpg", SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg")
    edit(page, "astronaut")
    assert wish(page)["saturation"] == 0


def test_undo_and_redo_go_one_step_at_a_time(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    first = wish(page)
    page.get_by_role("slider", name="Vividness").fill("90")
    settled(page)
    look(page, "cool")
    page.get_by_role("radio", name="Variant 2").click()
    page.locator("#add-hint").click()
    settled(page)
    last = wish(page)
    assert last["hints"]
    steps = [last]
    for _ in range(4):
        page.keyboard.press("Control+z")
        settled(page)
        steps.append(wish(page))
    assert steps[-1] == first
    assert [step["variant"] for step in steps] == [1, 1, 0, 0, 0]
    default = DEFAULT_VIVIDNESS
    vividness = [round(step["vividness"], 2) for step in steps]
    assert vividness == [default, default, default, 0.9, default]
    assert page.locator("#undo").get_attribute("aria-disabled") == "true"
    page.keyboard.press("Control+z")  # there is no further step
    for _ in range(4):
        page.keyboard.press("Control+Shift+z")
        settled(page)
    assert wish(page) == last
    assert page.locator("#redo").get_attribute("aria-disabled") == "true"


def test_what_is_dragged_is_one_step(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    first = wish(page)
    page.locator("#warmth").scroll_into_view_if_needed()
    box = page.locator("#warmth").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for share in (0.6, 0.7, 0.8):
        page.mouse.move(box["x"] + box["width"] * share, middle)
    page.mouse.up()
    settled(page)
    assert wish(page)["warmth"] > 0.4
    page.keyboard.press("Control+z")
    settled(page)
    assert wish(page) == first


def test_small_pictures_of_settings_that_are_past_are_not_drawn(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.wait_for_timeout(1000)
    small: list[str] = []  # the hints in them
    page.on(
        "request", lambda request: small.append(request.url) if "side=160" in request.url else 0
    )
    page.locator("#add-hint").click()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    settled(page)
    hint = wish(page)["hints"][0]
    last = f"hints={hint['x']}%2C{hint['y']}%2C"
    wait(page, "document.querySelectorAll(':is(#looks, #variants) img').length === 12")
    until = time.monotonic() + 20
    while sum(last in address for address in small) < 11:  # one of the 12 is in both rows
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    assert len(small) < 31 * 12 / 2


def test_zoom_keeps_the_spot_below_the_pointer_and_a_drag_moves_the_photograph(page):
    add(page, SAMPLES / "raccoon.jpg")
    edit(page, "raccoon")
    frame = page.locator("#frame").bounding_box()
    spot = frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] / 4
    page.mouse.move(*spot)
    page.mouse.wheel(0, -500)
    wait(page, f"document.getElementById('frame').offsetWidth > {2 * frame['width']}")
    large = page.locator("#frame").bounding_box()
    across = (spot[0] - large["x"]) / large["width"]
    assert abs(across - 0.25) < 0.02
    page.mouse.down()
    page.mouse.move(spot[0] - 40, spot[1] - 30, steps=4)
    page.mouse.up()
    moved = page.locator("#frame").bounding_box()
    assert abs(moved["x"] - large["x"] + 40) < 3
    assert abs(moved["y"] - large["y"] + 30) < 3
    assert page.locator(".hint").count() == 0
    page.locator("#zoom-fit").click()
    again = page.locator("#frame").bounding_box()
    assert abs(again["width"] - frame["width"]) < 2
    page.keyboard.press("+")
    assert page.locator("#zoom-fit").inner_text() == "125%"


def test_an_enlarged_photograph_is_fetched_in_more_detail(page, tmp_path):
    scene(3, 1500, 2000).convert("L").save(tmp_path / "large.jpg")
    add(page, tmp_path / "large.jpg")
    edit(page, "large")
    assert pixels(page).shape[1] == 1280
    page.locator("#zoom-in").click()
    settled(page)
    assert pixels(page).shape[1] == 2000
    assert pixels(page, "#before img").shape[1] == 2000


def test_escape_leaves_the_hints_first_and_the_editor_then(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.locator("#hint-mode").click()
    page.keyboard.press("Escape")
    assert page.locator("#hint-mode").get_attribute("aria-pressed") == "false"
    assert page.locator("#editor").is_visible()
    page.keyboard.press("Escape")
    page.locator("#editor").wait_for(state="hidden")


def test_full_screen_shows_the_photograph_alone(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.get_by_role("button", name="Full screen").click()
    wait(page, "document.fullscreenElement?.className === 'stage'")
    page.get_by_role("button", name="Full screen").click()
    wait(page, "document.fullscreenElement === null")
    assert page.locator("#editor").is_visible()


def test_before_is_the_photograph_as_it_is(page, tmp_path):
    grey = Image.open(SAMPLES / "coffee.jpg").convert("L")
    sepia = Image.merge("RGB", [grey.point(lambda v, n=n: v * n) for n in (1, 0.85, 0.65)])
    sepia.save(tmp_path / "sepia.png")
    add(page, tmp_path / "sepia.png")
    edit(page, "sepia")
    wait(page, "document.querySelector('#before img') !== null")
    before = pixels(page, "#before img")
    assert np.abs(before - np.asarray(sepia).astype(int)).mean() < 3


def test_a_reference_gives_its_colours_until_it_is_removed(page):
    add(page, SAMPLES / "astronaut.jpg")
    edit(page, "astronaut")
    before = pixels(page)
    page.locator("#reference-file").set_input_files(IN_COLOUR / "astronaut.jpg")
    page.locator("#reference-chosen").wait_for()
    settled(page)
    assert page.locator("#reference-name").inner_text() == "astronaut.jpg"
    match = page.locator("#reference-match")
    match.filter(has_text="% of the photograph matched").wait_for()
    assert np.abs(pixels(page) - before).mean() > 0.5
    page.get_by_role("button", name="Remove the reference").click()
    settled(page)
    assert match.is_hidden()
    assert np.array_equal(pixels(page), before)


def test_a_reference_without_colours_is_refused_in_words(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.locator("#reference-file").set_input_files(SAMPLES / "astronaut.jpg")
    page.get_by_role("alert").filter(has_text="has no colours").wait_for()
    page.wrong.clear()  # the browser logs the 422, too


def test_downloads_have_the_format_that_was_chosen(page, tmp_path):
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg")
    edit(page, "coffee")
    open_file_options(page)
    page.get_by_label("Format").select_option("png")
    path = saved(page, page.locator("#download"), tmp_path)
    assert path.suffix == ".png"
    assert Image.open(path).format == "PNG"
    page.get_by_role("button", name="Back to all").click()
    path = saved(page, page.get_by_role("button", name="Download all 2"), tmp_path)
    names = zipfile.ZipFile(path).namelist()
    assert all(name.endswith(".png") for name in names)


def test_keep_luma_keeps_a_grey_jpeg_bit_for_bit(page, tmp_path):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    open_file_options(page)
    page.get_by_label("Grey JPEGs").check()
    path = saved(page, page.locator("#download"), tmp_path)
    luma = Image.open(path)
    luma.draft("L", luma.size)
    assert np.array_equal(luma.convert("L"), Image.open(SAMPLES / "coffee.jpg"))


def test_before_and_after_come_in_one_picture(page, tmp_path):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    open_file_options(page)
    path = saved(page, page.get_by_role("button", name="before and after"), tmp_path)
    assert path.name == "coffee_compared.jpg"
    pair = np.asarray(Image.open(path)).astype(int)
    assert pair.shape == (400, 1200, 3)
    assert chroma(pair[:, :600]) < 1
    assert chroma(pair[:, 600:]) > 5


def test_a_photograph_is_pasted(page):
    content = io.BytesIO()
    scene(2).convert("L").save(content, "PNG")
    page.evaluate(
        """bytes => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(bytes)], "image.png"));
            dispatchEvent(new ClipboardEvent("paste", {clipboardData, cancelable: true}));
        }""",
        list(content.getvalue()),
    )
    page.get_by_text("1 of 1 coloured").wait_for()


def test_a_sample_is_there_to_try(page):
    page.get_by_role("button", name="Try it with a sample").click()
    page.get_by_text("1 of 1 coloured").wait_for()
    assert chroma(pixels(page, ".card img:last-child")) > 10


def test_arrow_keys_go_to_the_next_photograph_but_not_from_a_slider(page):
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg")
    edit(page, "coffee")
    page.locator("#vividness").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.locator("#title").inner_text() == "coffee.jpg"
    page.locator("#close").focus()
    for key, name in (
        ("ArrowRight", "cat_chelsea"),
        ("ArrowRight", "cat"),
        ("ArrowLeft", "coffee"),
    ):
        page.keyboard.press(key)
        settled(page)
        assert page.locator("#title").inner_text().startswith(name)


def test_the_share_of_a_file_that_is_uploaded_is_shown(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    network = page.context.new_cdp_session(page)
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_500_000}
    network.send("Network.emulateNetworkConditions", {"offline": False, **speed})
    page.locator("#files").set_input_files(tmp_path / "noise.png")
    page.get_by_text(re.compile(r"uploading [1-9]\d?%")).wait_for()
    page.get_by_text("1 of 1 coloured").wait_for()


def test_confidence_has_a_legend_and_leaves_the_photograph_visible(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    assert not page.locator("#sure-legend").is_visible()
    page.get_by_label("Darken where").check()
    page.locator("#sure-legend").wait_for()
    opacity = page.eval_on_selector("#sure", "e => Number(getComputedStyle(e).opacity)")
    assert 0.2 < opacity < 0.5


def test_a_header_is_one_row_and_no_button_lies_on_a_picture(page):
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg")
    for bar in ("body > .bar", "#editor > .bar"):
        heights = {
            round(button.bounding_box()["y"] + button.bounding_box()["height"] / 2)
            for button in page.locator(f"{bar} button:visible").all()
        }
        assert len(heights) == 1, bar
        if bar == "body > .bar":
            picture = page.locator(".picture").first.bounding_box()
            remove = page.locator(".card .remove").first.bounding_box()
            assert remove["y"] >= picture["y"] + picture["height"]
            edit(page, "coffee")


def overlap_difference(page: Any, edge: int) -> float:
    """Return how far the two cards' pictures are apart at the places that both show."""
    one, other = (pixels(page, f".card:nth-child({n}) .picture > :last-child") for n in (1, 2))
    return float(np.abs(one[edge:, edge:] - other[:-edge, :-edge]).mean())


def test_same_colours_in_all_and_a_hint_also_in_the_others(page, tmp_path):
    edge, side = 64, 256
    whole = Image.open(SAMPLES / "canyon_ashim_dsilva.jpg").convert("L")
    whole = whole.resize((side + edge, side + edge))
    paths = [tmp_path / "one.png", tmp_path / "other.png", SAMPLES / "coffee.jpg"]
    for n, path in enumerate(paths[:2]):
        whole.crop((n * edge, n * edge, n * edge + side, n * edge + side)).save(path)
    add(page, *paths[:2])
    page.wait_for_timeout(700)  # until what was there before a picture is gone
    before = overlap_difference(page, edge)
    page.get_by_label("Same colours in all").check()
    page.get_by_text("2 of them show the same as others.").wait_for()
    wait(page, "document.querySelectorAll('.card .picture').length === 2"
         " && document.querySelectorAll('.card .picture > *').length === 2")  # fmt: skip
    assert overlap_difference(page, edge) < 0.7 * before
    edit(page, "one")
    page.get_by_role("button", name="Add by keyboard").click()
    settled(page)
    page.locator("#hints input").fill("#207020")
    settled(page)
    page.get_by_role("button", name="also in the others").click()
    page.get_by_role("alert").filter(has_text="The hint is in other.png, too.").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("#title").filter(has_text="other.png").wait_for()
    settled(page)
    (hint,) = wish(page)["hints"]
    assert hint["colour"] == "#207020"
    assert abs(hint["x"] - (side / 2 - edge)) < 8
    page.get_by_role("button", name="Undo", exact=True).click()
    settled(page)
    assert wish(page)["hints"] == []
    page.get_by_role("button", name="Back to all").click()
    page.locator("#files").set_input_files(paths[2])
    page.get_by_text("Comparing 3 photographs").wait_for()
    page.get_by_text("2 of them show the same as others.").wait_for()
    page.get_by_label("Same colours in all").uncheck()
    page.get_by_text("show the same as others.").wait_for(state="hidden")
