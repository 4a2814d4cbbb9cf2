"""The house: which file may import which, and what the texts say."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A file imports only from floors below its own. Commands stand on the top floor.
FLOORS = (
    ("colour_profiles", "distributed", "jpeg_scans", "metadata", "schedule", "threads"),
    ("pixel_formats",),
    ("strip_files",),
    ("decoder", "encoder"),
    (
        "queries_for_download",
        "made_copies",
        "colour_space",
        "metrics",
        "console",
        "device",
        "photo",
        "duplicates",
        "averages",
        "batching",
        "packed_convolutions",
        "published_weights",
        "downloads",
    ),
    (
        "ab_bins",
        "ageing",
        "classic_cnn",
        "colour_table",
        "contact_sheets",
        "hints",
        "open_collections",
        "rejected_list",
        "screening",
        "bing_child",
        "tar_shards",
    ),
    ("Model_CNN", "recombine", "review_page", "photo_cache", "collection", "bing_search"),
    ("checkpoint", "crops", "losses", "perceptual", "quantized_decoder"),
    ("coloured_file", "prediction", "run_folder", "training_data", "validation"),
    ("colourizer", "progress", "tensorboard_log", "training_options"),
    ("desk",),
    ("page_server",),
    (
        "app",
        "colourize",
        "compare_runs",
        "data_transformer",
        "dataset",
        "evaluate",
        "review",
        "show_checkpoint",
        "train",
    ),
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}
FILES = sorted(ROOT.glob("*.py"))


def imports(path: Path) -> set[str]:
    """List the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_every_file_stands_on_a_floor():
    assert {path.stem for path in FILES} == set(FLOOR_OF)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports_run_strictly_downhill(path):
    ours = imports(path) & set(FLOOR_OF)
    assert all(FLOOR_OF[name] < FLOOR_OF[path.stem] for name in ours), ours


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_its_job_in_its_first_line(path):
    first = path.read_text().splitlines()[0]
    assert re.fullmatch(r'""".{20,}[.?](""")?', first), first


def test_inference_needs_no_torchvision():
    reached, todo = set(), {"app", "colourize", "evaluate"}
    while todo:
        name = todo.pop()
        found = imports(ROOT / f"{name}.py")
        todo |= (found & set(FLOOR_OF)) - reached
        reached |= found
    assert {"colourizer", "Model_CNN", "colour_space"} <= reached
    assert "torchvision" not in reached


def test_every_picture_and_page_that_a_text_shows_exists():
    for text in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]:
        targets = re.findall(r"\]\((?!http)([^)#]+)\)", text.read_text())
        assert [name for name in targets if not (text.parent / name).exists()] == [], text


def test_every_file_of_the_readme_tree_exists():
    readme = (ROOT / "README.md").read_text()
    named = re.findall(r"^([\w./]+\.(?:py|txt|md|toml|pt))\s", readme, flags=re.M)
    assert len(named) > 12
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert {path.name for path in FILES} <= set(named)
