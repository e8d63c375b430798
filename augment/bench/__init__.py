"""Timing of the editing method."""
