"""Which programs of a JAX run are compiled, and which come from disk. Workers import this file."""

import dataclasses

from benchmarks import compilation, worker
from benchmarks.worker import programs


def train(config, data_dir, caches, send):
    """Do a run with each cache that a user may have set, as if each had its own process.

    Send its losses, its programs in their order, and the programs from disk.
    """
    import jax

    from benchmarks.training import one_run
    from benchmarks.training.messages import Epoch

    made, hits = [], []
    jax.monitoring.register_event_listener(
        lambda event, **_: hits.append(len(made)) if event.endswith("/cache_hits") else None
    )
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **of: (
            made.append(of["fun_name"]) if event.endswith("/backend_compile_duration") else None
        )
    )
    for cache in caches:
        jax.clear_caches()
        made.clear()
        hits.clear()
        jax.config.update("jax_compilation_cache_dir", cache)
        if cache is not None:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        messages = []
        one_run.train_model(config, data_dir, None, None, messages.append)
        assert jax.config.jax_compilation_cache_dir == cache
        rows = [message.row for message in messages if isinstance(message, Epoch)]
        losses = [(row["train_loss"], row["test_loss"]) for row in rows]
        send((losses, list(made), [made[number] for number in hits]))
    send(compilation.folder)


def test_only_the_training_step_is_compiled_anew_in_a_second_run(tiny_config, data_dir, tmp_path):
    config = dataclasses.replace(tiny_config, backend="jax", max_steps=2)
    arguments = config, data_dir, (None, None, str(tmp_path))
    *runs, folder = worker.run(f"{__name__}:train", *arguments, backend="jax", device="cpu")
    assert folder == programs.folder("jax")
    losses, made, _ = runs[0]
    assert made.count("jit(train_step)") == 1
    before_training = made[: made.index("jit(train_step)")]
    assert {"jit(_uniform)", "jit(test_step)"} <= set(before_training)
    assert runs[1] == (losses, made, before_training)
    assert runs[2] == (losses, made, [])  # the user's own cache was empty
    for cache in (folder, tmp_path):
        kept = [path.name for path in cache.glob("*-cache")]
        assert any("_uniform" in name for name in kept)
        assert not any("train_step" in name for name in kept)
