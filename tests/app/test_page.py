"""The page of app.py in a browser: drop, view, steer, download, as a user does."""

import io
import time
import urllib.error
import urllib.request
import zipfile
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from support.browser_page import (
    add,
    chroma,
    chroma_by_vividness,
    drop,
    edit,
    pixels,
    settled,
    wait,
    wish,
)
from support.page_client import TOKEN
from support.scenes import SAMPLES, scene

pytestmark = pytest.mark.browser


def test_a_dropped_photograph_is_grey_at_once_and_then_in_colour(page):
    drop(page, {"cat_chelsea.jpg": (SAMPLES / "cat_chelsea.jpg").read_bytes()})
    assert page.locator(".card img").first.get_attribute("class") == "grey"
    page.get_by_text("1 of 1 coloured").wait_for()
    assert chroma(pixels(page, ".card img:last-child")) > 15
    assert not page.locator("#drop").is_visible()


def test_the_slider_shows_more_or_less_of_the_original(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.get_by_role("slider", name="Compare with the original").fill("75")
    assert (
        page.eval_on_selector("#before", "e => getComputedStyle(e).clipPath")
        == "inset(0px 25% 0px 0px)"
    )
    assert chroma(pixels(page, "#before img")) == 0
    cutter = page.locator("#cutter").bounding_box()
    frame = page.locator("#frame").bounding_box()
    page.mouse.move(cutter["x"] + cutter["width"] / 2, cutter["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 4, cutter["y"] + 5)
    page.mouse.up()
    assert page.locator("#cut").input_value() == "25"
    assert page.locator(".hint").count() == 0


def test_vividness_is_followed_without_a_second_upload(page):
    add(page, SAMPLES / "coffee.jpg")
    uploads: list[str] = []
    page.on("request", lambda r: uploads.append(r.url) if r.method == "POST" else None)
    edit(page, "coffee")
    strengths = chroma_by_vividness(page)
    assert strengths[0] < strengths[1] < strengths[2]
    page.get_by_role("button", name="Undo all changes").click()
    settled(page)
    assert chroma(pixels(page)) == strengths[1]
    assert uploads == []


def test_variants_and_confidence_are_shown(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    before = pixels(page)
    page.get_by_role("radio", name="Variant 3").click()
    settled(page)
    assert np.abs(pixels(page) - before).mean() > 1
    assert page.get_by_role("radio", checked=True).get_attribute("aria-label") == "Variant 3"
    page.get_by_label("Darken where").check()
    wait(page, "document.querySelector('#sure img')?.naturalWidth > 0")
    assert page.locator("#sure").is_visible()


def test_a_hint_colours_what_belongs_to_the_spot(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    before = pixels(page)
    frame = page.locator("#frame").bounding_box()
    spot = frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] * 0.75
    page.mouse.click(*spot)
    assert page.locator(".hint").count() == 0
    page.get_by_role("button", name="Add hints").click()
    page.mouse.click(*spot)
    assert page.locator(".hint").count() == 1
    page.get_by_label("Colour of hint 1").fill("#2040d0")
    settled(page)
    after = pixels(page)
    height, width = after.shape[:2]
    there = slice(height * 3 // 4 - 3, height * 3 // 4 + 3), slice(width // 4 - 3, width // 4 + 3)
    was, is_now = (rgb[there].mean(axis=(0, 1)) for rgb in (before, after))
    assert is_now[2] - is_now[0] > was[2] - was[0] + 30
    page.get_by_role("button", name="Remove hint 1").click()
    settled(page)
    assert np.array_equal(pixels(page), before)


def test_all_of_it_works_by_keyboard(page):
    photos = [SAMPLES / "cat_chelsea.jpg", SAMPLES / "coffee.jpg"]
    page.on("filechooser", lambda chooser: chooser.set_files(photos))
    page.wait_for_timeout(300)
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    page.locator(".card").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "add"
    page.get_by_text("2 of 2 coloured").wait_for()
    card = page.locator(".open").first
    card.focus()
    page.keyboard.press("Enter")
    settled(page)
    page.locator("#vividness").focus()
    page.keyboard.press("End")
    settled(page)
    assert wish(page)["vividness"] == 1
    page.get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert wish(page)["variant"] == 1
    page.locator("#add-hint").focus()
    page.keyboard.press("Enter")
    settled(page)
    marker = page.locator(".hint")
    x = wish(page)["hints"][0]["x"]
    left = marker.bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert wish(page)["hints"][0]["x"] > x
    assert marker.bounding_box()["x"] > left
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.type") == "color"
    marker.focus()
    page.keyboard.press("Delete")
    settled(page)
    assert marker.count() == 0
    page.locator("#next").focus()
    for _ in range(2):  # the second time there is none
        page.keyboard.press("Enter")
        settled(page)
        assert page.locator("#title").inner_text() == "coffee.jpg"
        assert page.evaluate("document.activeElement.id") == "next"
    page.locator("#close").focus()
    page.keyboard.press("Enter")
    wait(page, "document.activeElement === document.querySelectorAll('.open')[1]")


def test_downloads_have_the_names_and_are_what_the_page_shows(page, tmp_path):
    add(page, SAMPLES / "cat_chelsea.jpg", SAMPLES / "coffee.jpg")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all 2").click()
    assert download.value.suggested_filename == "colourized.zip"
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["cat_chelsea.jpg", "coffee.jpg"]
    edit(page, "coffee")
    page.get_by_role("slider", name="Vividness").fill("0")
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "coffee.jpg"
    download.value.save_as(tmp_path / "coffee.jpg")
    with Image.open(tmp_path / "coffee.jpg") as file, Image.open(SAMPLES / "coffee.jpg") as before:
        assert file.size == before.size
        assert "Image Colourizer" in str(file.getexif()[0x131])
        assert np.abs(np.asarray(file).astype(int).mean() - pixels(page).mean()) < 1


def test_on_a_phone_a_print_can_be_photographed(page):
    button = page.get_by_role("button", name="Photograph a print")
    if not page.evaluate("matchMedia('(pointer: coarse)').matches"):
        assert button.is_hidden()
        return
    with page.expect_file_chooser() as chooser:
        button.click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(SAMPLES / "coffee.jpg")
    page.get_by_text("1 of 1 coloured").wait_for()


def test_a_bad_file_says_so_on_its_own_card(page):
    drop(page, {"good.jpg": (SAMPLES / "coffee.jpg").read_bytes(), "<b>bad.jpg": b"no photograph"})
    page.get_by_text("1 of 2 coloured, 1 failed").wait_for()
    wrong = page.locator(".card.wrong")
    assert "<b>bad.jpg" in wrong.inner_text()
    assert "not an image" in wrong.inner_text()
    wrong.get_by_role("button", name="Remove").click()
    page.get_by_text("1 of 1 coloured").wait_for()


def test_a_tiff_which_no_browser_shows_is_shown(page):
    file = io.BytesIO()
    scene(1, 200, 300).convert("L").save(file, "TIFF")
    drop(page, {"scan.tif": file.getvalue()})
    page.get_by_text("1 of 1 coloured").wait_for()
    assert pixels(page, ".card img:last-child").shape == (200, 300, 3)


def test_a_removed_photograph_is_removed_from_the_server(page):
    add(page, SAMPLES / "coffee.jpg")
    address = page.eval_on_selector(".card img:last-child", "image => image.src")
    with page.expect_response("**/api/forget"):
        page.get_by_role("button", name="Remove all").click()
    assert page.evaluate("async a => (await fetch(a)).status", address) == 404
    page.wrong.clear()  # the browser logs the 404, too
    assert page.locator("#drop").is_visible()


def test_nothing_sticks_out_sideways(page):
    name = "photographs_of_a_summer_by_the_lake/migrant_mother_and_her_children_1936.jpg"
    drop(page, {name: (SAMPLES / "coffee.jpg").read_bytes()})
    page.get_by_text("1 of 1 coloured").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    edit(page, "migrant")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")
    frame = page.locator("#frame").bounding_box()
    assert frame["width"] > 150
    assert frame["x"] >= 0


def test_the_browser_s_back_closes_the_editor_and_keeps_the_photographs(page):
    add(page, SAMPLES / "coffee.jpg")
    for _ in range(2):
        edit(page, "coffee")
        page.go_back()
        wait(page, "!document.getElementById('editor').open")
        assert page.get_by_text("1 of 1 coloured").is_visible()
    edit(page, "coffee")
    page.get_by_role("button", name="Back to all").click()
    wait(page, "!document.getElementById('editor').open && history.state === null")


def test_the_token_does_not_stay_in_the_address_and_the_page_can_be_loaded_again(page, address):
    assert page.url == address
    page.reload()
    add(page, SAMPLES / "coffee.jpg")
    assert page.evaluate("document.cookie") == ""  # no script can read it


def test_when_the_program_is_gone_the_page_says_so_and_offers_to_try_again(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.context.set_offline(True)
    page.get_by_role("slider", name="Vividness").fill("100")
    alert = page.get_by_role("alert").filter(has_text="is it still running?")
    alert.wait_for()
    box = alert.bounding_box()
    at = f"({box['x'] + box['width'] / 2}, {box['y'] + box['height'] / 2})"
    assert page.evaluate(f"document.elementFromPoint{at}.id") == "say"  # nothing lies above it
    for control in page.locator("#editor button:visible").all():
        other = control.bounding_box()
        if other["y"] < box["y"] + box["height"] and other["y"] + other["height"] > box["y"]:
            raise AssertionError(f"{control.inner_text()}: covered by the message")
    page.get_by_role("button", name="Back to all").click()
    drop(page, {"cat.jpg": (SAMPLES / "cat_chelsea.jpg").read_bytes()})
    page.get_by_text("1 of 2 coloured, 1 failed").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("2 of 2 coloured").wait_for()
    page.wrong.clear()  # the browser logs what it could not fetch, too


def test_a_photograph_that_is_gone_says_so(page):
    add(page, SAMPLES / "coffee.jpg")
    edit(page, "coffee")
    page.evaluate(
        """async () => {
            const id = /photos\\/([^/]+)/.exec(document.querySelector("#coloured img").src)[1];
            await fetch("api/forget", {method: "POST", body: JSON.stringify([id])});
        }"""
    )
    page.get_by_role("slider", name="Vividness").fill("100")
    page.get_by_role("alert").filter(has_text="add it again").wait_for()
    page.wrong.clear()


def test_leaving_the_page_removes_its_photographs_from_the_server(page):
    add(page, SAMPLES / "coffee.jpg")
    picture = page.eval_on_selector(".card img:last-child", "image => image.src")
    assert status_of(picture) == 200
    page.goto("about:blank")
    until = time.monotonic() + 10
    while status_of(picture) != 404:
        assert time.monotonic() < until
        time.sleep(0.05)


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}&token={TOKEN}") as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_dropped_folder_is_taken_with_its_subfolders_and_without_what_is_no_photograph(
    page, album
):
    (album / "letter.txt").write_text("dear aunt Mary")
    (album / ".hidden.png").write_bytes(b"")
    names: list[str] = []  # that the server is told
    page.on("request", lambda r: names.append(unquote(r.headers.get("x-name", ""))))
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(album)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):  # as from the system's own windows
        event = {"type": kind, "x": 200, "y": 300, "data": data}
        devtools.send("Input.dispatchDragEvent", event)
    page.get_by_text("12 of 12 coloured").wait_for()
    paths = [name.get_attribute("title") for name in page.locator(".card .name").all()]
    assert sorted(paths) == sorted(
        str(path.relative_to(album.parent)) for path in album.rglob("photo*.png")
    )
    assert sorted(filter(None, names)) == sorted(paths)
