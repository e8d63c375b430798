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
    if not path.is_file():
        return {}
    expected = 'the record of a dataset, {"settings": {…}, …}; restore it, or remove the folder'
    content = read_json(path, expected)
    settings = content.get('settings', {}) if isinstance(content, dict) else None
    if not isinstance(settings, dict):
        raise ValueError(f'{path} holds no settings; expected {expected}')
    return settings
