import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.config import InputError

# The columns are a promise to those who read the reports.
RUNS = (
    "run_id status error dataset model optimizer seed backend device jit_compile batch_size "
    "learning_rate schedule epochs params images_per_second step_ms_p50 step_ms_p90 step_ms_p99 "
    "compile_seconds train_seconds data_wait_fraction inference_ms_p50 peak_memory_mb "
    "test_accuracy best_test_accuracy target_accuracy steps_to_target seconds_to_target "
    "python tensorflow keras keras_adam backend_version cpu cores gpu commit dirty started_at"
)
EPOCHS = (
    "run_id epoch steps train_loss train_accuracy val_loss val_accuracy test_loss test_accuracy "
    "seconds images_per_second learning_rate"
)
TRIALS = "run_id dataset model optimizer trial parameters status val_accuracy test_accuracy"


def test_the_columns_are_the_promised_ones():
    assert " ".join(table.TRIALS) == TRIALS
    assert " ".join(table.RUNS) == RUNS
    assert " ".join(table.EPOCHS) == EPOCHS


def test_the_results_folder_explains_every_column():
    readme = (Path(__file__).parents[2] / "results" / "README.md").read_text()
    assert [
        column
        for column in {**table.RUNS, **table.EPOCHS, **table.TRIALS}
        if f"`{column}`" not in readme
    ] == []


def test_rows_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [
        {
            "run_id": "0123",
            "status": "ok",
            "optimizer": 'adam(a="x, y")',
            "cores": 2,
            "dirty": True,
        },
        {"run_id": "4567", "status": "error", "error": 'a "quoted" one', "learning_rate": 0.001},
    ]
    for row in rows:
        table.append(path, table.RUNS, [row])
    frame = table.read(path, table.RUNS)
    assert frame.dtypes.astype(str).to_dict() == table.RUNS
    assert [row.dropna().to_dict() for _, row in frame.iterrows()] == rows


def test_a_column_that_is_not_in_the_schema_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no column acuracy"):
        table.append(tmp_path / "runs.csv", table.RUNS, [{"run_id": "0", "acuracy": 1.0}])
    assert not (tmp_path / "runs.csv").exists()


def test_a_row_is_one_line(tmp_path):
    path = tmp_path / "runs.csv"
    table.append(path, table.RUNS, [{"run_id": "0", "status": "error", "error": "two\nlines"}])
    assert path.read_text().count("\n") == 2
    assert list(table.read(path, table.RUNS)["error"]) == ["two lines"]


def test_a_full_disk_leaves_the_rows_before_whole(tmp_path, monkeypatch):
    path = tmp_path / "epochs.csv"
    table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": 1}])
    before = path.read_bytes()

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match=r"epochs\.csv: No space left on device"):
            table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": 2}])
    assert path.read_bytes() == before


def test_a_row_for_which_there_is_half_the_room_is_not_written(tmp_path):
    path = tmp_path / "epochs.csv"
    table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": 1}])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(InputError, match=r"epochs\.csv: No space left on device"):
            table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": 2}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("left", "epochs"),
    [(-1, [1]), (-9, [1]), (-20, []), (60, []), (0, [])],  # a row here has 14 bytes
)
def test_a_torn_end_is_not_read_and_is_cut_off_before_the_next_row(tmp_path, left, epochs):
    path = tmp_path / "epochs.csv"
    for epoch in (1, 2):
        table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": epoch}])
    path.write_bytes(path.read_bytes()[:left])
    assert list(table.read(path, table.EPOCHS)["epoch"]) == epochs
    table.append(path, table.EPOCHS, [{"run_id": "0", "epoch": 3}])
    assert list(table.read(path, table.EPOCHS)["epoch"]) == [*epochs, 3]


def test_the_rows_of_a_run_can_be_removed(tmp_path):
    path = tmp_path / "epochs.csv"
    table.remove(path, ["0"])
    for run_id in ("0", "01", "0"):
        table.append(path, table.EPOCHS, [{"run_id": run_id, "epoch": 1}])
    table.remove(path, ["0"])
    assert list(table.read(path, table.EPOCHS)["run_id"]) == ["01"]
    assert {file.name for file in tmp_path.iterdir()} == {"epochs.csv", ".lock"}


WRITE = """
import sys
from pathlib import Path
from benchmarks import table
for number in range(50):
    table.append(Path(sys.argv[1]), table.EPOCHS, [{"run_id": sys.argv[2], "epoch": number}])
    table.remove(Path(sys.argv[1]), ["none", *([sys.argv[2]] if number == 25 else [])])
"""


def test_processes_that_write_at_once_lose_no_row(tmp_path):
    path = tmp_path / "epochs.csv"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, path, name]) for name in "abc"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    epochs = table.read(path, table.EPOCHS).groupby("run_id")["epoch"].apply(list)
    assert epochs.to_dict() == {name: list(range(26, 50)) for name in "abc"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "expected the columns"),
        (",".join(table.RUNS) + "\n0,fine" + "," * (len(table.RUNS) - 2) + "\n", "a status is not"),
        (",".join(table.RUNS) + "\n" + "x," * len(table.RUNS) + "\n", "runs.csv"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, message):
    path = tmp_path / "runs.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        table.read(path, table.RUNS)
