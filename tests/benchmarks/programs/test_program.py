"""`program` as a user calls it; to compile, it needs the wheels of the extra `gpu-programs`."""

import importlib.metadata

import pandas as pd
import pytest

from benchmarks import worker
from benchmarks.errors import InputError
from benchmarks.programs import series, targets, wheels
from benchmarks.programs.compiler import Compiled, Job
from benchmarks.programs.wheels import WHEELS
from benchmarks.store import csv_file, schema
from tests.benchmarks.conftest import ROOT


def _has_wheels():
    try:
        return all(importlib.metadata.version(name) for name in WHEELS)
    except importlib.metadata.PackageNotFoundError:
        return False


needs_wheels = pytest.mark.skipif(not _has_wheels(), reason="needs the extra gpu-programs")


# Readers of the reports rely on these columns.
COLUMNS = (
    "target model scope optimizer precision batch_size devices shard_optimizer_state kernels "
    "kernels_of_update copies "
    "copied_bytes bytes_per_parameter argument_mb temporary_mb peak_mb collectives "
    "collective_bytes compile_seconds"
)


def test_the_columns_are_the_promised_ones_and_explained():
    assert " ".join(schema.PROGRAMS) == f"{COLUMNS} {' '.join(schema.ENVIRONMENT)}"
    readme = (ROOT / "results" / "README.md").read_text()
    assert [column for column in COLUMNS.split() if f"`{column}`" not in readme] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "h10"], "--target 'h10': not a known GPU; did you mean h100"),
        (["--target", "tpu"], "valid are: a100, h100, rtx4090"),
        (["--shapes", "resnet"], "--shapes 'resnet': not a known model; did you mean resnet50"),
        (["--model", "resnet5"], "--model 'resnet5': not a model; did you mean resnet50"),
        (["--optimizer", "kerasadam"], "not an optimizer; did you mean keras_adam"),
        (["--optimizer", "adam", "--optimizer", "adam"], "--optimizer 'adam': given twice"),
        (
            ["--model", "mlp", "--devices", "8", "--batch-size", "12"],
            "--batch-size 12: cannot be shared among 8 devices; a multiple of 8 can",
        ),
        (
            ["--shard-optimizer-state"],
            "--shard-optimizer-state: needs several devices; see --devices",
        ),
    ],
)
def test_bad_input_is_one_line(command, arguments, message):
    done = command("program", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_wheels_of_another_jax_are_refused(tmp_path, monkeypatch):
    for name in WHEELS:
        info = tmp_path / f"{name.replace('-', '_')}-0.0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(tmp_path)  # ahead of any others
    with pytest.raises(InputError, match=r"jax-cuda12-plugin 0\.0\.1 does not fit JAX"):
        wheels.check_wheels()


def test_without_the_wheels_one_line_says_what_brings_them(monkeypatch):
    def version(name):
        if name == "jax":
            return "0.10.2"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(InputError, match=r"not installed; pip install -e '\.\[gpu-programs"):
        wheels.check_wheels()


def test_targets_say_where_their_numbers_are_from():
    assert {"h100", "a100", "rtx4090"} <= targets.targets().keys()
    for name, target in targets.targets().items():
        assert all(source.startswith("https://") for source in target["source"])
        text = targets.config(name)
        assert f'device_description_str: "{target["name"]}"' in text
        assert f"core_count: {target['core_count']}" in text
        assert "source" not in text
        assert text.count("{") == text.count("}")


JOB = Job("h100", "2x10", "update", "adam", "float32", None, 1)


def test_a_program_that_does_not_compile_is_a_line_and_no_row(tmp_path, monkeypatch):
    reason = "JaxRuntimeError: INTERNAL: no tiles"

    def failing(function, job, log, **where):
        log.write_text("what XLA printed")
        yield worker.Failure("error", reason)

    monkeypatch.setattr(worker, "run", failing)
    said = []
    assert series.compile_programs([JOB], tmp_path / "new", "command", False, said.append) == []
    assert said == [f"h100 2x10 update adam float32: {reason}"]
    assert not (tmp_path / "new" / "programs.csv").exists()
    log = tmp_path / "new" / "h100-2x10-update-adam-float32.log"
    assert log.read_text() == "what XLA printed"


@pytest.mark.parametrize(
    ("peak_mb", "line"),
    [(84_942, "1 s"), (84_944, "1 s; it needs 84,944 MB, and the GPU has 84,943")],
)
def test_a_program_that_does_not_fit_into_the_gpu_is_said(tmp_path, monkeypatch, peak_mb, line):
    def fitting(function, job, log, **where):
        log.touch()
        yield Compiled({"peak_mb": peak_mb, "compile_seconds": 1.2}, "HloModule")

    monkeypatch.setattr(worker, "run", fitting)
    said = []
    assert len(series.compile_programs([JOB], tmp_path, "command", True, said.append)) == 1
    assert said == [f"{JOB}: {line}"]
    assert (tmp_path / "hlo" / "h100-2x10-update-adam-float32.txt").read_text() == "HloModule"


@needs_wheels
def test_arguments_that_the_optimizer_refuses_are_the_users_error(tmp_path):
    job = Job("h100", "2x10", "update", "adam(foo=1)", "float32", None, 1)
    with pytest.raises(InputError, match="has no argument 'foo'"):
        series.compile_programs([job], tmp_path, "command", False, print)


@needs_wheels
def test_an_update_is_compiled_for_each_target(command, tmp_path):
    folder = tmp_path / "report"
    names = ("h100", "a100", "rtx4090")
    done = command(
        "program",
        *(f"--target={name}" for name in names),
        *("--shapes", "3x1000", "--optimizer", "keras_adam", "--keep-hlo", "--output", folder),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = csv_file.read(folder / "programs.csv", schema.PROGRAMS)
    assert tuple(rows["target"]) == names
    # One kernel for each variable, and two for the step size and the count of steps.
    assert rows["kernels"].between(3, 5).all()
    assert (rows["kernels_of_update"] == rows["kernels"]).all()
    assert rows["bytes_per_parameter"].between(28, 28.1).all()
    assert (rows["copied_bytes"] <= 8).all()
    assert (rows["collectives"] == 0).all()
    # Weights, gradients, momentum and velocity; learning rate and count.
    assert rows["argument_mb"].round(6).eq(3 * 1000 * 4 * 4 / 1e6 + 8e-6).all()
    assert (rows["peak_mb"] >= rows["argument_mb"]).all()
    assert rows["batch_size"].isna().all()
    assert len(list((folder / "hlo").glob("*.txt"))) == 3
    assert {path.name for path in folder.glob("*.log")} == set()
    assert "program --target=h100" in (folder / "command.txt").read_text()


@needs_wheels
def test_a_step_on_several_devices_sums_the_gradients_once(command, tmp_path):
    done = command(
        "program",
        *("--model", "mlp", "--optimizer", "keras_adam", "--devices", "8"),
        *("--batch-size", "64", "--output", tmp_path / "report"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = pd.read_csv(tmp_path / "report" / "programs.csv").to_dict("records")
    parameters = 784 * 1000 + 1000 * 500 + 500 * 100 + 100 * 10 + 1000 + 500 + 100 + 10
    assert row["collectives"] >= 1
    assert 4 * parameters <= row["collective_bytes"] < 4.1 * parameters
    assert 0 < row["kernels_of_update"] < row["kernels"]
    assert 27.9 < row["bytes_per_parameter"] < 28.1
