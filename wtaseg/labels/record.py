"""The record that ``wta-seg new`` leaves in a dataset: what it was made with, and the split of each image."""

from pathlib import Path

from wtaseg.io import read_json

RECORD = 'dataset.json'


def read_settings(root: Path) -> dict:
    """What the dataset in ``root`` was made with; empty for one that was made otherwise.

    Raises:
        ValueError: the record is damaged.
    """
    path = Path(root) / RECORD
    return read_json(path, 'the record of a dataset').get('settings', {}) if path.is_file() else {}
