"""Rows of a report: what an outcome says of each file."""

from pathlib import Path

from colourizer.inference.outcome import Outcome, make_rows
from colourizer.inference.output_plan import Job


def test_a_failure_has_a_row_of_its_own_if_a_file_is_missing():
    source, files = Path("a.png"), [Path("out/a.png"), Path("out/a_2.png")]
    for count, results in ((1, ["colourized", "failed"]), (2, ["colourized", "colourized"])):
        outcome = Outcome(source, "failed", files[:count], "lost", job=Job(source, files))
        rows = make_rows(outcome)
        assert [row.result for row in rows] == results
        assert [Path(row.output).name for row in rows] == [path.name for path in files]
