"""The contact sheet of the demo model: source, reconstruction and an edit for every word, a crop a row."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

HEADER = 14  # pixels
GAP = 2


def draw_sheet(columns: Mapping[str, np.ndarray], scale: int = 1) -> np.ndarray:
    """Columns ``(N, h, w, 3)`` uint8 side by side under their names, enlarged ``scale`` times."""
    first = next(iter(columns.values()))
    rows, height, width = first.shape[:3]
    height, width = scale * height, scale * width
    sheet = Image.new('RGB', (len(columns) * (width + GAP), HEADER + rows * (height + GAP)), 'white')
    pen = ImageDraw.Draw(sheet)
    for x, (name, images) in enumerate(columns.items()):
        pen.text((x * (width + GAP) + 2, 1), name, fill='black')
        for y, image in enumerate(images):
            cell = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(cell, (x * (width + GAP), HEADER + y * (height + GAP)))
    return np.array(sheet)
