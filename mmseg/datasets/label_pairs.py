"""Pairs of image and label file of a dataset in the layout ``img_dir/<split>``, ``ann_dir/<split>``."""

from pathlib import Path

from .image_files import IMAGE_SUFFIXES, image_stem
from .label_files import Problem
from .normal_images import NORMAL, NORMAL_DIR

IMAGE_DIR, LABEL_DIR = 'img_dir', 'ann_dir'


def find_pairs(root: Path, img_suffix: str | None, seg_map_suffix: str) -> tuple[dict, list[Problem]]:
    """Pairs of paths per split, and the problems of files without a partner.

    The images of :data:`.normal_images.NORMAL_DIR`, if any, are a split of their own; in place of a label they have None.
    """
    for folder in (IMAGE_DIR, LABEL_DIR):
        if not (root / folder).is_dir():
            raise FileNotFoundError(
                f'{root / folder} does not exist. A dataset is a folder with {IMAGE_DIR}/<split> and '
                f'{LABEL_DIR}/<split>, see data/README.md.'
            )
    splits = sorted({p.name for d in (IMAGE_DIR, LABEL_DIR) for p in (root / d).iterdir() if p.is_dir()})
    if not splits:
        raise FileNotFoundError(
            f'{root / IMAGE_DIR} has no folder for a split; move the images to {IMAGE_DIR}/train, '
            'val and test, and the labels likewise.'
        )
    order = {'train': 0, 'val': 1, 'test': 2}
    pairs, problems = {}, []
    for split in sorted(splits, key=lambda s: (order.get(s, 3), s)):
        images, others = _stems(root / IMAGE_DIR / split, img_suffix)
        labels, other_labels = _stems(root / LABEL_DIR / split, seg_map_suffix)
        problems += others + other_labels
        for stem in sorted(images.keys() - labels.keys()):
            partner = root / LABEL_DIR / split / (stem + seg_map_suffix)
            remedy = f'Add {partner}; for an image without defects it is all 0.'
            problems.append(Problem('image without label', (images[stem],), 'has no label', remedy))
        for stem in sorted(labels.keys() - images.keys()):
            partner = root / IMAGE_DIR / split / (stem + (img_suffix or '.png'))
            problems.append(
                Problem(
                    'label without image', (labels[stem],), 'has no image', f'Add {partner}, or remove it.'
                )
            )
        pairs[split] = [(images[stem], labels[stem]) for stem in sorted(images.keys() & labels.keys())]
        if not pairs[split]:
            folder = str(root / IMAGE_DIR / split)
            problems.append(
                Problem('empty split', (folder,), 'no pair of image and label', 'Fill or remove it.')
            )
    images, others = _stems(root / NORMAL_DIR, img_suffix)
    if images:
        pairs[NORMAL] = [(images[stem], None) for stem in sorted(images)]
    return pairs, problems + others


def _stems(folder: Path, suffix: str | None) -> tuple[dict[str, str], list[Problem]]:
    """Stem to path of the files of one ending below a folder; a problem for each other file or shared stem."""
    stems: dict[str, str] = {}
    problems = []
    expected = suffix or ' '.join(IMAGE_SUFFIXES)
    for path in sorted(folder.rglob('*')) if folder.is_dir() else []:
        if path.is_dir() or path.name.startswith('.'):
            continue
        stem = image_stem(path.relative_to(folder).as_posix(), suffix)
        if stem is None:
            remedy = f'Training would not see it: convert it to {expected}, or pass the suffix of your files.'
            problems.append(Problem('other suffix', (str(path),), f'does not end with {expected}', remedy))
        elif stem in stems:
            remedy = 'They would share one label map: rename or remove one.'
            problems.append(
                Problem('two images of one stem', (stems[stem], str(path)), 'have the same stem', remedy)
            )
        else:
            stems[stem] = str(path)
    return stems, problems
