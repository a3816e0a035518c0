import errno
import os
import resource

import pytest

from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema


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
        csv_file.append(path, schema.RUNS, [row])
    frame = csv_file.read(path, schema.RUNS)
    assert frame.dtypes.astype(str).to_dict() == schema.RUNS
    assert [row.dropna().to_dict() for _, row in frame.iterrows()] == rows


def test_a_column_that_is_not_in_the_schema_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no column acuracy"):
        csv_file.append(tmp_path / "runs.csv", schema.RUNS, [{"run_id": "0", "acuracy": 1.0}])
    assert not (tmp_path / "runs.csv").exists()


def test_a_row_is_one_line(tmp_path):
    path = tmp_path / "runs.csv"
    csv_file.append(path, schema.RUNS, [{"run_id": "0", "status": "error", "error": "two\nlines"}])
    assert path.read_text().count("\n") == 2
    assert list(csv_file.read(path, schema.RUNS)["error"]) == ["two lines"]


def test_a_full_disk_leaves_the_rows_before_whole(tmp_path, monkeypatch):
    path = tmp_path / "epochs.csv"
    csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": 1}])
    before = path.read_bytes()

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match=r"epochs\.csv: No space left on device"):
            csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": 2}])
    assert path.read_bytes() == before


def test_a_row_for_which_there_is_half_the_room_is_not_written(tmp_path):
    path = tmp_path / "epochs.csv"
    csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": 1}])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(InputError, match=r"epochs\.csv: No space left on device"):
            csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": 2}])
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
        csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": epoch}])
    path.write_bytes(path.read_bytes()[:left])
    assert list(csv_file.read(path, schema.EPOCHS)["epoch"]) == epochs
    csv_file.append(path, schema.EPOCHS, [{"run_id": "0", "epoch": 3}])
    assert list(csv_file.read(path, schema.EPOCHS)["epoch"]) == [*epochs, 3]


def test_the_rows_of_a_run_can_be_removed(tmp_path):
    path = tmp_path / "epochs.csv"
    csv_file.remove(path, ["0"])
    for run_id in ("0", "01", "0"):
        csv_file.append(path, schema.EPOCHS, [{"run_id": run_id, "epoch": 1}])
    csv_file.remove(path, ["0"])
    assert list(csv_file.read(path, schema.EPOCHS)["run_id"]) == ["01"]
    assert {file.name for file in tmp_path.iterdir()} == {"epochs.csv"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "expected the columns"),
        (
            ",".join(schema.RUNS) + "\n0,fine" + "," * (len(schema.RUNS) - 2) + "\n",
            "a status is not",
        ),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, message):
    path = tmp_path / "runs.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        csv_file.read(path, schema.RUNS)


def test_a_row_of_another_length_is_no_run(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(",".join(schema.RUNS) + "\n" + "x," * len(schema.RUNS) + "\n")
    assert csv_file.read(path, schema.RUNS).empty


def test_any_text_survives_as_one_line(tmp_path):
    path = tmp_path / "runs.csv"
    texts = [
        "None",
        "NA",
        "nan",
        "null",
        "a\rb",
        "a\r\nb",
        'a,"b"\n',
        "a\x00b",
        "a\u2028b",
        "\udcff",
    ]
    rows = [{"run_id": f"{n}", "status": "ok", "model": text} for n, text in enumerate(texts)]
    csv_file.append(path, schema.RUNS, rows)
    assert path.read_bytes().count(b"\n") == len(path.read_text().splitlines()) == len(rows) + 1
    assert list(csv_file.read(path, schema.RUNS)["model"]) == [
        *("None", "NA", "nan", "null", "a b", "a b", 'a,"b" ', "a b", "a b", "\\udcff")
    ]


def test_a_batch_that_is_torn_anywhere_keeps_whole_rows_only(tmp_path):
    path = tmp_path / "runs.csv"
    long = "x" * 100_000  # longer than what is read at a time to find the last line
    csv_file.append(path, schema.RUNS, [{"run_id": "before", "status": "ok", "error": long}])
    before = path.read_bytes()
    batch = [{"run_id": f"{n}", "status": "ok", "error": long} for n in range(2)]
    csv_file.append(path, schema.RUNS, batch)
    content = path.read_bytes()
    for end in (len(before), len(before) + 3, len(before) + 90_000, len(content) - 1):
        path.write_bytes(content[:end])
        whole = ["before", *(["0"] if end == len(content) - 1 else [])]
        assert list(csv_file.read(path, schema.RUNS)["run_id"]) == whole
        csv_file.append(path, schema.RUNS, [{"run_id": "after", "status": "ok"}])
        assert list(csv_file.read(path, schema.RUNS)["run_id"]) == [*whole, "after"]
