"""How often something is compiled: XLA's own dump has one module for each compilation."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

SCRIPT = """
import sys
from pathlib import Path
import keras, numpy as np
import keras_adam
from tests.keras_adam.training import make_step

dump, mode = sys.argv[1:]
def compilations():
    # What our programs are called after: the traced function on TensorFlow ("update",
    # "totals"; "lambda", the step, when it is itself compiled), jit(step) on JAX.
    files = Path(dump).glob("module_*.before_optimizations.txt")
    return sum(any(n in f.name for n in ("update", "totals", "lambda", "step", "stateless_apply"))
               for f in files)

shapes = [(3, 4), (5,), (2, 2)]
variables = [keras.Variable(np.ones(s, "float32")) for s in shapes]
now = {"rate": 0.5}
for optimizer in [
    keras_adam.Adam(0.01, global_clipnorm=1.0),
    keras_adam.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 100)),
    keras_adam.AdamW(lambda: now["rate"]),
    keras_adam.Adam(0.01),
]:
    before = compilations()
    step = make_step(optimizer, variables, mode)
    gradients = [keras.ops.ones(s) for s in shapes]
    step(gradients)
    first = compilations() - before
    for i in range(20):
        if callable(optimizer._learning_rate):
            now["rate"] = 1.0 / (i + 1)
        else:
            optimizer.learning_rate = 1.0 / (i + 1)
        step([keras.ops.ones(s) * i for s in shapes])
    print(first, compilations() - before)
"""


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
def test_learning_rate_schedule_and_step_compile_nothing(mode, tmp_path):
    if keras.backend.backend() == "jax" and mode == "graph":
        pytest.skip("JAX has no graph mode")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), mode],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": f"--xla_dump_to={tmp_path}", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    counts = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert len(counts) == 4
    # The last one has a kernel, and XLA nothing to do but in a step that it compiles.
    programs = (1, 1, 1, 1) if mode == "compiled" else (2, 1, 1, 0)
    if keras.backend.backend() == "jax":
        programs = (1, 1, 1, 1)
    for (first, afterwards), expected in zip(counts, programs, strict=True):
        assert first == afterwards == expected, counts
