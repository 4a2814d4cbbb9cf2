"""colourize.py for archives: the report, runs again, verification, and what is kept."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import tifffile
from PIL import Image
from support.scenes import scene
from support.tiff_kinds import Samples, Storage, write

import colourize
from colourizer import __version__
from colourizer.inference import batch, reruns
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.network.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from colourizer.record.report import read_rows
from colourizer.record.tag import read_tag


@pytest.fixture
def run(checkpoint_file, capsys):
    """Call the command with the small checkpoint; return (exit code, stdout lines, stderr)."""

    def call(*args, checkpoint=checkpoint_file):
        given = [*map(str, args)]
        code = colourize.main(
            given if "--verify" in given else [*given, "--checkpoint", str(checkpoint)]
        )
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


@pytest.fixture
def scans(tmp_path) -> Path:
    """Return a folder of four scans."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "c.tif", "d.webp")):
        scene(i).convert("L").convert("RGB").save(folder / name)
    return folder


def sha256(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def rows_of(report: Path) -> dict[str, object]:
    return {Path(row.output).name: row for row in read_rows(report)}


@pytest.mark.parametrize("name", ["report.jsonl", "report.parquet"])
def test_a_report_has_hashes_settings_and_result_of_each_scan(
    scans, tmp_path, run, checkpoint_file, name
):
    (scans / "letter.jpg").write_text("dear aunt Mary")
    report, out = tmp_path / name, tmp_path / "out"
    options = ("--vividness", 0.3, "--warmth", 0.5, "--report", report)
    assert run(scans, "-o", out, *options)[0] == 1
    rows = rows_of(report)
    assert set(rows) == {"a.png", "b.jpg", "c.tif", "d.webp", "letter.jpg"}
    for file in ("a.png", "b.jpg", "c.tif", "d.webp"):
        row = rows[file]
        assert (row.source, row.output) == (str(scans / file), str(out / file))
        assert (row.source_sha256, row.output_sha256) == (sha256(scans / file), sha256(out / file))
        assert row.source_bytes == (scans / file).stat().st_size
        assert row.output_bytes == (out / file).stat().st_size
        assert (row.result, row.reason, row.picture) == ("colourized", "", "coloured")
        assert row.settings.network == fingerprint(checkpoint_file)
        assert (row.settings.vividness, row.settings.warmth) == (0.3, 0.5)
        assert (row.settings.device, row.settings.variant) == ("cpu", 1)
        assert row.settings.precision.startswith(("float32", "bfloat16"))
        assert row.version == __version__
        assert row.seconds > 0
        with (out / file).open("rb") as opened:
            tag = read_tag(opened)
        assert tag.settings.differences(row.settings) == []
        assert tag.settings.precision == row.settings.precision
    assert (rows["letter.jpg"].result, rows["letter.jpg"].output_sha256) == ("failed", "")
    assert "not an image" in rows["letter.jpg"].reason


def test_every_picture_of_a_scan_has_a_row_of_its_own(scans, tmp_path, run):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    beside = ("--variants", 2, "--confidence", "--compare", "--hint", "10,20,#c02020")
    assert run(scans / "a.png", "-o", out, "--report", report, *beside)[0] == 0
    rows = rows_of(report)
    assert {name: (row.picture, row.settings.variant) for name, row in rows.items()} == {
        "a.png": ("coloured", 1),
        "a_variant2.png": ("coloured", 2),
        "a_confidence.png": ("confidence", 1),
        "a_2_variants.png": ("variants", 1),
        "a_compared.jpg": ("comparison", 1),
    }
    assert {row.settings.hints for row in rows.values()} == {"10,20,#c02020"}
    assert all(row.output_sha256 == sha256(row.output) for row in rows.values())
    with (out / "a_variant2.png").open("rb") as file:
        assert read_tag(file).settings.variant == 2


def test_a_reference_is_named_by_the_hash_of_its_file(scans, tmp_path, run):
    scene(7).save(tmp_path / "colour.png")
    report = tmp_path / "report.jsonl"
    options = ("--reference", tmp_path / "colour.png", "--report", report)
    assert run(scans / "a.png", "-o", tmp_path / "out", *options)[0] == 0
    row = rows_of(report)["a.png"]
    assert row.settings.reference == sha256(tmp_path / "colour.png")
    assert 0 <= row.reference_match <= 1


def test_a_run_again_doubles_no_row_and_loses_no_hash(scans, tmp_path, run):
    (scans / "letter.jpg").write_text("dear aunt Mary")
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    run(scans, "-o", out, "--report", report)
    before = rows_of(report)
    scene(8).save(scans / "letter.jpg")
    code, printed, err = run(scans, "-o", out, "--report", report)
    assert (code, printed) == (0, [str(out / "letter.jpg")])
    assert f"hint: skipped: 4 there already in {out}; --overwrite does them again" in err
    assert len(report.read_text().splitlines()) == 5
    after = rows_of(report)
    assert after["letter.jpg"].result == "colourized"
    assert {name: after[name] for name in ("a.png", "c.tif")} == {
        name: before[name] for name in ("a.png", "c.tif")
    }


def test_a_report_that_is_none_is_bad_usage_before_the_first_photograph(scans, tmp_path, run):
    (tmp_path / "notes.txt").write_text("of aunt Mary\n")
    code, out, err = run(scans, "-o", tmp_path / "out", "--report", tmp_path / "notes.txt")
    assert (code, out) == (2, [])
    assert f"error: --report {tmp_path / 'notes.txt'}: line 1 is not a row of a report" in err
    assert "hint: " in err
    assert (tmp_path / "notes.txt").read_text() == "of aunt Mary\n"
    assert not (tmp_path / "out").exists()


def test_other_settings_are_said_of_what_is_there_and_update_does_it_again(
    scans, tmp_path, run, checkpoint_file
):
    out = tmp_path / "out"
    run(scans, "-o", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    code, printed, err = run(scans, "-o", out, "--vividness", 0.3)
    assert (code, printed) == (0, [])
    made = f"made with vividness {DEFAULT_VIVIDNESS}, not 0.3"
    said = f"there already in {out}, {made}; --update does them again"
    assert f"hint: skipped: 4 {said}" in err
    assert "0 colourized, 4 skipped, 0 failed" in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert (
        "4 would be colourized"
        in run(scans, "-o", out, "--vividness", 0.3, "--update", "--dry-run")[2]
    )
    assert len(run(scans, "-o", out, "--vividness", 0.3, "--update")[1]) == 4
    assert "0 colourized, 4 skipped" in run(scans, "-o", out, "--vividness", 0.3, "--update")[2]
    other = tmp_path / "other.pt"
    content = load_checkpoint(checkpoint_file)
    save_checkpoint(other, content | {"epoch": 7})
    _, _, err = run(scans, "-o", out, "--vividness", 0.3, checkpoint=other)
    assert f"made with network {fingerprint(checkpoint_file)[:12]}, not " in err
    assert len(run(scans, "-o", out, "--vividness", 0.3, "--update", checkpoint=other)[1]) == 4


def test_a_scan_that_is_replaced_while_it_is_coloured_is_a_row_and_has_no_result(
    scans, tmp_path, run, monkeypatch
):
    write_files = batch.write_files

    def replace_scan(item, *args):
        write_files(item, *args)
        if item.job.source.name == "a.png":
            item.job.source.write_bytes((scans / "b.jpg").read_bytes())

    monkeypatch.setattr(batch, "write_files", replace_scan)
    options = (scans, "-o", tmp_path / "out", "--report", tmp_path / "report.jsonl")
    code, _, err = run(*options)
    assert code == 1
    assert f"error: {scans / 'a.png'}: was changed while it was coloured; run this again" in err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"b.jpg", "c.tif", "d.webp"}
    monkeypatch.undo()
    assert run(*options)[0] == 0
    row = rows_of(tmp_path / "report.jsonl")["a.png"]
    assert (row.result, row.source_sha256) == ("colourized", sha256(scans / "a.png"))


def test_update_does_again_what_is_older_than_its_source_and_leaves_the_rest_alone(
    scans, tmp_path, run
):
    out = tmp_path / "out"
    run(scans, "-o", out)
    scene(9).save(scans / "a.png")
    os.utime(scans / "a.png", (4_000_000_000, 4_000_000_000))
    (out / "b.jpg").write_bytes(b"retouched by hand, without a tag")
    err = run(scans, "-o", out)[2]
    assert f"hint: skipped: 3 there already in {out}; --overwrite" in err
    assert f"1 there already in {out}, older than its source; --update does them again" in err
    assert run(scans, "-o", out, "--update")[1] == [str(out / "a.png")]
    assert run(scans, "-o", out, "--update")[1] == []
    assert (out / "b.jpg").read_bytes() == b"retouched by hand, without a tag"


def test_without_tags_the_report_tells_the_settings_and_no_file_is_opened(
    scans, tmp_path, run, monkeypatch
):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    run(scans, "-o", out, "--no-tag", "--report", report)
    assert "made with" not in run(scans, "-o", out, "--no-tag", "--vividness", 0.3)[2]
    monkeypatch.setattr(reruns, "read_tag", None)
    options = ("-o", out, "--no-tag", "--vividness", 0.3, "--report", report)
    assert "4 there already in" in run(scans, *options)[2]
    assert f"made with vividness {DEFAULT_VIVIDNESS}, not 0.3" in run(scans, *options)[2]
    planned = run(scans, *options, "--update", "--dry-run")[1]
    assert len(planned) == 4
    assert run(scans, *options, "--update")[1] == planned
    assert {row.settings.vividness for row in read_rows(report)} == {0.3}


def test_a_dry_run_makes_no_report_and_refuses_what_is_none(scans, tmp_path, run):
    options = ("-o", tmp_path / "out", "--update", "--dry-run", "--report", tmp_path / "new.jsonl")
    assert run(scans, *options)[0] == 0
    assert not (tmp_path / "new.jsonl").exists()
    (tmp_path / "new.jsonl").write_text("dear aunt Mary\n")
    code, out, err = run(scans, *options)
    assert (code, out) == (2, [])
    assert f"error: --report {tmp_path / 'new.jsonl'}: line 1 is not a row of a report" in err


@pytest.mark.parametrize("name", ["report.jsonl", "report.parquet"])
def test_verify_finds_every_changed_missing_and_otherwise_made_output(tmp_path, run, name):
    folder, out, report = tmp_path / "scans", tmp_path / "out", tmp_path / name
    folder.mkdir()
    suffixes = ("png", "jpg", "tif", "webp")
    for i in range(20):
        scene(i).save(folder / f"{i:02}.{suffixes[i % 4]}")
    assert run(folder, "-o", out, "--report", report)[0] == 0
    assert run("--verify", report) == (0, [], "20 outputs: 20 as recorded\n")
    files = sorted(out.iterdir())
    for path in files[:10]:  # one byte each, of the pixels
        content = bytearray(path.read_bytes())
        share = 0.25 if path.suffix in (".tif", ".webp") else 0.75  # whose metadata are at the end
        content[int(len(content) * share)] ^= 1
        path.write_bytes(content)
    for path in files[10:13]:
        path.unlink()
    again = [folder / path.name for path in files[13:15]]
    assert run(*again, "-o", out, "--overwrite", "--vividness", 0.2)[0] == 0
    code, printed, err = run("--verify", report, "--json")
    assert code == 1
    found = {Path(row["output"]).name: row["found"] for row in map(json.loads, printed)}
    assert found == {
        **{path.name: "changed" for path in files[:10]},
        **{path.name: "missing" for path in files[10:13]},
        **{path.name: "made with other settings" for path in files[13:15]},
    }
    assert f"error: {files[0]}: changed\n" in err
    assert f"error: {files[10]}: missing\n" in err
    assert f"error: {files[13]}: made with vividness 0.2, not {DEFAULT_VIVIDNESS}\n" in err
    summary = "5 as recorded, 3 missing, 10 changed, 2 made with other settings"
    assert err.splitlines()[-1] == f"20 outputs: {summary}"


def test_a_report_that_is_begun_late_has_hashes_and_settings_of_what_was_there(
    scans, tmp_path, run, monkeypatch
):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    run(scans, "-o", out, "--vividness", 0.3, "--variants", 2)
    options = ("-o", out, "--vividness", 0.3, "--variants", 2, "--report", report)
    assert run(scans, *options)[1] == []
    rows = rows_of(report)
    assert len(rows) == 4 * 3
    for row in rows.values():
        assert (row.result, row.reason) == ("skipped", "there already")
        assert (row.source_sha256, row.output_sha256) == (sha256(row.source), sha256(row.output))
        assert row.settings.vividness == 0.3
    assert rows["a_variant2.png"].settings.variant == 2
    monkeypatch.setattr(batch, "hash_source", None)  # each is hashed once
    monkeypatch.setattr(reruns, "read_tag", None)
    assert "0 colourized, 4 skipped, 0 failed" in run(scans, *options)[2]
    assert rows_of(report) == rows
    assert run("--verify", report) == (0, [], "12 outputs: 12 as recorded\n")
    (out / "a.png").write_bytes((out / "a.png").read_bytes() + b"\0")
    assert "1 changed" in run("--verify", report)[2]


def test_what_was_there_has_a_row_at_once_if_only_a_picture_beside_it_is_missing(
    scans, tmp_path, run
):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    run(scans, "-o", out, "--vividness", 0.3)
    files = run(scans, "-o", out, "--compare", "--report", report)[1]
    rows = rows_of(report)
    assert len(files) == 4
    assert len(rows) == 4 * 2
    for name, row in rows.items():
        is_new = "_compared" in name
        assert row.result == ("colourized" if is_new else "skipped")
        assert (row.source_sha256, row.output_sha256) == (sha256(row.source), sha256(row.output))
        assert row.settings.vividness == (DEFAULT_VIVIDNESS if is_new else 0.3)
    assert run("--verify", report) == (0, [], "8 outputs: 8 as recorded\n")


def test_a_scan_that_failed_and_was_coloured_without_the_report_is_hashed(scans, tmp_path, run):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    whole = (scans / "a.png").read_bytes()
    (scans / "a.png").write_bytes(whole[:200])
    assert run(scans, "-o", out, "--report", report)[0] == 1
    (scans / "a.png").write_bytes(whole)
    assert run(scans, "-o", out)[0] == 0
    for _ in range(2):
        assert run(scans, "-o", out, "--report", report)[0] == 0
        row = rows_of(report)["a.png"]
        assert (row.result, row.output_sha256) == ("skipped", sha256(out / "a.png"))
    assert run("--verify", report) == (0, [], "4 outputs: 4 as recorded\n")


def test_verify_says_what_it_cannot_tell(scans, tmp_path, run):
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    (scans / "letter.jpg").write_text("dear aunt Mary")
    run(scans, "-o", out, "--report", report)
    code, _, err = run("--verify", report)
    assert (code, err) == (0, "4 outputs: 4 as recorded, 1 failed, not checked\n")
    report.write_text(report.read_text().replace('{"source"', "{?", 1))
    code, _, err = run("--verify", report)
    assert code == 1
    assert f"error: {report}: line 1 is not a row of a report" in err
    report.write_text("dear aunt Mary\n" * 3)
    code, _, err = run("--verify", report)
    assert (code, err) == (2, f"error: {report}: line 1 is not a row of a report\n")
    code, _, err = run("--verify", tmp_path / "none.jsonl")
    assert (code, err) == (2, f"error: {tmp_path / 'none.jsonl'}: no such file or directory\n")


@pytest.mark.parametrize(
    "options",
    [["--verify", "a.jsonl", "scans"], [], ["a.png", "--update", "--overwrite"], ["-", "--update"]],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_bad_usage(options, run):
    with pytest.raises(SystemExit) as bad_usage:
        run(*options)
    assert bad_usage.value.code == 2


def test_results_have_the_time_of_their_scan_and_its_sidecars(scans, tmp_path, run):
    out = tmp_path / "out"
    for path in scans.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (scans / "a.xmp").write_text("<x/>")
    (scans / "b.jpg.xmp").write_text("<y/>")
    assert run(scans, "-o", out, "--confidence")[0] == 0
    assert {path.stat().st_mtime for path in out.iterdir() if path.suffix != ".xmp"} == {
        1_000_000_000
    }
    assert (out / "a.xmp").read_text() == "<x/>"
    assert (out / "b.jpg.xmp").read_text() == "<y/>"
    assert len(list(out.glob("*.xmp"))) == 2


def test_what_is_kept_or_converted_of_a_scan_is_in_the_report(tmp_path, run):
    folder, report = tmp_path / "scans", tmp_path / "report.jsonl"
    folder.mkdir()
    grey = scene(0).convert("L")
    grey.save(folder / "lzw.tif", compression="tiff_lzw")
    grey.save(folder / "jpeg.tif", compression="jpeg")
    write(folder / "big.tif", Samples("minisblack", 16), Storage("packbits", big=True))
    grey.save(folder / "a.gif")
    grey.save(folder / "luma.jpg")
    Image.merge("LA", (grey, grey)).save(folder / "alpha.png")
    code, _, err = run(folder, "-o", tmp_path / "out", "--report", report, "--keep-luma")
    assert code == 0
    said = {name: row.converted for name, row in rows_of(report).items()}
    lossy = "JPEG compression -> deflate, which is lossless"
    assert said == {
        "lzw.tif": "",
        "jpeg.tif": lossy,
        "big.tif": "",
        "alpha.png": "",
        "a.gif.png": "GIF -> PNG",
        "luma.jpg": "luma kept bit for bit",
    }
    assert f"note: {folder / 'jpeg.tif'}: {lossy}" in err
    kept = {}
    for path in (tmp_path / "out").glob("*.tif"):
        with tifffile.TiffFile(path) as tiff:
            kept[path.name] = tiff.pages[0].compression.name, tiff.is_bigtiff
    assert kept == {
        "lzw.tif": ("LZW", False),
        "jpeg.tif": ("ADOBE_DEFLATE", False),
        "big.tif": ("PACKBITS", True),
    }
    report.unlink()
    run(folder, "-o", tmp_path / "jpegs", "--report", report, "--format", "jpeg")
    said = {name: row.converted for name, row in rows_of(report).items()}
    assert said["big.tif.jpg"] == "16 bits -> 8; TIFF -> JPEG"
    assert said["alpha.png.jpg"] == "PNG -> JPEG; transparency left out"
