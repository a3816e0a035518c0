import errno
import os
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


def test_the_columns_are_the_promised_ones():
    assert " ".join(table.RUNS) == RUNS
    assert " ".join(table.EPOCHS) == EPOCHS


def test_the_results_folder_explains_every_column():
    readme = (Path(__file__).parents[2] / "results" / "README.md").read_text()
    assert [
        column for column in {**table.RUNS, **table.EPOCHS} if f"`{column}`" not in readme
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
        {"run_id": "4567", "status": "error", "error": "two\nlines", "learning_rate": 0.001},
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "expected the columns"),
        (",".join(table.RUNS) + "\n0,fine" + "," * (len(table.RUNS) - 2) + "\n", "a status is not"),
        (",".join(table.RUNS) + "\n" + "x," * len(table.RUNS), "runs.csv"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, message):
    path = tmp_path / "runs.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        table.read(path, table.RUNS)
