"""The time of one optimizer update: competitors take turns on the same variables."""
