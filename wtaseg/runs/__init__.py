"""Experiments: what is run, where its results are, and how it is executed."""
