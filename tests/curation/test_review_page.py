"""The page in a browser: marks, the saved list, and names that try to be more than names."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.scenes import scene

import review
from colourizer.curation.rejected_list import read_list, read_rejected, write_rejected

pytestmark = pytest.mark.browser
EVIL = [
    "x</script><script>attack()<.png",  # a folder x< and a file
    "<img src=x onerror=attack()>.png",
    "<!--<script>.png",
    "\"><b onclick='attack()'>.png",
    "');attack();('.png",
    "${attack()}`.png",
    "&lt;b&gt;&quot;.png",
    "\\u003cb>\\.png",
    "# 1 #+ 2.png",
    " blank.png",
    "\u202egnp.txt\u2028\r.png",
    "skull \U0001f480.png",
    os.fsdecode(b"\xff and \xed\xa0\x80.png"),
]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Open a page as `open_page(path, context's options)`; no request may leave it, no error occur.

    Its list `dialogs` gets the kinds of those that it shows.
    """
    wrong: list[str] = []
    with ExitStack() as stack:

        def open_page(path: Path, **options: Any) -> Any:
            context = browser.new_context(**options)
            stack.callback(context.close)
            context.on("request", lambda r: wrong.append(r.url) if leaves(r.url) else None)
            page = context.new_page()
            page.set_default_timeout(10_000)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text))
            page.dialogs = []
            page.on("dialog", lambda d: (page.dialogs.append(d.type), d.accept()))
            page.goto(path.as_uri())
            return page

        yield open_page
    assert wrong == []


def leaves(url: str) -> bool:
    """Return whether a request goes anywhere but to the page's own file and its contents."""
    return not re.match(r"file:.*/review(_\d)?\.html|data:|blob:", url)


@pytest.fixture
def page_of(album: Path, open_page: Any) -> Any:
    """The page of the twelve photographs; photo1 and one that is gone were rejected before."""
    write_rejected(album, [album / "photo1.png", album / "gone.png"])
    assert review.main([str(album)]) == 0
    return open_page(album.with_name("album_review") / "review.html")


def photograph(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def marked(page: Any) -> list[str]:
    """List what a screen reader calls pressed."""
    pressed = page.get_by_role("button", pressed=True).all()
    return sorted(button.get_attribute("aria-label") for button in pressed)


def save(page: Any, to: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save rejected.txt").click()
    assert download.value.suggested_filename == "rejected.txt"
    download.value.save_as(to)
    return to


def test_all_photographs_are_shown_and_the_rejected_ones_are_marked(page_of):
    assert page_of.title().endswith("album")
    assert [h.text_content() for h in page_of.locator("h2").all()] == [
        "album10 in all, 1 marked",
        "sub2 in all",
    ]
    assert page_of.locator("main button").count() == 12
    page_of.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert marked(page_of) == ["photo1.png"]
    assert page_of.get_by_role("status").inner_text() == "1 of 12 marked"


def test_a_click_marks_and_another_unmarks(page_of):
    photograph(page_of, "sub/photo10.png").click()
    assert marked(page_of) == ["photo1.png", "sub/photo10.png"]
    assert page_of.locator("#count").inner_text() == "2 of 12 marked"
    assert page_of.locator("#unsaved").inner_text() == "1 not saved"
    photograph(page_of, "sub/photo10.png").click()
    photograph(page_of, "photo1.png").click()
    assert marked(page_of) == []
    assert page_of.locator("#unsaved").inner_text() == "1 not saved"
    photograph(page_of, "photo1.png").click()
    assert page_of.locator("#unsaved").inner_text() == ""


def test_the_keyboard_reaches_everything(page_of, tmp_path):
    for _ in range(20):
        page_of.keyboard.press("Tab")
        if page_of.evaluate("document.activeElement.ariaLabel") == "photo0.png":
            break
    page_of.keyboard.press("Space")
    page_of.keyboard.press("ArrowRight")
    page_of.keyboard.press("Enter")
    assert marked(page_of) == ["photo0.png"]
    page_of.keyboard.press("Tab")
    page_of.keyboard.press("Space")
    for _ in range(2):
        page_of.keyboard.press("ArrowRight")
    page_of.keyboard.press("Shift+Space")
    assert marked(page_of) == ["photo0.png", "photo2.png", "photo3.png", "photo4.png"]
    photograph(page_of, "photo1.png").focus()  # seven in a row; the next row is shorter
    for key, name in [
        ("ArrowDown", "photo8.png"),
        ("ArrowDown", "sub/photo11.png"),
        ("ArrowDown", "sub/photo11.png"),
        ("ArrowLeft", "sub/photo10.png"),
        ("ArrowUp", "photo7.png"),
        ("ArrowUp", "photo0.png"),
        ("ArrowUp", "photo0.png"),
    ]:
        page_of.keyboard.press(key)
        assert page_of.evaluate("document.activeElement.ariaLabel") == name
    with page_of.expect_download() as download:
        page_of.keyboard.press("Control+s")
    assert b"photo4.png" in Path(download.value.path()).read_bytes()


def test_shift_click_does_to_a_range_what_was_done_to_its_beginning(page_of):
    photograph(page_of, "photo8.png").click()
    photograph(page_of, "sub/photo10.png").click(modifiers=["Shift"])
    assert marked(page_of) == ["photo1.png", "photo8.png", "photo9.png", "sub/photo10.png"]
    photograph(page_of, "photo9.png").click()
    photograph(page_of, "photo0.png").click(modifiers=["Shift"])
    assert marked(page_of) == ["sub/photo10.png"]


def test_the_saved_list_is_what_rejected_txt_may_be(page_of, album):
    photograph(page_of, "photo3.png").click()
    photograph(page_of, "photo1.png").click()
    save(page_of, album / "rejected.txt")
    assert read_rejected(album) == {album / "photo3.png", album / "gone.png"}
    saved = read_list(album / "rejected.txt", album)
    assert (saved.marked, saved.unmarked) == ({album / "photo3.png"}, {album / "photo1.png"})


def test_what_was_saved_marked_and_then_saved_unmarked_is_not_rejected(page_of, album, tmp_path):
    photograph(page_of, "photo3.png").click()
    lists = [save(page_of, tmp_path / "rejected.txt")]
    assert review.main([str(album), "--merge", *map(str, lists)]) == 0
    assert album / "photo3.png" in read_rejected(album)
    photograph(page_of, "photo3.png").click()
    lists.append(save(page_of, tmp_path / "rejected (1).txt"))
    assert review.main([str(album), "--merge", str(lists[1])]) == 0
    assert read_rejected(album) == {album / "photo1.png", album / "gone.png"}


def test_leaving_with_marks_that_are_not_saved_warns(page_of, tmp_path):
    photograph(page_of, "photo3.png").click()
    page_of.reload()
    assert page_of.dialogs == ["beforeunload"]
    photograph(page_of, "photo3.png").click()
    save(page_of, tmp_path / "list")
    page_of.reload()
    assert page_of.dialogs == ["beforeunload"]


def test_names_are_only_names(tmp_path, open_page):
    folder = tmp_path / "in"
    for name in EVIL:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        scene(0, 8, 8).save(folder / name, "PNG")
    assert review.main([str(folder)]) == 0
    page = open_page(tmp_path / "in_review" / "review.html")
    page.wait_for_timeout(200)  # for what would happen later
    tiles = page.locator("main button")
    assert tiles.count() == page.locator("img").count() == len(EVIL)
    assert page.locator("script").count() == 2
    assert page.locator("main b").count() == 0
    for tile in tiles.all():
        tile.click()
    assert tiles.locator("visible=true").count() == len(EVIL)
    saved = read_list(save(page, tmp_path / "list"), folder)
    assert saved.listed == saved.marked == {folder / name for name in EVIL}
    assert page.dialogs == []


def test_a_broken_photograph_can_be_marked(album, open_page, tmp_path):
    (album / "broken.jpg").write_bytes(b"nothing")
    review.main([str(album)])
    page = open_page(album.with_name("album_review") / "review.html")
    tile = photograph(page, "broken.jpg")
    assert "not an image" in tile.inner_text()
    tile.click()
    assert read_list(save(page, tmp_path / "list"), album).marked == {album / "broken.jpg"}


def test_several_pages_know_each_other_and_keep_each_others_marks(
    album, open_page, tmp_path, monkeypatch
):
    monkeypatch.setattr(review, "PER_PAGE", 7)
    write_rejected(album, [album / "photo1.png", album / "photo8.png"])
    review.main([str(album)])
    page = open_page(album.with_name("album_review") / "review_1.html")
    photograph(page, "photo1.png").click()
    lists = [save(page, tmp_path / "1")]
    assert read_list(lists[0], album).listed == {album / "photo8.png"}
    page.get_by_role("link", name="Page 2").click()
    assert marked(page) == ["photo8.png"]
    photograph(page, "photo9.png").click()
    lists.append(save(page, tmp_path / "2"))
    assert review.main([str(album), "--merge", *map(str, lists)]) == 0
    assert read_rejected(album) == {album / "photo8.png", album / "photo9.png"}


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_sideways(width, tmp_path, open_page):
    folder = tmp_path / "in" / ("folder" * 40)
    folder.mkdir(parents=True)
    for n in range(3):
        scene(n).save(folder / f"{'name' * 40}{n}.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    scene(3).save(tmp_path / "in" / "x.png")
    review.main([str(tmp_path / "in")])
    page = open_page(
        tmp_path / "in_review" / "review.html", viewport={"width": width, "height": 700}
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for tile in page.locator("main button").all():
        box = tile.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["width"] >= 90  # easy to hit with a finger


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_as_the_system_is_and_readable(scheme, album, open_page):
    review.main([str(album)])
    page = open_page(album.with_name("album_review") / "review.html", color_scheme=scheme)
    photograph(page, "photo1.png").click()

    def brightness(selector: str, what: str) -> float:
        colour = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{what}")
        levels = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert (brightness("body", "backgroundColor") > 0.5) == (scheme == "light")
    for text, ground in [
        ("h2", "body"),
        (".about", "body"),
        ("h2 small", "body"),
        ("#unsaved", ".bar"),
        ("#save", "#save"),
        (".name", "main button"),
        ("[aria-pressed=true] .name", "main button"),
    ]:
        pair = brightness(text, "color"), brightness(ground, "backgroundColor")
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5, text  # WCAG AA
