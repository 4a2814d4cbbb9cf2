"""Names that are chosen without a list of all photographs, and groups without their number."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colourizer.film.container import is_film_name
from colourizer.inference import streaming
from colourizer.inference.output_plan import FoundPhoto, OutputOptions, find_all, is_same
from colourizer.inference.streaming import (
    Listing,
    cut_stream,
    distinct_name,
    is_below,
    plan_alone,
    spell_as_listed,
)
from colourizer.photos.files import is_photo_name
from colourizer.storage.address import parse_location
from colourizer.storage.listing import Listed

PARTS = ("a", ".gif", ".png", ".JPG", "_2", "_3", "_02", "_1", "_variant2", "_compared",
         "_variant3", "_confidence", "_2_variants", ".heic", ".webp", "é" * 100)  # fmt: skip
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join)
OPTIONS = OutputOptions(parse_location("s3://out"), None, 3, True, True)


def plan(name: str, options: OutputOptions = OPTIONS):
    source = parse_location("s3://scans") / name
    return plan_alone(FoundPhoto(source, PurePosixPath(name), False), options)


@settings(max_examples=100, deadline=None)
@given(st.sets(NAMES, min_size=2, max_size=8), st.sampled_from([None, "png", "jpeg"]))
@example({"a.gif", "a.gif.png", "a.gif_2.png", "a.gif_02.png"}, None)
@example({"a.jpg", "a.png", "a_variant2.jpg", "a.jpg_compared.jpg", "contact_sheet.jpg"}, None)
@example({"é" * 126 + "a.gif", "é" * 126 + "b.gif"}, None)
def test_no_two_photographs_share_a_file_whatever_their_names_are(names, target):
    names = {name if is_photo_name(PurePosixPath(name)) else f"{name}.jpg" for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_find_format", lambda source: streaming.FORMAT_OF.get(
            source.suffix.lower(), "JPEG"))  # fmt: skip
        options = OutputOptions(OPTIONS.output, target, 3, True, True)
        files = [str(path) for name in names for path in plan(name, options).targets()]
    assert len(set(files)) == len(files)


def test_most_names_stay_as_they_are():
    for name in ("a.jpg", "scan_0002.tif", "a.tif.jpg", "a.2020.png", "a_variant.png"):
        assert distinct_name(name) == name
    assert distinct_name("a.gif.png") == "a.gif_2.png"
    assert distinct_name("a.tif.jpg", "jpeg") == "a.tif_2.jpg"


def test_a_key_never_leads_out_of_the_output_folder(tmp_path, monkeypatch):
    def list_odd_key(folder):
        yield Listed(folder / "a//b/../../c.jpg", "a//b/../../c.jpg", 1)

    monkeypatch.setattr(streaming, "iterate_files", list_odd_key)
    monkeypatch.setattr(streaming, "is_folder", lambda path: True)
    found = streaming.stream_photos([parse_location("memory://scans")], tmp_path, Listing())
    (job,) = (plan_alone(photo, OutputOptions(tmp_path)) for photo in found)
    assert job.coloured == [tmp_path / "a/%/b/%2E%2E/%2E%2E/c.jpg"]


def test_only_a_folder_that_is_missing_changes_where_results_of_others_go(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.jpg").touch()
    down = parse_location("what://down/album")
    for path, below in [
        (tmp_path / "none.jpg", "a.jpg"),
        (tmp_path / "none.mp4", "a.jpg"),
        (tmp_path / "none", "scans/a.jpg"),
        (down, "scans/a.jpg"),
    ]:
        paths, output = [tmp_path / "scans", path], tmp_path / "out"
        found = list(streaming.stream_photos(paths, output, Listing(), is_film_name))
        if path is not down:
            found += find_all(paths, output, is_film_name).photos
        assert {photo.below.as_posix() for photo in found} == {below}


@given(st.sets(st.lists(st.sampled_from(("%", "25", "2E", "."))).map("".join), min_size=2))
def test_parts_of_keys_get_different_names_and_none_that_no_folder_may_have(parts):
    names = {streaming.name_part(part) for part in parts}
    assert len(names) == len(parts)
    assert not names & {"", ".", ".."}


def test_a_folder_with_a_login_is_the_same_one_without():
    folder, output = (parse_location(f"sftp://{host}/a") for host in ("anna:secret@host", "host"))
    assert is_below(folder / "b", output) and is_same(folder / "b", output / "b")
    assert not is_below(folder, output / "b")


def test_a_path_is_spelled_as_the_listing_of_its_folder_spells_it(tmp_path, monkeypatch):
    (tmp_path / "album" / "sub").mkdir(parents=True)
    (tmp_path / "album" / "sub" / "a.jpg").touch()
    (tmp_path / "album" / "link.jpg").symlink_to("sub/a.jpg")
    (tmp_path / "same").symlink_to("album")
    monkeypatch.chdir(tmp_path)

    def spell(text, named):
        return spell_as_listed(
            parse_location(text),
            parse_location(named),
            Path("out"),
            lambda name: name.suffix == ".film",
        )

    for text, named, spelled in [
        (f"{tmp_path}/album/sub/a.jpg", "album", "album/sub/a.jpg"),
        ("album/link.jpg", "album", "album/link.jpg"),
        ("same/sub/a.jpg", "album", "album/sub/a.jpg"),
        (f"{tmp_path}/same/sub/a.jpg", "album/sub/a.jpg", "album/sub/a.jpg"),
        ("sftp://host/a/b.jpg", "sftp://anna:secret@host/a", "sftp://anna:secret@host/a/b.jpg"),
        ("sftp://host/a", "sftp://anna:secret@host/a", "sftp://anna:secret@host/a"),
        ("album/.a.jpg", "album/.a.jpg", "album/.a.jpg"),
        ("zip://a.jpg::/.x/y.zip", "zip://::/.x/y.zip", "zip://a.jpg::/.x/y.zip"),
        ("s3://scans/../a.jpg", "s3://scans", "s3://scans/../a.jpg"),
        ("a.film", ".", "a.film"),
    ]:
        assert spell(text, named) == parse_location(spelled)
    for text, named in [
        ("a.jpg", "album"),
        ("a.jpg", "s3://album"),
        (".thumbnails/a.jpg", "."),
        ("album/.a.jpg", "album"),
        ("s3://scans/.thumbnails/a.jpg", "s3://scans"),
        ("s3://scans/letter.txt", "s3://scans"),
        ("out/a.jpg", "."),
    ]:
        assert spell(text, named) is None


@pytest.mark.parametrize("count, workers", [(1, 2), (7, 2), (100, 3), (1000, 1)])
def test_groups_are_cut_without_their_number_and_become_smaller_towards_the_end(count, workers):
    photos = [FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False) for n in range(count)]
    groups = list(cut_stream(photos, 16, lambda: workers))
    assert [photo for group in groups for photo in group] == photos
    assert max(map(len, groups)) <= 16
    assert len(groups[-1]) == 1
    assert len(groups) >= min(count, workers)


def test_groups_are_cut_when_most_of_the_workers_are_lost():
    photos = [FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False) for n in range(2000)]
    workers = iter([16, 16])
    groups = list(cut_stream(photos, 16, lambda: next(workers, 4)))
    assert [photo for group in groups for photo in group] == photos


def test_listing_is_never_far_ahead_of_what_is_done():
    listed = 0

    def listing():
        nonlocal listed
        for n in range(10_000):
            listed += 1
            yield FoundPhoto(Path(str(n)), PurePosixPath(str(n)), False, size=10_000_000)

    groups = cut_stream(listing(), 16, lambda: 2)
    for n in range(1, 20):
        group = next(groups)
        assert sum(photo.size for photo in group) <= streaming.GROUP_BYTES
        assert listed <= n * 16 + 4 * 16 * 2
