"""The pages and plots made from CSV reports. They import no TensorFlow."""
