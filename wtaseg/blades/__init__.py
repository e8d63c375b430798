"""Renderer of a synthetic blade dataset: dark machined parts with rare defects, and their labels.

An image is made in five steps, a module each: where the camera stands and what the part looks like
there (``geometry``, ``part``), what is harmless on it (``distractors``), how many defect pixels it is
given (``budget``), the defects and their labels (``layer``, ``defects``), and the camera (``camera``).
``scene`` joins the steps, ``dataset`` writes folders and ``sheet`` the contact sheet.
"""
