"""The list that says which word the defects of each image look like, as ``wta-seg render --style`` writes it."""

import json
from pathlib import Path

from augment.demo_model.architecture import WORDS

STYLES_FILE = 'styles.json'
"""In the dataset's root: ``{"train/NAME.png": "rust", "train/OTHER.png": "none", ...}``."""
UNSTYLED = 'none'


def read_styles(root: Path, split: str) -> dict[str, str | None]:
    """Word of each image of ``split``, None for the source's look, sorted by file name.

    Raises:
        FileNotFoundError: ``root`` has no such list.
        ValueError: The list holds an unknown word, or nothing of this split.
    """
    path = root / STYLES_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; render a dataset that has it: '
            f'wta-seg render --out {root} --style none {" ".join(WORDS)}'
        )
    words = json.loads(path.read_text(encoding='utf-8'))
    result: dict[str, str | None] = {}
    for file, word in sorted(words.items()):
        if word not in (UNSTYLED, *WORDS):
            raise ValueError(
                f'{path}: {file} has the word {word!r}; expected {UNSTYLED} or one of {", ".join(WORDS)}'
            )
        folder, _, name = file.partition('/')
        if folder == split:
            result[name] = None if word == UNSTYLED else word
    if not result:
        raise ValueError(f'{path} names no image of split {split}; render with --{split} above 0')
    return result
