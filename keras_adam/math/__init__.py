"""Pure functions of arrays: no Keras class, no variable, and no backend but for `bits`."""
