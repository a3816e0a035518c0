"""The JAX backend, in another process, because Keras chooses its backend at its import."""

from importlib.util import find_spec

import keras
import pytest

from tests import processes
from tests.keras_adam.training import run_on_jax

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")

# Tests that take long on JAX and add little to TensorFlow's run only in the whole suite.
FILES = ["test_options", "test_precision", "test_sparse", "test_fit", "test_lowering"]
PARTS = [
    "test_parity.py::test_any_two_options_on_every_route",
    "test_compilations.py::test_accumulation_without_jit_compile_compiles_nothing_again",
    *(f"{name}.py" for name in FILES),
]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="runs there already")
@needs_jax
def test_the_suite_passes_on_jax():
    paths = [f"tests/keras_adam/{part}" for part in PARTS]
    arguments = ["-q", "-p", "no:cacheprovider", *paths]
    printed = processes.run(
        processes.PYTEST, arguments=arguments, backend="jax", XLA_FLAGS=processes.FAST_COMPILATION
    )
    assert " passed" in printed


TWO_DEVICES = """
import jax, jax.numpy as jnp, keras, numpy as np
import keras_adam

ends = []
for module in (keras_adam, keras.optimizers):
    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    for variable, device in zip(variables, jax.devices(), strict=True):
        variable.assign(jax.device_put(variable.value, device))
    gradients = [jax.device_put(jnp.ones(2), device) for device in jax.devices()]
    optimizer = module.Adam(0.01)
    for _ in range(3):
        optimizer.apply(gradients, variables)
    ends.append([np.asarray(v.value) for v in variables])
np.testing.assert_allclose(*ends, rtol=1e-5)
"""


@needs_jax
def test_variables_on_two_devices():
    run_on_jax(TWO_DEVICES, devices=2)


CAPTURED_GRADIENTS = """
import jax, jax.numpy as jnp, keras, numpy as np
import keras_adam

ends = []
for module in (keras_adam, keras.optimizers):
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer = module.Adam(0.01)
    optimizer.build([variable])
    gradients = [jnp.ones(2)]
    state = [v.value for v in optimizer.variables]
    step = jax.jit(lambda weights: optimizer.stateless_apply(state, gradients, weights)[0])
    ends.append(np.asarray(step([variable.value])[0]))
np.testing.assert_allclose(*ends, rtol=1e-5)
"""


@needs_jax
def test_a_traced_function_may_capture_gradients():
    run_on_jax(CAPTURED_GRADIENTS, devices=1)


@pytest.mark.parametrize("backend", ["openvino", "numpy"])
def test_other_backends_are_refused_at_construction(backend, monkeypatch):
    import keras_adam

    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(
        RuntimeError, match=rf"TensorFlow, JAX and PyTorch backends.*is '{backend}'"
    ):
        keras_adam.Adam()
