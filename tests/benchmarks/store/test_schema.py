import dataclasses

import pandas as pd
import pytest

from benchmarks.run import RunConfig
from benchmarks.store import csv_file, schema
from tests.benchmarks.conftest import ROOT

# Readers of the reports rely on these columns.
RUNS = (
    "run_id status error dataset model optimizer seed backend device jit_compile batch_size "
    "learning_rate schedule epochs precision validation augment image_size weights data_workers "
    "data_wait steps_per_execution devices processes shard_optimizer_state max_steps warmup_steps "
    "stop_at_target data_digest model_digest optimizer_digest "
    "train_images validation_images test_images classes "
    "params images_per_second step_ms_p50 step_ms_p90 step_ms_p99 "
    "compile_seconds train_seconds evaluation_seconds wall_seconds data_wait_fraction "
    "inference_ms_p50 peak_memory_mb "
    "optimizer_state_mb "
    "test_accuracy best_test_accuracy target_accuracy steps_to_target seconds_to_target "
    "runs_on_host "
    "python tensorflow keras keras_adam backend_version host os cpu cores memory_gb gpu xla_flags "
    "tf32 deterministic "
    "commit dirty started_at"
)
EPOCHS = (
    "run_id epoch steps train_loss train_accuracy val_loss val_accuracy test_loss test_accuracy "
    "seconds evaluation_seconds images_per_second learning_rate"
)
TRIALS = "run_id dataset model optimizer trial seed parameters status val_accuracy test_accuracy"


def test_the_columns_are_the_promised_ones():
    assert " ".join(schema.TRIALS) == TRIALS
    assert " ".join(schema.RUNS) == RUNS
    assert " ".join(schema.EPOCHS) == EPOCHS


def test_the_results_folder_explains_every_column():
    readme = (ROOT / "results" / "README.md").read_text()
    assert [
        column
        for column in {**schema.RUNS, **schema.EPOCHS, **schema.TRIALS}
        if f"`{column}`" not in readme
    ] == []


def test_every_option_of_a_run_is_a_column():
    fields = [field.name for field in dataclasses.fields(RunConfig)]
    assert [column for column in schema.RUNS if column in fields] == fields


OLD_RUNS = (
    "run_id,status,error,dataset,model,optimizer,seed,backend,device,jit_compile,batch_size,"
    "learning_rate,schedule,epochs,params,images_per_second,step_ms_p50,step_ms_p90,step_ms_p99,"
    "compile_seconds,train_seconds,data_wait_fraction,inference_ms_p50,peak_memory_mb,"
    "test_accuracy,best_test_accuracy,target_accuracy,steps_to_target,seconds_to_target,"
    "python,tensorflow,keras,keras_adam,backend_version,cpu,cores,gpu,commit,dirty,started_at\n"
    "0123,ok,,digits,mlp,adam,0,tensorflow,cpu,False,32,0.001,constant,2,10,1,1,1,1,1,1,,1,1,"
    "0.9,0.9,,,,3.11,2.21,3.15,0.1,2.21,a processor,2,,abc,False,2026-01-01T00:00:00+00:00\n"
)


def test_a_folder_of_the_first_schema_reads_with_defaults_and_is_extended(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(OLD_RUNS)
    (row,) = csv_file.read(path, schema.RUNS).to_dict("records")
    assert (row["precision"], row["validation"], row["devices"]) == ("float32", 0.0, 1)
    assert (row["augment"], row["cores"], row["test_accuracy"]) == (False, 2, 0.9)
    assert pd.isna(row["host"])
    csv_file.append(path, schema.RUNS, [{"run_id": "4567", "status": "ok", "precision": "x"}])
    assert list(pd.read_csv(path).columns) == list(schema.RUNS)
    assert list(csv_file.read(path, schema.RUNS)["precision"]) == ["float32", "x"]


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "results").glob("*/*.csv")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_what_is_published_reads(path):
    assert len(csv_file.read(path, getattr(schema, path.stem.upper())))
