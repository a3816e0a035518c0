from benchmarks.reports import schema
from tests.benchmarks.conftest import ROOT

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
