"""album_study.py, album.py and --album: what recurs gets the same colours, the rest its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from support.scenes import ROOT, SAMPLES

import colourize
from colourizer.colour.space import rgb_to_lab
from colourizer.inference import album_study, streaming
from colourizer.inference.album_study import choose_strongest
from colourizer.inference.coherence import halve
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.prediction import SharedLikelihoods
from colourizer.inference.preprocess import reduced_lightness
from colourizer.inference.provenance import describe_album_hints
from colourizer.network.checkpoint import BUNDLED
from colourizer.record.tag import find_tag

SIDE, EDGE = 256, 64  # pixels: of a part, and how much of it the other part has not
HINT = ("a.png:160,140,#207020", (160, 140))


def part(name: str, left: int, top: int) -> Image.Image:
    whole = Image.open(SAMPLES / name).convert("L").resize((SIDE + EDGE, SIDE + EDGE))
    return whole.crop((left, top, left + SIDE, top + SIDE))


def make_photos(folder: Path) -> Path:
    """Make two overlapping parts of one photograph, and two photographs of something else."""
    folder.mkdir()
    part("canyon_ashim_dsilva.jpg", 0, 0).save(folder / "a.png")
    part("coffee.jpg", 0, 0).save(folder / "b.png")
    part("canyon_ashim_dsilva.jpg", EDGE, EDGE).save(folder / "c.png")
    part("skyline.jpg", 0, 0).save(folder / "d.png")
    return folder


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """The bundled checkpoint is loaded only once."""
    loaded = Colourizer.load(device="cpu")
    load = Colourizer.load

    def load_once(checkpoint, device):
        return loaded if checkpoint == BUNDLED else load(checkpoint, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Colourizer, "load", load_once)
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory, loaded_once) -> Path:
    """The folder of the photographs coloured one by one."""
    folder = tmp_path_factory.mktemp("alone")
    arguments = [str(make_photos(folder / "in")), "-o", str(folder / "out"), "--no-tag"]
    assert colourize.main(arguments) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def together(tmp_path_factory, loaded_once) -> Path:
    """The folder of the photographs coloured as an album."""
    folder = tmp_path_factory.mktemp("together")
    arguments = [str(make_photos(folder / "in")), "-o", str(folder / "out"), "--no-tag"]
    assert colourize.main([*arguments, "--album"]) == 0
    return folder / "out"


@pytest.fixture
def run(tmp_path, capsys):
    """Call the command with the bundled checkpoint; return (exit code, output folder, stderr)."""
    runs = iter(range(100))

    def call(*args, out=None):
        out = out or tmp_path / f"out{next(runs)}"
        code = colourize.main([*map(str, args), "-o", str(out), "--no-tag"])
        return code, out, capsys.readouterr().err

    return call


def ab_of(path) -> torch.Tensor:
    rgb = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).movedim(-1, 0) / 255
    return rgb_to_lab(rgb)[1:]


def difference(out) -> float:
    """Return the mean distance of ab where the two parts of one photograph overlap."""
    one, other = ab_of(out / "a.png"), ab_of(out / "c.png")
    return (one[:, EDGE:, EDGE:] - other[:, :-EDGE, :-EDGE]).norm(dim=0).mean().item()


def test_what_recurs_gets_the_same_colours_and_the_rest_its_own_bit_for_bit(alone, together):
    assert difference(together) < 0.5 * difference(alone)
    for name in ("b.png", "d.png"):
        assert (together / name).read_bytes() == (alone / name).read_bytes()


def test_of_what_is_shared_only_edges_keep_detail_of_their_own():
    grey = np.array(part("coffee.jpg", 0, 0))
    noisy = grey + np.random.default_rng(0).normal(0, 4, grey.shape)
    both = [grey, noisy.clip(0, 255).astype(np.uint8)]
    colourizer = Colourizer.load(BUNDLED, "cpu")
    predictions = colourizer.predict([reduced_lightness(p) for p in both])
    says = predictions[0].log_likelihoods(), predictions[0].directions()
    shared = SharedLikelihoods(*says, torch.ones(1, 1, *says[0].shape[2:]))
    alone = [prediction.ab() for prediction in predictions]
    together = [replace(prediction, shared=shared).ab() for prediction in predictions]
    before, after = ((one - other).norm(dim=1).mean() for one, other in (alone, together))
    assert after < 0.15 * before
    smooth = F.interpolate(halve(together[0]), scale_factor=2, mode="bilinear")
    assert (together[0] - smooth).norm(dim=1).max() > 3


def test_a_rerun_sees_the_photographs_that_are_done(photos, run, together, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("a.png", "b.png", "d.png"):
        shutil.copy(together / name, parts)
    code, _, err = run(photos, "--album", out=parts)
    assert (code, "1 colourized, 3 skipped" in err) == (0, True)
    assert (parts / "c.png").read_bytes() == (together / "c.png").read_bytes()


def test_an_album_that_is_done_is_not_looked_at_again(photos, run, together, monkeypatch):
    monkeypatch.setattr(album_study, "predict_photos", lambda *_: pytest.fail("looked at"))
    assert "0 colourized, 4 skipped" in run(photos, "--album", out=together)[2]


def test_a_hint_on_one_colours_the_same_thing_of_the_others(photos, run, together):
    code, hinted, _ = run(photos, "--album", "--hint", HINT[0])
    assert code == 0
    target = ab_of(hinted / "a.png")[:, HINT[1][1], HINT[1][0]]
    x, y = (place - EDGE for place in HINT[1])
    before, after = (ab_of(out / "c.png")[:, y, x] for out in (together, hinted))
    assert (after - target).norm() < 0.4 * (before - target).norm()
    for name in ("b.png", "d.png"):
        assert (hinted / name).read_bytes() == (together / name).read_bytes()


def test_without_album_a_hint_is_for_the_photograph_that_it_names(photos, run, alone):
    code, hinted, _ = run(photos, "--hint", HINT[0])
    assert code == 0
    changed = [n for n in "abcd" if ab_of(alone / f"{n}.png").ne(ab_of(hinted / f"{n}.png")).any()]
    assert changed == ["a"]


@pytest.fixture
def stored(photos) -> str:
    """The address of the same photographs in a storage."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    for path in photos.iterdir():
        storage.pipe_file(f"/photos/{path.name}", path.read_bytes())
    return "memory://photos"


def test_photographs_in_a_storage_are_coloured_as_those_of_a_folder(stored, run, photos):
    code, out, _ = run(stored, "--album", "--hint", f"{stored}/{HINT[0]}")
    _, wanted, _ = run(photos, "--album", "--hint", HINT[0])
    assert code == 0
    for path in wanted.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_of_a_storage_so_many_are_an_album_as_a_bound_says(stored, run, alone, monkeypatch):
    monkeypatch.setattr(streaming, "ALBUM_PHOTOS", 2)
    code, out, err = run(stored, "--album")
    assert (code, "4 colourized" in err) == (0, True)
    for path in alone.iterdir():  # those that share something, a.png and c.png, are parted
        assert (out / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("160,140,#207020", "--hint: is for one photograph alone, and here are 4"),
        ("e.png:160,140,#207020", "--hint e.png: no such photograph here"),
    ],
)
def test_a_hint_of_which_the_photograph_is_not_clear_is_bad_usage(photos, run, hint, said):
    code, out, err = run(photos, "--album", "--hint", hint)
    assert (code, said in err, out.exists()) == (2, True, False)


def test_a_hint_outside_its_photograph_fails_that_one_only(photos, run):
    code, out, err = run(photos, "--album", "--hint", "a.png:1000,3,#207020")
    assert (code, len(list(out.iterdir()))) == (1, 3)
    assert "a.png: hint 1000,3: outside the photograph" in err


def test_a_reference_serves_the_whole_album(photos, run, together):
    colours = ROOT / "data" / "samples_in_colour" / "canyon_ashim_dsilva.jpg"
    whole = Image.open(colours).convert("RGB").resize((SIDE + EDGE, SIDE + EDGE))
    true = whole.crop((EDGE, EDGE, SIDE + EDGE, SIDE + EDGE))
    true.save(photos.parent / "true.png")
    code, out, _ = run(photos, "--album", "--reference", colours)
    assert code == 0
    truth = ab_of(photos.parent / "true.png")
    error = [(ab_of(each / "c.png") - truth).norm(dim=0).mean() for each in (together, out)]
    assert error[1] < 0.3 * error[0]
    assert difference(out) < 0.15 * truth.norm(dim=0).mean()


@pytest.mark.long
def test_variants_of_an_album_agree_too(photos, run):
    _, plain, _ = run(photos, "--variants", "2")
    code, agreeing, _ = run(photos, "--variants", "2", "--album")
    assert code == 0
    for out in (plain, agreeing):
        for name in "ac":
            (out / f"{name}_variant2.png").replace(out / f"{name}.png")
    assert difference(agreeing) < 0.6 * difference(plain)


def test_bad_files_never_stop_an_album(photos, run, alone):
    (photos / "letter.jpg").write_text("dear aunt Mary")
    (photos / "torn.png").write_bytes((photos / "a.png").read_bytes()[:5000])
    code, out, err = run(photos, "--album")
    assert (code, len(list(out.iterdir()))) == (1, 4)
    assert "4 colourized, 0 skipped, 2 failed" in err
    assert err.count("letter.jpg") == err.count("torn.png") == 1
    assert difference(out) < 0.5 * difference(alone)


def test_a_photograph_that_cannot_be_predicted_shares_nothing(photos, run, alone, monkeypatch):
    predict = album_study.predict_group

    def fails_for_one(read, colourizer):
        if any(path.name == "c.png" for path, *_ in read):
            raise RuntimeError("no memory")
        return predict(read, colourizer)

    monkeypatch.setattr(album_study, "predict_group", fails_for_one)
    code, out, _ = run(photos, "--album")
    assert (code, len(list(out.iterdir()))) == (0, 4)
    assert (out / "a.png").read_bytes() == (alone / "a.png").read_bytes()


def test_one_photograph_is_an_album_too(photos, run, alone):
    _, out, _ = run(photos / "a.png", "--album")
    assert (out / "a.png").read_bytes() == (alone / "a.png").read_bytes()


def test_dry_run_and_json_are_as_without(photos, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [str(photos), "--album", "-o", str(out)]
    assert colourize.main([*arguments, "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert colourize.main([*arguments, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["result"] for row in rows] == ["colourized"] * 4


def test_one_photograph_from_standard_input_is_no_album(capsys):
    with pytest.raises(SystemExit) as bad_usage:
        colourize.main(["-", "--album"])
    assert bad_usage.value.code == 2
    assert "--album: has no meaning for -" in capsys.readouterr().err


def test_a_temporary_folder_that_is_full_is_said_in_a_sentence(photos, run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(album_study.ArrayFile, "append", full)
    code, _, err = run(photos, "--album")
    assert code == 1
    assert f"error: --album: {tempfile.gettempdir()}: no space left on device" in err
    assert "hint: set TMPDIR" in err


def test_only_albums_and_storages_need_a_temporary_folder(photos, run, tmp_path, monkeypatch):
    def find_none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", find_none)
    assert run(photos, "-o", tmp_path / "out")[0] == 0
    code, _, err = run(photos, "-o", tmp_path / "out", "--report", "memory://report.jsonl")
    assert (code, err) == (2, "error: --report memory://report.jsonl: no usable temporary directory"
                              " found in ['/tmp']\n")  # fmt: skip
    code, _, err = run("--verify", "memory://report.jsonl")
    assert (code, "error: memory://report.jsonl: no usable" in err) == (2, True)
    for output in (tmp_path / "album", "memory://album"):
        code, _, err = run(photos, "--album", "-o", output)
        assert code == 1
        assert "error: --album: no usable temporary directory found in ['/tmp']\nhint: set" in err


@pytest.mark.long
def test_ctrl_c_while_it_looks_leaves_nothing(photos, tmp_path):
    for i in range(2000):
        (photos / f"more{i}.png").hardlink_to(photos / "b.png")
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "colourize.py", photos, "--album", "-o", tmp_path / "out"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not list((tmp_path / "tmp").iterdir())


def test_of_each_photograph_the_strongest_pairs_are_chosen():
    pairs = torch.tensor([[0, n] for n in range(1, 10)] + [[1, 2]])
    shares = torch.linspace(0.9, 0.1, 10).tolist()
    chosen = choose_strongest(pairs, shares)
    assert chosen[0] == (0, 1)  # the most alike first
    assert (1, 2) in chosen
    assert choose_strongest(pairs, [0.0] * 10) == []


def test_update_does_again_what_was_made_without_album_or_with_other_hints(
    photos, tmp_path, capsys
):
    (photos / "d.png").unlink()

    def planned(*args: str) -> int:
        colourize.main([str(photos), "-o", str(tmp_path / "out"), "--update", *args, "--dry-run"])
        return len(capsys.readouterr().out.splitlines())

    assert planned() == 3
    for before, now in (((), ("--album",)), (("--album",), ("--album", "--hint", HINT[0]))):
        colourize.main([str(photos), "-o", str(tmp_path / "out"), "--update", *before])
        capsys.readouterr()
        assert (planned(*before), planned(*now)) == (0, 3)
    tag = find_tag((tmp_path / "out" / "a.png").read_bytes())
    assert tag and tag.settings and tag.settings.album


def test_a_photograph_is_told_from_the_others_of_its_album_by_hints():
    one, other = Hint(1, 2, (255, 0, 0)), Hint(3, 4, (0, 255, 0))
    hints = {Path("a.png"): (one,), Path("b.png"): (other,)}
    said = [describe_album_hints(hints, Path(name)) for name in ("a.png", "b.png", "c.png")]
    assert said[0].startswith("1,2,#ff0000|others:")
    assert said[1].startswith("3,4,#00ff00|others:")
    assert said[2].startswith("others:")
    assert len({text.partition("others:")[2] for text in said}) == 3
    assert describe_album_hints({Path("a.png"): (one,)}, Path("a.png")) == "1,2,#ff0000"
