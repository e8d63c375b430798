"""Renderer of a synthetic blade dataset: dark machined parts with rare defects, and their labels.

An image is made in these steps, a module each: where the camera stands and what the part looks like
there (``geometry``, ``part``), what is harmless on it (``distractors``), how many defect pixels it is
given (``budget``), the defects and their labels (``layer``, ``defects``), their style if one is asked for
(``styles``), and the camera (``camera``). ``scene`` joins the steps, ``dataset`` writes folders, ``sheet``
the contact sheet of a dataset and ``style_sheet`` that of the styles.
"""
