"""Adam for Keras with a compiled update: change one import and train as before."""

try:
    from keras_adam import distribution
    from keras_adam.optimizer import Adam, AdamW
    from keras_adam.saving import StateNotLoadedWarning
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("tensorflow", "jax", "torch"):
        raise
    # Keras imports its backend and says only which module is missing.
    raise ImportError(
        f"Keras's backend is not installed ({error}). Run `pip install tensorflow` (or "
        "tensorflow-cpu); or `pip install jax` or `pip install torch`, and set the environment "
        "variable KERAS_BACKEND to jax or torch."
    ) from None

__all__ = ["Adam", "AdamW", "StateNotLoadedWarning", "distribution"]
__version__ = "0.1.0"
