"""The content of the page, and its layout in the browser of a phone."""

import re
import shutil
import subprocess
import sys

import pytest

from benchmarks.errors import InputError
from benchmarks.reports import contents, page
from benchmarks.store import csv_file, schema
from tests.benchmarks.analysis.runs import write
from tests.benchmarks.conftest import ROOT

EVIL = "adam(name='<script>document.title=1</script>$x$')"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "small"
    timing = {"step_ms_p50": 1.0, "step_ms_p90": 2.0, "step_ms_p99": 9.0, "commit": "a" * 40}
    write(folder, "adam", [500, 505, 510], target_accuracy=0.9, **timing)
    write(folder, EVIL, [1000, 1010, 1020], target_accuracy=0.9, **timing)
    write(folder, "sgd", [None], [None], status="diverged", error="loss <nan>", commit="a" * 40)
    (folder / "command.txt").write_text("python -m benchmarks train --optimizer '<b>'\n")
    run_ids = csv_file.read(folder / "runs.csv", schema.RUNS)["run_id"]
    rows = [
        {"run_id": run_id, "epoch": epoch, "steps": 44, "seconds": 0.5}
        | {"test_accuracy": 0.8 + epoch / 20, "train_loss": 1 / epoch, "test_loss": 2 / epoch}
        for run_id in run_ids
        for epoch in (1, 2, 3)
    ]
    csv_file.append(folder / "epochs.csv", schema.EPOCHS, rows)
    return folder


PLOTS = ["accuracy-steps-1.svg", "accuracy-time-1.svg", "loss-1.svg", "step-time-1.svg"]


def test_what_is_on_the_page(folder):
    blocks = list(contents.blocks(folder))
    headings = [block.text for block in blocks if isinstance(block, page.Heading)]
    assert headings == [
        "small",
        "digits, mlp, 3 epochs of batches of 32, tensorflow on cpu, target 0.9",
        f"{EVIL} against adam",
        "digits, mlp, 3 epochs of batches of 32, tensorflow on cpu",
        "How the comparisons are made",
        "Warnings",
        "Runs",
        "Runs without a result",
        "How it was made",
    ]
    _, outcome, cost, comparison, *_, failures = (b for b in blocks if isinstance(b, page.Table))
    assert outcome.header == ("optimizer", "learning rate", "ok", "test accuracy")
    assert outcome.rows[0] == ("adam", "0.001", "3 of 3", "0.9100 (0.9000 to 0.9200)")
    assert cost.header == ("optimizer", "images/s", "step ms")
    assert cost.rows[0] == ("adam", "505 (500 to 510)", "1.00")
    assert comparison.header[:3] == ("metric", "adam", EVIL)
    assert comparison.rows[0][-1] == "difference: faster"
    assert failures.rows[0][-2:] == ("diverged", "loss <nan>")
    assert [block.file for block in blocks if isinstance(block, page.Plot)] == PLOTS


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            {"train_images": 1437, "test_images": 360},
            "Images of each run: 1,437 for training, 360 for testing. One test image more or less "
            "changes the accuracy by 0.0028.",
        ),
        (
            {"train_images": 54000, "validation_images": 6000, "test_images": 10000},
            "Images of each run: 54,000 for training, 6,000 for validation, 10,000 for testing.",
        ),
        ({"train_images": 1437, "test_images": [360, 360, 350]}, ""),
        ({}, ""),
    ],
)
def test_how_many_images_the_runs_had(tmp_path, counts, said):
    write(tmp_path, "adam", [500, 505, 510], **counts)
    texts = [block.text for block in contents.blocks(tmp_path) if isinstance(block, page.Text)]
    assert " ".join(["Median over the seeds, with the range.", said]).strip() in texts


def test_the_learning_curves(folder):
    """There are curves of training and validation, and of the rate if it changes."""
    runs = csv_file.read(folder / "runs.csv", schema.RUNS)
    rows = [
        {"run_id": run_id, "epoch": epoch, "steps": 44, "seconds": 0.5, "test_accuracy": 0.9}
        | {"train_loss": 1 / epoch, "val_loss": 2 / epoch, "learning_rate": 0.001 / epoch}
        for run_id in runs["run_id"]
        for epoch in (1, 2, 3)
    ]
    csv_file.write(folder / "epochs.csv", schema.EPOCHS, rows)
    plots = {b.file: b.caption for b in contents.blocks(folder) if isinstance(b, page.Plot)}
    assert set(plots) == {*PLOTS, "learning-rate-1.svg"}
    assert "training and validation" in plots["loss-1.svg"]


def test_the_files_are_written_and_written_again(folder):
    files = contents.write(folder)
    assert {path.name for path in files} == {
        *("report.html", "report.md"),
        *PLOTS,
    }
    before = [path.read_bytes() for path in files]
    assert [path.read_bytes() for path in contents.write(folder)] == before
    assert not list(folder.glob(".*.new"))
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", (folder / "report.md").read_text())
    assert {folder / name for name in pictures} < set(files)


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no report"):
        contents.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


WITHOUT_TENSORFLOW = """
import sys
from benchmarks.__main__ import main
for command in ("report", "compare"):
    sys.argv[1] = command
    assert main() == 0
assert "tensorflow" not in sys.modules
"""


def test_the_commands_need_no_tensorflow(folder):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(folder / "report.html")
    assert "difference: faster" in done.stdout


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

MEASURE = """<script>
document.body.dataset.seen = JSON.stringify({
  fits: document.body.scrollWidth <= window.innerWidth,
  tables: [...document.querySelectorAll(".table")].every(t => t.scrollWidth <= t.clientWidth),
  pictures: [...document.querySelectorAll("figure > svg")].map(
    svg => svg.getBoundingClientRect().width > 200),
  title: document.title,
});
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_it_without_scrolling_sideways(folder, tmp_path):
    contents.write(folder)
    (tmp_path / "shown.html").write_text(
        (folder / "report.html").read_text().replace("</body>", MEASURE)
    )
    # Chromium's window cannot be as narrow as a phone, but a frame in it can.
    frame = tmp_path / "frame.html"
    frame.write_text(
        "".join(f'<iframe src="shown.html" width="{w}" height="800"></iframe>' for w in (360, 1200))
        + "<script>onload = () => { for (const frame of document.querySelectorAll('iframe')) "
        "document.body.append(frame.contentDocument.body.dataset.seen) }</script>"
    )
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--allow-file-access-from-files", "--dump-dom", "--window-size=1400,900"),
            f"--user-data-dir={tmp_path / 'profile'}",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
    )
    seen = '{"fits":true,"tables":true,"pictures":[true,true,true,true],"title":"small"}'
    assert done.stdout.count(seen) == 2, done.stdout[-1000:]
