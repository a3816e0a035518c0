"""Pure functions of arrays, without Keras classes, variables or (except in `bits`) backends."""
