"""A small Stable Diffusion XL that edits rendered defects: its parts, its training and its evaluation.

``README.md`` in this folder is its model card: data, commands, measured quality, and what it is not for.
"""
