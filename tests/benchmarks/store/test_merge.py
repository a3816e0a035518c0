import pytest
from click.testing import CliRunner

from benchmarks.__main__ import cli
from benchmarks.analysis import comparison
from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from benchmarks.store.merge import merge
from tests.benchmarks.analysis.runs import write
from tests.benchmarks.conftest import ROOT


@pytest.fixture
def folders(tmp_path):
    """Return three reports with different optimizers and seeds."""
    one = write(tmp_path / "one", "adam", [500, 505, 510], seed=[0, 1, 2])
    other = write(tmp_path / "other", "sgd", [1000, 1010, 1020], seed=[0, 1, 2])
    more = {"seed": [3, 4, 5], "run_id": ["x", "y", "z"]}
    return [one, other, write(tmp_path / "more", "adam", [501, 502, 503], **more)]


def test_the_rows_of_all_are_one_report(folders, tmp_path):
    merge(folders, tmp_path / "all")
    assert len(csv_file.read(tmp_path / "all" / "runs.csv", schema.RUNS)) == 9
    (speed, _) = comparison.within(tmp_path / "all")[0]
    assert (speed.effect.n, speed.alone) == (3, 3)
    with pytest.raises(InputError, match="holds a report already"):
        merge(folders, tmp_path / "all")


def test_compare_and_report_take_several(folders, tmp_path):
    arguments = list(map(str, folders))
    done = CliRunner().invoke(cli, ["compare", *arguments, "--merge", "--json"])
    assert done.exit_code == 0
    assert '"subject": "sgd"' in done.output
    done = CliRunner().invoke(cli, ["report", *arguments], standalone_mode=False)
    assert "3 folders given: name a folder for the page with --output" in str(done.exception)
    output = tmp_path / "page"
    assert CliRunner().invoke(cli, ["report", *arguments, "--output", str(output)]).exit_code == 0
    assert (output / "report.html").exists()
    one = tmp_path / "elsewhere"
    CliRunner().invoke(cli, ["report", arguments[0], "--output", str(one)])
    assert (one / "report.html").exists()
    assert not (folders[0] / "report.html").exists()


def test_what_cannot_be_put_together_is_refused(folders, tmp_path):
    with pytest.raises(InputError, match="two of the folders hold the run adam-0"):
        merge([folders[0], folders[0]], tmp_path / "a")
    with pytest.raises(InputError, match="holds a search"):
        merge([folders[0], ROOT / "results" / "tune_fashion_mnist"], tmp_path / "b")
    with pytest.raises(InputError, match="no such folder"):
        merge([tmp_path / "nowhere"], tmp_path / "c")
    with pytest.raises(InputError, match="holds no report"):
        merge([tmp_path], tmp_path / "d")
