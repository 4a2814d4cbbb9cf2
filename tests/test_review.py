"""Looking through photographs: what is written, and how saved lists change rejected.txt."""

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

import review
from colourizer.curation.contact_sheets import SIDE
from colourizer.curation.rejected_list import (
    HEADER,
    MARKED,
    SAVED,
    UNMARKED,
    read_rejected,
    write_rejected,
)
from colourizer.curation.review_page import PLACEHOLDER, TEMPLATE


def run(*args: object) -> int:
    return review.main([str(arg) for arg in args])


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def shown(page: Path) -> dict[str, Any]:
    """Read what a page is given."""
    html = page.read_text("utf-8")
    (text,) = re.findall(r'<script id="data" type="application/json">(.*)</script>', html)
    return json.loads(text)


def photographs(page: Path) -> dict[str, bool]:
    """Read which photographs a page shows, and which of them are marked."""
    return {row[0]: row[1] for _, rows in shown(page)["folders"] for row in rows}


def is_crossed_out(sheet: Path, n: int) -> bool:
    """Return whether the centre of a sheet's photograph of 64x48 pixels is red."""
    with Image.open(sheet) as image:
        left = 24 + n * (SIDE + 14) + (SIDE - 64) // 2
        tile = image.convert("RGB").crop((left, 68 + SIDE - 48, left + 64, 68 + SIDE))
        red, green, _ = np.asarray(tile, dtype=int)[22:26, 30:34].mean(axis=(0, 1))
    return red > green + 80


@pytest.fixture
def output(album: Path) -> Path:
    return album.with_name("album_review")


def test_a_page_and_a_sheet_per_folder_go_beside_the_source(album, output, capsys):
    before = files(album)
    assert run(album) == 0
    assert files(output) == ["album_1.jpg", "review.html", "sub_1.jpg"]
    streams = capsys.readouterr()
    written = [str(output / name) for name in ("review.html", "album_1.jpg", "sub_1.jpg")]
    assert streams.out.splitlines() == written
    assert streams.err == "12 photographs shown, 0 of them rejected, 0 failed\n"
    assert files(album) == before
    assert [name for name, _ in shown(output / "review.html")["folders"]] == ["album", "sub"]


def test_the_page_shows_small_pictures_of_all_photographs(album, output):
    scene(1, 300, 900).save(album / "wide.png")
    run(album)
    rows = [row for _, rows in shown(output / "review.html")["folders"] for row in rows]
    names = sorted(path.relative_to(album).as_posix() for path in album.rglob("*.png"))
    assert sorted(row[0] for row in rows) == names
    (output / "wide.jpg").write_bytes(
        base64.b64decode(next(row[2] for row in rows if row[0] == "wide.png"))
    )
    with Image.open(output / "wide.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, round(SIDE / 3)))


def test_the_template_has_one_place_for_what_is_shown_and_is_known_as_ours():
    assert TEMPLATE.read_text("utf-8").count(PLACEHOLDER) == 1
    assert review.OURS in TEMPLATE.read_bytes()[: review.BEGINNING]


def test_rejected_photographs_start_marked_and_are_crossed_out(album, output, capsys):
    write_rejected(album, [album / "photo1.png", album / "sub" / "photo11.png", album / "gone.png"])
    assert run(album) == 0
    marks = photographs(output / "review.html")
    assert {name for name, marked in marks.items() if marked} == {"photo1.png", "sub/photo11.png"}
    assert shown(output / "review.html")["others"] == ["gone.png"]
    assert [is_crossed_out(output / "album_1.jpg", n) for n in range(3)] == [False, True, False]
    assert [is_crossed_out(output / "sub_1.jpg", n) for n in range(2)] == [False, True]
    assert "12 photographs shown, 2 of them rejected, 0 failed" in capsys.readouterr().err


def test_a_rerun_draws_what_has_changed_and_removes_what_is_gone(album, output):
    run(album)
    write_rejected(album, [album / "photo0.png"])
    for path in (album / "sub").iterdir():
        path.unlink()
    (output / "review_9.html").write_text("<p>not ours")
    (output / "review.html").rename(output / "kept.html")
    assert run(album) == 0
    assert files(output) == ["album_1.jpg", "kept.html", "review.html", "review_9.html"]
    assert photographs(output / "review.html")["photo0.png"]
    assert is_crossed_out(output / "album_1.jpg", 0)


@pytest.mark.parametrize("name", ["review.html", "sub_1.jpg"])
def test_another_file_of_that_name_is_named_and_nothing_is_written(name, album, output, capsys):
    output.mkdir()
    scene(0).save(output / name, "JPEG")
    before = (output / name).read_bytes()
    assert run(album) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {output / name}: ")
    assert hint.startswith("hint: ")
    assert files(output) == [name]
    assert (output / name).read_bytes() == before


def test_broken_photographs_are_named_shown_and_no_failure_once_rejected(album, output, capsys):
    (album / "broken.jpg").write_bytes(b"nothing")
    assert run(album) == 1
    streams = capsys.readouterr()
    assert streams.err.startswith(f"error: {album / 'broken.jpg'}: not an image")
    assert streams.err.endswith("13 photographs shown, 0 of them rejected, 1 failed\n")
    rows = {row[0]: row for _, rows in shown(output / "review.html")["folders"] for row in rows}
    assert rows["broken.jpg"][2] == ""
    assert rows["broken.jpg"][3].startswith("not an image")
    write_rejected(album, [album / "broken.jpg"])
    assert run(album) == 0
    assert "error" not in capsys.readouterr().err


def test_a_folder_that_may_not_be_looked_into_is_named(album, output, monkeypatch, capsys):
    def find_photos(folder: Path, unreadable: list[OSError]) -> list[Path]:
        unreadable.append(PermissionError(13, "Permission denied", str(folder / "closed")))
        return [folder / "photo1.png"]

    monkeypatch.setattr(review, "find_photos", find_photos)
    assert run(album) == 1
    error, summary = capsys.readouterr().err.splitlines()
    assert error == f"error: {album / 'closed'}: permission denied"
    assert summary == "1 photographs shown, 0 of them rejected, 1 failed"
    assert list(photographs(output / "review.html")) == ["photo1.png"]


def test_a_name_with_a_line_break_is_named_and_not_shown(album, output, capsys):
    (album / "photo0.png").rename(album / "photo\n0.png")
    assert run(album) == 1
    error, hint, summary = capsys.readouterr().err.splitlines()
    assert error.startswith(r"error: 'photo\n0.png': ")
    assert hint.startswith("hint: rename it")
    assert summary == "11 photographs shown, 0 of them rejected, 1 failed"
    assert len(photographs(output / "review.html")) == 11


def test_odd_names_are_on_the_page_as_they_are_and_end_no_script(tmp_path):
    names = ["<!--<script>.png", '" onload="x.png', "# 1.png", os.fsdecode(b"\xe9.png"), "%41.png"]
    folder = tmp_path / "in" / "<img src=x onerror=alert(1)>" / "<"
    folder.mkdir(parents=True)
    for name in names:
        scene(0).save(folder / name, "PNG")
    (folder / names[2]).rename(tmp_path / "in" / names[2])
    assert run(tmp_path / "in") == 0
    page = tmp_path / "in_review" / "review.html"
    below = "<img src=x onerror=alert(1)>/<"
    assert set(photographs(page)) == {
        "./# 1.png" if "#" in name else f"{below}/{name}" for name in names
    }
    template = TEMPLATE.read_text("utf-8")
    html = page.read_text("utf-8")
    for letter in "<>":  # a name brings > at most, which ends nothing
        assert (html.count(letter) == template.count(letter)) or letter == ">"


def test_folders_that_would_share_a_sheets_name_do_not(tmp_path):
    for folder in ("a/b", "a_b", "in"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        scene(0).save(tmp_path / "in" / folder / "x.png")
    scene(0).save(tmp_path / "in" / "x.png")
    assert run(tmp_path / "in") == 0
    sheets = ["a_b_1.jpg", "a_b__1.jpg", "in_1.jpg", "in__1.jpg"]
    assert files(tmp_path / "in_review") == [*sheets, "review.html"]


def test_many_photographs_make_several_sheets_and_pages(album, output, monkeypatch):
    write_rejected(album, [album / "photo1.png"])
    run(album)
    monkeypatch.setattr(review, "PER_PAGE", 7)
    monkeypatch.setattr(review, "PER_SHEET", 4)
    assert run(album) == 0
    pages = ["review_1.html", "review_2.html"]
    sheets = ["album_1.jpg", "album_2.jpg", "album_3.jpg", "sub_1.jpg"]
    assert files(output) == sorted([*sheets, *pages])
    assert [len(photographs(output / page)) for page in pages] == [7, 5]
    first, second = (shown(output / page) for page in pages)
    assert (first["pages"], first["page"]) == (second["pages"], second["page"] - 1) == (pages, 0)
    assert (first["others"], second["others"]) == ([], ["photo1.png"])


@pytest.mark.parametrize("case", ["missing", "empty", "inside", "same"])
def test_bad_usage_ends_with_2_a_line_and_a_hint(case, album, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    args = {
        "missing": [tmp_path / "missing"],
        "empty": [tmp_path / "empty"],
        "inside": [album, "-o", album / "out"],
        "same": [album, "-o", album],
    }[case]
    before = files(tmp_path)
    assert run(*args) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert files(tmp_path) == before


def test_here_and_above_have_results_beside_them_too(album, output, monkeypatch):
    monkeypatch.chdir(album)
    assert run(".") == 0
    assert (output / "review.html").exists()
    monkeypatch.chdir(album / "sub")
    (output / "review.html").unlink()
    assert run("..") == 0
    assert (output / "review.html").exists()


def test_an_output_that_cannot_be_written_is_an_error(album, output, capsys):
    output.write_text("a file")
    assert run(album) == 2
    assert capsys.readouterr().err.startswith(f"error: {output}: ")


def test_a_slip_in_rejected_txt_is_named_with_its_line(album, output, tmp_path, capsys):
    (album / "rejected.txt").write_text("photo1.png\n../photo2.png\n")
    (tmp_path / "list").write_text("photo3.png\n")
    for options in ([], ["--merge", tmp_path / "list"]):
        assert run(album, *options) == 2
        error, hint = capsys.readouterr().err.splitlines()
        assert error.startswith(f"error: {album / 'rejected.txt'}: line 2: '../photo2.png'")
        assert hint == "hint: mend or remove that line"
    assert not output.exists()
    assert "photo3" not in (album / "rejected.txt").read_text()


def save(path: Path, marked: str, unmarked: str, others: str = "", seconds: int = 0) -> Path:
    """Write a list as a page saves it: names with blanks between them."""
    lines = [MARKED + name for name in marked.split()] + [UNMARKED + n for n in unmarked.split()]
    lines += [*marked.split(), *others.split()]
    path.write_text(HEADER + SAVED + "\n".join(lines))
    os.utime(path, (seconds, seconds))
    return path


def rejected(folder: Path) -> str:
    return " ".join(sorted(p.relative_to(folder).as_posix() for p in read_rejected(folder)))


def test_merging_does_what_was_done_on_each_page_and_nothing_else(tmp_path, capsys):
    album = tmp_path / "album"
    album.mkdir()
    write_rejected(album, [album / name for name in ("old.jpg", "back.jpg", "gone.jpg")])
    first = save(tmp_path / "rejected.txt", "a.jpg", "back.jpg", "old.jpg gone.jpg")
    # Page 2 was made before as well: to it, what the first one unmarked is still rejected.
    second = save(tmp_path / "rejected (1).txt", "b.jpg", "", "old.jpg back.jpg gone.jpg", 1)
    (album / "a.jpg").touch()
    assert run(album, "--merge", first, second) == 0
    assert rejected(album) == "a.jpg b.jpg gone.jpg old.jpg"
    streams = capsys.readouterr()
    assert streams.out.splitlines() == [str(album / "rejected.txt")]
    note, summary = streams.err.splitlines()
    assert note == f"note: 1 of the added ones are not in {album}"
    assert summary == "2 added, 1 removed, 4 rejected"
    assert files(tmp_path / "album_review") == []


def test_of_lists_that_disagree_the_one_saved_last_decides(album, tmp_path):
    first = save(tmp_path / "rejected.txt", "photo1.png photo2.png", "", seconds=1)
    second = save(tmp_path / "rejected (1).txt", "photo3.png", "photo1.png", seconds=2)
    assert run(album, "--merge", second, first) == 0
    assert rejected(album) == "photo2.png photo3.png"


def test_a_list_of_an_old_page_takes_nothing_back_that_was_merged_since(album, tmp_path):
    write_rejected(album, [album / "photo1.png"])
    assert run(album, "--merge", save(tmp_path / "rejected.txt", "photo2.png", "")) == 0
    assert rejected(album) == "photo1.png photo2.png"


def test_merging_the_same_again_writes_nothing(album, tmp_path, capsys):
    saved = save(tmp_path / "rejected.txt", "photo1.png", "")
    run(album, "--merge", saved)
    before = (album / "rejected.txt").stat().st_mtime_ns
    capsys.readouterr()
    assert run(album, "--merge", saved) == 0
    assert (album / "rejected.txt").stat().st_mtime_ns == before
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "0 added, 0 removed, 1 rejected\n")


def test_all_of_a_list_by_hand_is_added(album, tmp_path):
    write_rejected(album, [album / "photo1.png"])
    (tmp_path / "mine").write_text("# mine\r\nphoto2.png\r\nsub/photo10.png\r\n")
    assert run(album, "--merge", tmp_path / "mine") == 0
    assert rejected(album) == "photo1.png photo2.png sub/photo10.png"


@pytest.mark.parametrize("line", ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "photo1"])
def test_a_list_with_a_wrong_line_is_refused_and_the_others_are_merged(
    line, album, tmp_path, capsys
):
    good = save(tmp_path / "good", "photo1.png", "")
    (tmp_path / "bad").write_text(f"photo2.png\n{line}\n")
    assert run(album, "--merge", tmp_path / "bad", tmp_path / "missing", good) == 1
    assert rejected(album) == "photo1.png"
    errors = capsys.readouterr().err
    assert f"error: {tmp_path / 'bad'}: line 2: {line!r}" in errors
    assert f"error: {tmp_path / 'missing'}: no such file" in errors


def test_an_output_makes_no_sense_with_merge():
    with pytest.raises(SystemExit) as stop:
        review.parse_args(["x", "--merge", "y", "-o", "z"])
    assert stop.value.code == 2
