"""The number of compilations: XLA's own dump has one module for each."""

import re

import keras
import numpy as np
import pytest

import keras_adam
from tests import processes
from tests.keras_adam.training import MODES, PROGRAMS

if keras.backend.backend() == "torch":
    pytest.skip("without XLA; test_torch.py counts torch's programs", allow_module_level=True)

# One process for all counts. What serves one part would serve the next, so their shapes differ.
SCRIPT = """
import sys, warnings
import keras, numpy as np
import keras_adam
from tests.keras_adam.test_at_random import draw_gradient
from tests.keras_adam.training import MODES, count_programs, make_step

if keras.backend.backend() == "jax":
    import jax
    jax.config.update("jax_enable_compilation_cache", False)  # XLA dumps nothing of what is read
dump = sys.argv[1]
def compilations():
    return count_programs(dump)

now = {"rate": 0.5}
for more, mode in enumerate(MODES):
    # Smaller ones are not XLA's on TensorFlow.
    shapes = [(300 + more, 60), (20000 + more,), (2, 2, 5000 + more)]
    variables = [keras.Variable(np.ones(s, "float32")) for s in shapes]
    for optimizer in [
        keras_adam.Adam(0.01, global_clipnorm=1.0),
        keras_adam.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 100), amsgrad=True),
        keras_adam.AdamW(lambda: now["rate"], amsgrad=True),
        keras_adam.Adam(0.01),
        keras_adam.Adam(0.02, global_clipnorm=2.0),
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
        print(mode, first, compilations() - before)

warnings.filterwarnings("ignore", message="Gradients do not exist")
generator = np.random.default_rng(0)
shapes = [(16, 1100)] * 4 + [(5, 3300)] * 4
for options, dtype in [
    ({"clipnorm": 1.0}, "float32"),
    ({"lazy": True, "weight_decay": 0.1}, "float32"),
    ({"use_ema": True}, "bfloat16"),
]:
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    optimizer = keras_adam.Adam(0.01, **options)
    before, counts = compilations(), []
    for i in range(24):
        gradients = [draw_gradient(generator, shape, dtype)[0] for shape in shapes]
        present = generator.random(len(shapes)) > 0.3
        present[0] = True
        optimizer.beta_1 = generator.uniform(0.5, 0.9)
        optimizer.epsilon = generator.uniform(1e-7, 1e-3)
        if "weight_decay" in options:
            optimizer.weight_decay = generator.uniform(0.01, 0.2)
        pairs = zip(gradients, present, strict=True)
        optimizer.apply([g if there else None for g, there in pairs], variables)
        if i in (11, 23):
            counts.append(compilations() - before)
    print("random", *counts)
"""


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """Run the script with XLA dumping into a folder; return the counts of each part."""
    dump = tmp_path_factory.mktemp("dump")
    flags = f"--xla_dump_to={dump} --xla_dump_hlo_module_re={'|'.join(PROGRAMS)}"
    printed = processes.run(
        SCRIPT,
        arguments=[str(dump)],
        backend=keras.backend.backend(),
        XLA_FLAGS=f"{processes.FAST_COMPILATION} {flags}",
    )
    counts = {}
    for part, numbers in re.findall(r"^(\w+)((?: \d+)+)$", printed, re.MULTILINE):
        counts.setdefault(part, []).append(tuple(map(int, numbers.split())))
    return counts


@pytest.mark.parametrize("mode", MODES)
def test_learning_rate_schedule_and_step_compile_nothing(mode, counts):
    # Another optimizer with such variables and options uses the same programs, unless they are part
    # of a step that is compiled as a whole. Without options, XLA compiles nothing else on
    # TensorFlow. On JAX the rate of a callable has another type than that of a schedule.
    programs = (1, 1, 1, 1, 0) if keras.backend.backend() == "jax" else (1, 1, 0, 0, 0)
    if mode == "compiled":
        programs = (1, 1, 1, 1, 1)
    for (first, afterwards), expected in zip(counts[mode], programs, strict=True):
        assert first == afterwards == expected, counts


def test_whatever_comes_the_programs_are_few(counts):
    """Eight variables have 255 patterns of gradients, and a sparse gradient has nine row counts."""
    assert len(counts["random"]) == 3
    for half, whole in counts["random"]:
        # There is one program for a pattern that comes again. For single variables there is one for
        # each shape, with and without a gradient. On JAX, sparse gradients have programs for 1, 2,
        # 4, 8 and 16 rows, too.
        assert whole <= (8 + 4 if keras.backend.backend() == "tensorflow" else 8 + 4 * 5), counts
        assert whole - half <= 4, counts


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX has a condition to compile")
def test_accumulation_without_jit_compile_compiles_nothing_again():
    import jax

    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    variable = keras.Variable(np.ones((7, 3), "float32"))
    optimizer = keras_adam.Adam(0.01, gradient_accumulation_steps=2, jit_compile=False)
    optimizer.build([variable])
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for i in range(4):
            optimizer.apply([keras.ops.ones((7, 3)) * i], [variable])
            if i == 1:
                assert compiled
                compiled.clear()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
