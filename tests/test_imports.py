"""The package: which subpackage may import which, and that docstrings list the files."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "colourizer"
# What each subpackage may import of ours, besides itself. Scripts at the root may import anything
# but each other.
MAY_IMPORT = {
    "runtime": set(),
    "colour": set(),
    "photos": {"runtime"},
    "record": {"storage", "runtime"},
    "storage": {"runtime"},
    "Model_CNN": {"colour"},
    "network": {"Model_CNN", "colour", "runtime"},
    "inference": {"network", "Model_CNN", "photos", "record", "storage", "colour", "runtime"},
    "curation": {"photos", "colour", "runtime"},
    "downloads": {"curation", "photos", "runtime"},
    "training": {"network", "Model_CNN", "curation", "photos", "storage", "colour", "runtime"},
    "film": {
        *("inference", "network", "Model_CNN", "photos", "record", "storage", "colour", "runtime")
    },
    "colourizing": {"film", "inference", "network", "photos", "record", "storage", "runtime"},
    "app": {"inference", "network", "photos", "runtime"},
}
FILES = sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("*.py")])


def module_of(path: Path) -> str:
    """Return a file's dotted module name; a package's is its folder's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def subpackage_of(module: str) -> str:
    """Return the subpackage that a module lies in; a script's is itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "colourizer" and len(parts) > 1 else parts[0]


MODULES = {module_of(path): path for path in FILES}
SCRIPTS = {path.stem for path in ROOT.glob("*.py")} - {"Model_CNN", "queries_for_download"}


def imports(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & set(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_subpackage_imports_only_what_its_rule_allows(module):
    subpackage, used = (
        subpackage_of(module),
        {subpackage_of(name) for name in imports(MODULES[module])},
    )
    if module == "colourizer":
        return  # exports lazily
    allowed = MAY_IMPORT.get(subpackage, set(MAY_IMPORT) | {"queries_for_download", "colourizer"})
    assert used - {subpackage, "colourizer"} <= allowed


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_command_never_imports_a_command(script):
    assert not imports(ROOT / f"{script}.py") & SCRIPTS


def test_no_file_imports_itself_by_way_of_others():
    graph = {name: imports(path) - {name, "colourizer"} for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("init", sorted(PACKAGE.rglob("__init__.py")), ids=module_of)
def test_every_folder_of_the_package_lists_its_files(init):
    lines = ast.get_docstring(ast.parse(init.read_text())).splitlines()[1:]
    listed = {name for line in lines if "  " in line for name in line.split("  ")[0].split(", ")}
    there = {path.stem for path in init.parent.iterdir()} - {"__init__", "__pycache__"}
    assert {Path(name).stem for name in listed} == there


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_file_says_its_job_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring and 20 <= len(docstring.splitlines()[0]) <= 97
