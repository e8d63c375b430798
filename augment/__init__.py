"""Null-text inversion, RLI and prompt-to-prompt on Stable Diffusion XL, and the command that edits a dataset."""
