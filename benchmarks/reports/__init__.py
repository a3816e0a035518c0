"""The CSV reports and what is read out of them. Imports no TensorFlow."""
