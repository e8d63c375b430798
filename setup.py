"""For ``pip install -v -e .``; everything is declared in pyproject.toml."""

from setuptools import setup

setup()
