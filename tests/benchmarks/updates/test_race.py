"""`python -m benchmarks update`, and a check that it times one Adam update."""

import importlib.metadata
import importlib.util
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks.errors import InputError
from benchmarks.run import parse_optimizer
from benchmarks.store import schema
from benchmarks.updates import (
    bandwidth,
    competitors,
    one_update,
    peers,
    race,
    shapes,
    training_step,
)
from tests.benchmarks.conftest import ROOT
from tests.benchmarks.updates import fragile
from tests.reference import ReferenceAdam

# Readers of the reports rely on these columns.
UPDATES = (
    "shapes optimizer mode backend device variables params update_ms_p50 update_ms_min "
    "update_ms_p90 first_call_seconds bytes_per_parameter gb_per_second bandwidth_limit_ms "
    "state_bytes repetitions "
    "python tensorflow keras keras_adam backend_version host os cpu cores memory_gb gpu xla_flags "
    "tf32 deterministic "
    "commit dirty started_at"
)
UPDATES_RAW = "shapes optimizer mode phase round seconds memory_mb"
STEPS = (
    "model optimizer mode backend device batch_size variables params "
    "step_ms_p50 step_ms_min step_ms_p90 first_call_seconds repetitions "
    "python tensorflow keras keras_adam backend_version host os cpu cores memory_gb gpu xla_flags "
    "tf32 deterministic "
    "commit dirty started_at"
)

MLP_PARAMS = 784 * 1000 + 1000 + 1000 * 500 + 500 + 500 * 100 + 100 + 100 * 10 + 10


@pytest.fixture(scope="module", autouse=True)
def small_and_quick():
    """Let the kernels move 4 MB, without pauses between them; no time is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bandwidth, "WORKING_SET_BYTES", 2**22)
        patch.setattr(race, "PAUSE_SECONDS", 0)
        yield


@pytest.fixture
def one_kernel(monkeypatch):
    """Let one kernel measure the bandwidth, in one process."""
    monkeypatch.setattr(bandwidth, "KERNELS", {"copy": bandwidth.KERNELS["copy"]})


@pytest.fixture(scope="module")
def report(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "small"
    done = command(
        *("update", "--shapes", "mlp", "--rounds", 2, "--repetitions", 3, "--device", "cpu"),
        *("--optimizer", "keras_adam", "--optimizer", "resource_apply_adam"),
        *("--mode", "graph", "--output", folder),
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_columns_are_the_promised_ones():
    assert " ".join(schema.UPDATES) == UPDATES
    assert " ".join(schema.UPDATES_RAW) == UPDATES_RAW
    readme = (ROOT / "results" / "README.md").read_text()
    assert " ".join(schema.STEPS) == STEPS
    columns = {**schema.UPDATES, **schema.STEPS, **schema.UPDATES_RAW}
    assert [column for column in columns if f"`{column}`" not in readme] == []


def test_a_row_for_each_optimizer_and_mode(report):
    folder, _ = report
    rows = pd.read_csv(folder / "updates.csv")
    assert list(rows.columns) == list(schema.UPDATES)
    assert list(zip(rows["optimizer"], rows["mode"], strict=True)) == [
        ("keras_adam", "graph"),
        ("resource_apply_adam", "graph"),
    ]
    assert (rows["params"] == MLP_PARAMS).all()
    assert (rows["variables"] == 8).all()
    assert rows["state_bytes"].between(8 * MLP_PARAMS, 8 * MLP_PARAMS + 100).all()
    assert (rows["repetitions"] == 6).all()
    assert (rows["first_call_seconds"] > 0).all()
    raw = pd.read_csv(folder / "updates_raw.csv")
    measured = raw[(raw["phase"] == "measured") & (raw["optimizer"] != one_update.BANDWIDTH)]
    # Weights, momentum and velocity have 5 MB each, and none is copied.
    assert measured["memory_mb"].between(0, 3).all()


def test_the_figures_follow_from_the_raw_seconds(report):
    folder, _ = report
    rows, raw = (pd.read_csv(folder / f"{name}.csv") for name in ("updates", "updates_raw"))
    assert list(raw.columns) == list(schema.UPDATES_RAW)
    counts = raw.groupby(["optimizer", "mode"])["phase"].value_counts().unstack()
    # A round to warm up, and the first update of each turn.
    assert counts.to_dict("list") == {
        "first_call": [1] * 5,
        "measured": [2 * 3] * 5,
        "warm_up": [4 + 2 * 1] * 5,
    }
    measured = raw[raw["phase"] == "measured"].groupby(["optimizer", "mode"])["seconds"]
    median, least = measured.median(), measured.min()
    speed = max(
        kernel.moved_bytes / least[one_update.BANDWIDTH, name]
        for name, kernel in bandwidth.KERNELS.items()
    )
    for _, row in rows.iterrows():
        own = median[row["optimizer"], row["mode"]]
        expected = {
            "update_ms_p50": own * 1e3,
            "update_ms_min": least[row["optimizer"], row["mode"]] * 1e3,
            "gb_per_second": 28 * MLP_PARAMS / own / 1e9,
            "bandwidth_limit_ms": 28 * MLP_PARAMS / speed * 1e3,
            "bytes_per_parameter": own * speed / MLP_PARAMS,
        }
        assert row[[*expected]].to_dict() == pytest.approx(expected, rel=1e-4)


def test_the_folder_and_the_terminal_say_what_was_done(report):
    folder, done = report
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "updates.csv",
        "updates_raw.csv",
        "command.txt",
        "environment.json",
    }
    assert "update --shapes mlp" in (folder / "command.txt").read_text()
    assert json.loads((folder / "environment.json").read_text())["keras"]
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert "mlp: 8 variables, 1,336,610 parameters, at the bandwidth" in done.stdout
    lines = [str(folder / "updates.csv"), str(folder / "updates_raw.csv")]
    assert done.stdout.splitlines()[-2:] == lines


def test_a_report_is_never_mixed_with_another(command, report):
    folder, _ = report
    done = command("update", "--output", folder)
    assert done.returncode == 2
    assert "holds a report already" in done.stderr


@pytest.mark.usefixtures("one_kernel")
def test_on_jax_an_optimizer_that_fails_is_left_out(command, tmp_path):
    name = f"{fragile.__name__}:Fragile"
    done = command(
        *("update", "--shapes", "mlp", "--rounds", 1, "--repetitions", 1, "--device", "cpu"),
        *("--backend", "jax", "--optimizer", name, "--optimizer", "keras_adam"),
        *("--mode", "xla", "--output", tmp_path / "report"),
    )
    assert done.returncode == 1, done.stderr
    assert f"mlp: {name} xla: RuntimeError: out of order\n" in done.stdout
    (row,) = pd.read_csv(tmp_path / "report" / "updates.csv").to_dict("records")
    assert (row["optimizer"], row["mode"], row["backend"]) == ("keras_adam", "xla", "jax")
    assert row["backend_version"] == importlib.metadata.version("jax")


class FakeProcess:
    """Takes one second less at each update; Fragile dies at the tenth."""

    ready = one_update.Ready(first_call_seconds=1.0, state_bytes=8)

    def __init__(self, competitor, name, shapes, device):
        self.name = competitor.optimizer
        self.seconds = iter(range(100, 0, -1))
        self.closed = False

    def update(self, repetitions):
        seconds = [float(next(self.seconds)) for _ in range(repetitions)]
        if self.name == "fragile" and seconds[-1] <= 91:
            raise competitors.FailedError("died")
        return one_update.Turn(seconds, memory_mb=len(seconds))

    def close(self):
        self.closed = True


def test_the_race_goes_on_without_one_that_dies(monkeypatch):
    monkeypatch.setattr(race, "Process", FakeProcess)
    both = [competitors.Competitor(name, "eager", "tensorflow") for name in ("fragile", "adam")]
    out = io.StringIO()
    plan = race.Plan(both, rounds=3, repetitions=2, device="cpu")
    fake_race = race.Race("2x5", [(5,), (5,)], plan, Console(file=out, width=120))
    fake_race.run()
    assert "2x5: fragile eager: died\n" in out.getvalue()
    (row,) = fake_race.rows()
    # 100 to 98 are the warm-up turn. Then each turn has one warm-up update and two measured ones.
    assert fake_race.seconds[both[1]] == [[96.0, 95.0], [93.0, 92.0], [90.0, 89.0]]
    assert (row["optimizer"], row["update_ms_p50"], row["update_ms_min"]) == ("adam", 92.5e3, 89e3)
    assert (row["params"], row["repetitions"]) == (10, 6)
    assert {r["memory_mb"] for r in fake_race.raw} == {None, 3}
    fake_race.print_summary()
    assert out.getvalue().splitlines()[-1].split()[:2] == ["adam", "eager"]


def test_a_mode_that_an_optimizer_has_not_is_left_out():
    found, left_out = competitors.combine(
        ["resource_apply_adam", "adam"], ["graph", "xla"], "tensorflow"
    )
    assert [*map(str, found)] == ["resource_apply_adam graph", "adam graph", "adam xla"]
    assert left_out == ["resource_apply_adam on tensorflow has no mode xla, only eager, graph"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--shapes resnet5", "--shapes 'resnet5': not a known model; did you mean resnet50"),
        ("--optimizer torch_fuse", "'torch_fuse': not an optimizer; did you mean torch_fused"),
        ("--optimizer resource_apply_adam(lr=1)", "resource_apply_adam takes no arguments here"),
        ("--optimizer adam --optimizer adam()", "--optimizer 'adam': given twice"),
        ("--mode fast", "'--mode': 'fast' is not one of 'eager', 'graph', 'xla'"),
        ("--optimizer resource_apply_adam --mode xla", "has no mode xla, only eager, graph"),
        ("--optimizer adam --mode graph --backend jax", "has no mode graph, only eager, xla"),
        ("--shapes 3x0", "'3x0': not a known model; valid are"),
        ("--shapes resnet50 --mode fit", "has no model to train in the modes fit, fit_xla"),
        ("--optimizer resource_apply_adam --shapes mlp --mode fit", "has no mode fit, only eager"),
        ("--rounds 0", "'--rounds': 0 is not in the range"),
        ("--optimizer adam(beta1=1)", "adam has no argument 'beta1'; did you mean beta_1"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, arguments, message):
    done = command("update", "--output", tmp_path / "report", *arguments.split())
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"'torch_fused': torch is not installed; pip"):
        competitors.combine(["torch_fused"], ["eager"], "tensorflow")


@pytest.mark.parametrize(
    ("backend", "optimizer"), [("jax", "adam"), ("torch", "adam"), ("tensorflow", "torch_fused")]
)
def test_a_sparse_gradient_is_refused_where_none_can_be_made(monkeypatch, backend, optimizer):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(InputError, match=rf"'{optimizer}': the gradient of an embedding is sparse"):
        one_update.build(optimizer, "eager", shapes.of("embedding"), "cpu")


def test_more_than_fits_into_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(competitors.machine, "free_memory_bytes", lambda: 8e9)
    monkeypatch.setattr(bandwidth, "WORKING_SET_BYTES", 2**29)
    found, _ = competitors.combine(["adam", "sgd"], ["eager", "graph", "xla"], "tensorflow")
    competitors.check_memory({"small": [(10,)]}, len(found), "cpu")
    with pytest.raises(InputError, match=r"'vit_b16': 6 competitors need about 16 GB .* 8 GB are"):
        competitors.check_memory({"vit_b16": shapes.SHAPES["vit_b16"]()}, len(found), "cpu")


def test_the_shapes_are_those_of_the_papers():
    vit = shapes.SHAPES["vit_b16"]()
    assert (len(vit), shapes.parameters(vit)) == (200, 86_567_656)
    assert shapes.parameters(shapes.SHAPES["mlp"]()) == MLP_PARAMS
    assert shapes.of("3x70") == [(70,), (70,), (70,)]
    assert set(shapes.SHAPES) == {
        *(
            "mlp",
            "mlp_1024",
            "2c2d",
            "mobilenet_v3_small",
            "efficientnet_b0",
            "resnet50",
            "vit_b16",
        ),
        "embedding",
    }


@pytest.mark.filterwarnings("default")  # other projects' code warns as it likes
@pytest.mark.parametrize(
    ("optimizer", "mode"),
    [
        *[(name, mode) for name in ("keras_adam", "adam") for mode in peers.MODES],
        *[
            pytest.param(name, mode, marks=[pytest.mark.peers] * (peer.package != "tensorflow"))
            for name, peer in peers.PEERS.items()
            for mode in peer.modes
        ],
    ],
)
def test_one_call_is_one_adam_update(optimizer, mode):
    if optimizer in peers.PEERS:
        pytest.importorskip(peers.PEERS[optimizer].package)
    generator = np.random.default_rng(0)
    some_shapes = [(3, 4), (5,)]
    # In the order of `build`: first the weights, then the gradients.
    weights, gradients = (
        [generator.standard_normal(shape, np.float32) for shape in some_shapes] for _ in range(2)
    )
    timed = one_update.build(optimizer, mode, some_shapes, "cpu")
    reference = ReferenceAdam().build(weights)
    for _ in range(3):
        timed.start()
        timed.wait()
        reference.apply(gradients)
        for value, expected in zip(timed.weights(), reference.variables, strict=True):
            # A step is 1e-3. Small gradients show whether epsilon is used as in the paper (PyTorch,
            # optax) or as in Keras.
            atol = 3e-6 if optimizer in ("torch_fused", "optax_adam") else 2e-7
            np.testing.assert_allclose(value, expected, rtol=0, atol=atol)
    state_bytes = sum(value.nbytes for value in timed.state())
    assert 2 * 17 * 4 <= state_bytes <= 2 * 17 * 4 + 20


@pytest.mark.usefixtures("one_kernel")
def test_training_steps_have_a_file_of_their_own(command, tmp_path):
    done = command(
        *("update", "--shapes", "mlp", "--rounds", 1, "--repetitions", 2, "--device", "cpu"),
        *("--optimizer", "sgd", "--mode", "fit", "--output", tmp_path / "report"),
    )
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "report" / "steps.csv").to_dict("records")
    assert [*row] == STEPS.split()
    assert (row["model"], row["mode"], row["batch_size"], row["repetitions"]) == (
        *("mlp", "fit"),
        *(32, 2),
    )
    assert 0 < row["step_ms_min"] <= row["step_ms_p50"] <= row["step_ms_p90"]
    files = [str(tmp_path / "report" / name) for name in ("steps.csv", "updates_raw.csv")]
    assert done.stdout.splitlines()[-2:] == files


@pytest.mark.parametrize("mode", training_step.MODES)
def test_a_training_step_is_one_step_of_fit(mode):
    timed = training_step.build(parse_optimizer("keras_adam"), mode, "mlp")
    before = timed.weights()
    for _ in range(2):
        timed.start()
        timed.wait()
    iterations, *_ = timed.state()
    assert iterations == 2
    # Each of Adam's first steps moves a number with a gradient by about the learning rate, 1e-3.
    moved = max(np.abs(b - a).max() for a, b in zip(before, timed.weights(), strict=True))
    assert 1.5e-3 < moved < 2.5e-3


@pytest.mark.parametrize(
    ("kernel", "moves", "after"), [("add", 3, 2), ("copy", 2, 1), ("adam", 7, 2)]
)
def test_a_kernel_moves_the_whole_of_its_arrays(kernel, moves, after):
    """In an earlier version, the limit was the median of one addition, and torch took 0.91 of
    it."""
    its_shapes = bandwidth.KERNELS[kernel].shapes
    timed = one_update.build(one_update.BANDWIDTH, kernel, its_shapes, "cpu")
    for _ in range(2):
        timed.start()
        timed.wait()
    written = timed.weights()
    assert moves * written[0].nbytes == bandwidth.KERNELS[kernel].moved_bytes
    assert all((array == after).all() for array in written)
