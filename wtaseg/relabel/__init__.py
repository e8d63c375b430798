"""Proposed labels for the edits of an augmented dataset."""
