"""rejected.txt: what is written is read again, and what is no path is not passed over."""

import os
from pathlib import Path

import pytest

from colourizer.curation.rejected_list import (
    MARKED,
    REJECTED_LIST,
    SAVED,
    UNMARKED,
    read_list,
    read_rejected,
    to_line,
    write_rejected,
)
from colourizer.photos.files import find_photos

ODD_NAMES = [
    "plain.jpg",
    "lakes/deep/down.png",
    " blank before.jpg",
    "blank within.jpg",
    "# no comment.jpg",
    "#+ lakes/a.jpg",
    "\u2028 line separator.jpg",
    "a\rb.jpg",
    "skull \U0001f480 Ελλάδα.jpg",
    '"quoted" <b>&amp;\\.jpg',
    os.fsdecode(b"caf\xe9.jpg"),
    os.fsdecode(b"\xff\xfe.jpg"),
]


def test_what_is_written_is_read_again_whatever_the_names(tmp_path):
    paths = {tmp_path / name for name in ODD_NAMES}
    write_rejected(tmp_path, paths)
    assert read_rejected(tmp_path) == paths
    assert read_list(tmp_path / REJECTED_LIST, tmp_path).listed == paths


def test_the_same_photographs_make_the_same_file_and_writing_replaces_it(tmp_path):
    write_rejected(tmp_path, [tmp_path / "b.jpg", tmp_path / "a" / "c.jpg"])
    content = (tmp_path / REJECTED_LIST).read_bytes()
    assert content.splitlines()[1:] == [b"a/c.jpg", b"b.jpg"]
    write_rejected(tmp_path, [tmp_path / "a" / "c.jpg", tmp_path / "b.jpg"])
    assert (tmp_path / REJECTED_LIST).read_bytes() == content
    write_rejected(tmp_path, [])
    assert read_rejected(tmp_path) == set()


def test_a_missing_list_names_nothing(tmp_path):
    assert read_rejected(tmp_path) == set()


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_editors_marks_line_ends_comments_and_blanks_are_passed_over(start, end, tmp_path):
    lines = [b"a.jpg", b"# a comment", b"", b"  lakes/b.jpg  ", b"./c.jpg"]
    (tmp_path / REJECTED_LIST).write_bytes(start + end.join(lines))
    wanted = {tmp_path / name for name in ("a.jpg", "lakes/b.jpg", "c.jpg")}
    assert read_rejected(tmp_path) == wanted
    assert read_list(tmp_path / REJECTED_LIST, tmp_path).marked == wanted


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\n/b.jpg"])
def test_a_name_with_a_line_break_is_refused_and_the_list_stays_as_it_was(name, tmp_path):
    write_rejected(tmp_path, [tmp_path / "old.jpg"])
    with pytest.raises(ValueError, match="line break"):
        write_rejected(tmp_path, [tmp_path / "new.jpg", tmp_path / name])
    assert read_rejected(tmp_path) == {tmp_path / "old.jpg"}


def test_a_photograph_elsewhere_has_no_line(tmp_path):
    with pytest.raises(ValueError):
        to_line(Path("/elsewhere/a.jpg"), tmp_path)


@pytest.mark.parametrize(
    "line", ["/etc/a.jpg", "../a.jpg", "lakes/../../a.jpg", "lakes", "notes.txt", "#- ../a.jpg"]
)
def test_a_strict_reader_names_the_line_that_is_no_photograph_below_the_folder(line, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{SAVED}a.jpg\n{line}\n")
    with pytest.raises(ValueError, match=r"^line 3: "):
        read_list(path, tmp_path)


def test_a_file_that_is_no_list_gives_a_short_message(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(os.urandom(2000).replace(b"\n", b"") * 50)
    with pytest.raises(ValueError) as error:
        read_list(path, tmp_path)
    assert len(str(error.value)) < 1000


def test_a_saved_list_says_what_was_done_and_another_that_all_is_marked(tmp_path):
    path = tmp_path / "list.txt"
    done = f"{MARKED}b.jpg\n{UNMARKED}./#c.jpg\na.jpg\nb.jpg\n"
    a, b, c = (tmp_path / name for name in ("a.jpg", "b.jpg", "#c.jpg"))
    path.write_text(SAVED + done)
    saved = read_list(path, tmp_path)
    assert (saved.listed, saved.marked, saved.unmarked) == ({a, b}, {b}, {c})
    path.write_text("#- tidied up by hand\na.jpg\nb.jpg\n")
    saved = read_list(path, tmp_path)
    assert (saved.listed, saved.marked, saved.unmarked) == ({a, b}, {a, b}, set())
    path.rename(tmp_path / REJECTED_LIST)  # a saved list serves as it is
    assert read_rejected(tmp_path) == {a, b}


def test_what_is_wanted_is_what_is_there_and_not_listed(album):
    write_rejected(album, [album / "photo3.png", album / "sub" / "photo10.png", album / "gone.png"])
    wanted = {
        path.relative_to(album).as_posix() for path in {*find_photos(album)} - read_rejected(album)
    }
    assert wanted == {f"photo{i}.png" for i in range(10) if i != 3} | {"sub/photo11.png"}
    (album / REJECTED_LIST).unlink()
    assert len(set(find_photos(album)) - read_rejected(album)) == 12
