"""The texts: their links, commands, options and lists agree with the files."""

import io
import re
import runpy
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from test_imports import MAY_IMPORT

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted(ROOT.glob("docs/*.md"))
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *DOCS]
CURRENT = [ROOT / "README.md", *(path for path in DOCS if path.stem != "experiments")]
COMMAND = re.compile(
    r"(?:python |torchrun --nproc-per-node 4 |`(?=[\w.]+ --))([\w/]+\.py)\b([^\n`]*)"
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def options_of():
    """Returns a function from a script's path to the options in its --help."""

    @cache
    def find(script: str) -> set[str]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(sys, "argv", [script, "--help"])
            patch.setattr(sys, "path", [*sys.path])  # benchmarks add to it
            patch.setattr(sys, "stdout", printed := io.StringIO())
            runpy.run_path(str(ROOT / script), run_name="__main__")
        return set(OPTION.findall(printed.getvalue()))

    return find


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_page_of_docs_first_says_for_whom_it_is(path):
    assert path.read_text(encoding="utf-8").split("\n\n")[1].startswith("For everybody who ")


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_picture_and_page_that_a_text_links_to_exists(path):
    targets = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", CURRENT, ids=name)
def test_every_command_that_a_text_shows_knows_its_options(path, options_of):
    for script, rest in COMMAND.findall(path.read_text(encoding="utf-8")):
        assert set(OPTION.findall(rest)) <= options_of(script), (script, rest)


@pytest.mark.parametrize("path", CURRENT, ids=name)
def test_every_option_that_a_text_names_belongs_to_a_command(path, options_of):
    spans = re.findall(r"`(--[^`]+)`", path.read_text(encoding="utf-8"))
    named = set(OPTION.findall(" ".join(spans)))
    commands = {script for script, _ in COMMAND.findall(README)} | {"app.py"}
    assert named <= set().union(*map(options_of, commands))


def test_the_readme_lists_every_script_and_subpackage_and_nothing_else():
    tree = re.search(r"```\n(Model_CNN\.py.*?)```", README, flags=re.S)
    listed = {
        entry for line in tree[1].splitlines() for entry in line[:25].replace(",", " ").split()
    }
    assert [entry for entry in listed if not (ROOT / entry).exists()] == []
    assert {path.name for path in ROOT.glob("*.py")} <= listed
    folders = {f"colourizer/{path.parent.name}/" for path in ROOT.glob("colourizer/*/__init__.py")}
    assert folders <= listed


def test_docs_architecture_states_the_rules_of_imports():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", text, flags=re.M)
    assert {
        subpackage: set(re.findall(r"\w+", allowed)) for subpackage, allowed in rows
    } == MAY_IMPORT
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", text, flags=re.M)
    assert all(to in MAY_IMPORT.get(subpackage, MAY_IMPORT) for subpackage, to in arrows)


def test_every_folder_of_the_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent for path in ROOT.glob("colourizer/**/*.py")}
    packages = {name(folder).replace("/", ".") for folder in folders} | {"colourizer.checkpoints"}
    assert set(settings["tool"]["setuptools"]["packages"]) == packages
