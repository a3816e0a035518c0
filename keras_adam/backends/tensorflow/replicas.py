"""Replicas: the sum of the gradients over them, and the copies of the variables in each."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_adam.annotations import Gradient, Variable
from keras_adam.backends.interface import TrackedVariable, path_of
from keras_adam.math import storage


def sum_over_replicas(gradients: Sequence[Gradient]) -> list[Gradient]:
    """Return the sums of the gradients over all replicas; called in the context of each replica."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(gradients)
    present = [g for g in gradients if g is not None]
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if g is None else next(summed) for g in gradients]


def local_replicas(variable: Variable) -> Sequence[int]:
    """Return which of this process's copies of `variable` a call updates.

    In the context of a replica this is the replica's own copy. Outside it is all copies.

    Raises:
        ValueError: the present strategy has several replicas, and did not make the variable, or
        made one variable for all replicas.

    """
    strategy = tf.distribute.get_strategy()
    value = _native(variable)
    # Outside of every scope, the strategy has one replica, but the variable may have copies.
    if strategy.num_replicas_in_sync == 1:
        is_distributed = isinstance(value, tf.distribute.DistributedValues)
        return range(len(value.values)) if is_distributed else (0,)
    if not isinstance(value, tf.distribute.DistributedValues):
        if strategy.extended.variable_created_in_scope(value):
            raise ValueError(
                f"keras_adam does not run under {type(strategy).__name__}, whose replicas share "
                "their variables. Use tf.distribute.MirroredStrategy."
            )
        raise ValueError(
            f"Variable {path_of(variable)!r} was not made under the "
            f"{type(strategy).__name__} of {strategy.num_replicas_in_sync} replicas that is now "
            "active. Create the model and the optimizer inside `strategy.scope()`, or call "
            "`apply` outside of it."
        )
    copies = len(value.values)
    context = tf.distribute.get_replica_context()
    if context is None:
        return range(copies)
    # Replicas are numbered over all workers, copies within one worker. All workers have the same
    # number of replicas.
    return (int(tf.get_static_value(context.replica_id_in_sync_group)) % copies,)


def local_variable(tracked: TrackedVariable, replica: int) -> TrackedVariable:
    """Return the tracked variable with the `tf.Variable`s of one replica of this process."""
    slots = storage.map_arrays(lambda variable: _copy_of(variable, replica), tracked.slots)
    return tracked._replace(slots=slots)


def _native(variable: Variable | tf.Variable) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _copy_of(variable: Variable | tf.Variable, replica: int) -> tf.Variable:
    value = _native(variable)
    return value.values[replica] if isinstance(value, tf.distribute.DistributedValues) else value
