"""Assign images to splits so that every split holds every class.

Iterative stratification (Sechidis et al. 2011, "On the Stratification of Multi-Label Data"): the rarest class comes
first, and each of its groups goes to the split that lacks it most. Of several random orders the best one is taken.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SPLITS = ('train', 'val', 'test')
#: Splits in the order in which they get a class that has fewer groups than there are splits.
_URGENCY = {'train': 0, 'test': 1, 'val': 2}
#: Random orders that are tried: fewer for large datasets.
_ORDERS, _WORK = 40, 40_000


@dataclass(frozen=True)
class Split:
    """Shares of train, val and test, and how images are assigned.

    Attributes:
        shares: numbers >= 0, of which only the ratios count.
        seed: of the random orders.
        group_by: regular expression; images with the same match stay together. With groups in parentheses, these
            count. Empty: every image is a group of its own.
    """

    shares: tuple[float, float, float] = (70, 15, 15)
    seed: int = 0
    group_by: str = ''

    @classmethod
    def parse(cls, shares: str, seed: int = 0, group_by: str = '') -> 'Split':
        """From ``'70/15/15'``.

        Raises:
            ValueError: not three numbers >= 0 with train > 0, or ``group_by`` is no regular expression.
        """
        parts = shares.split('/')
        try:
            values = tuple(float(part) for part in parts)
        except ValueError:
            values = ()
        if len(values) != 3 or not all(0 <= value < math.inf for value in values) or values[0] == 0:
            raise ValueError(f'--split {shares}: expected train/val/test as 70/15/15, train above 0')
        try:
            re.compile(group_by)
        except re.error as error:
            raise ValueError(f'--group-by {group_by!r}: {error}; expected a regular expression') from None
        return cls(values, seed, group_by)

    def assign(self, names: Sequence[str], pixels: np.ndarray) -> dict[str, str]:
        """Name of the split of each image.

        Args:
            names: of the images.
            pixels: per image and class, ``(N, num_classes)``.

        Raises:
            ValueError: there are fewer groups than splits, or a name has no match of ``group_by``.
        """
        used = [index for index, share in enumerate(self.shares) if share > 0]
        urgency = [_URGENCY[SPLITS[index]] for index in used]
        parts = assign_parts(
            group_keys(names, self.group_by), pixels, [self.shares[i] for i in used], self.seed, urgency
        )
        return {name: SPLITS[used[part]] for name, part in zip(names, parts)}


def group_keys(names: Sequence[str], pattern: str) -> list[str]:
    """The group of each name: what ``pattern`` finds in it, or the name itself without a pattern.

    Raises:
        ValueError: a name has no match.
    """
    if not pattern:
        return list(names)
    keys = []
    for name in names:
        match = re.search(pattern, name)
        if match is None:
            raise ValueError(
                f'--group-by {pattern!r} finds nothing in {name!r}; expected a match in the name of every image'
            )
        keys.append('\0'.join(map(str, match.groups())) if match.groups() else match[0])
    return keys


def assign_parts(
    keys: Sequence[str], pixels: np.ndarray, shares: Sequence[float], seed: int, urgency: Sequence[int] = ()
) -> np.ndarray:
    """The part, 0..len(shares)-1, of every image.

    Args:
        keys: group of each image; images of a group are in the same part.
        pixels: per image and class, ``(N, num_classes)``.
        shares: of the parts, all > 0.
        seed: of the random orders; the result does not depend on the order of the images.
        urgency: rank of the parts by which they get a class that has fewer groups than there are parts.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    names, group_of = np.unique(np.asarray(keys, object).astype(str), return_inverse=True)
    if len(names) < len(shares):
        raise ValueError(
            f'{len(names)} images or groups can not fill {len(shares)} splits; add images, or set a share to 0'
        )
    images = np.bincount(group_of, minlength=len(names))
    content = np.zeros((len(names), pixels.shape[1]), np.int64)
    np.add.at(content, group_of, pixels)
    wanted = np.asarray(shares, float) / sum(shares)
    rank = np.asarray(urgency if len(urgency) else range(len(shares)))
    rng = np.random.default_rng(seed)
    best, best_score = None, None
    for _ in range(int(np.clip(_WORK // len(names), 1, _ORDERS))):
        parts = _stratify(content > 0, images, wanted, rank, rng.permutation(len(names)))
        score = _score(parts, content, images, wanted)
        if best_score is None or score < best_score:
            best, best_score = parts, score
    return best[group_of]


def _stratify(
    holds: np.ndarray, images: np.ndarray, wanted: np.ndarray, rank: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Parts of the groups ``(G,)``; ``holds`` ``(G, C)``, ``images`` ``(G,)`` of each group, ``wanted`` ``(P,)``."""
    parts = np.full(len(images), -1)
    room = wanted * images.sum()
    need = wanted[:, None] * holds.sum(0)
    for label in np.argsort(holds.sum(0), kind='stable'):
        members = [g for g in order if parts[g] < 0 and holds[g, label]]
        for position, group in enumerate(members):
            lacking = [p for p in range(len(wanted)) if not (holds[parts == p, label]).any()]
            if lacking and len(members) - position <= len(lacking):
                part = min(lacking, key=lambda p: rank[p])
            else:
                part = max(range(len(wanted)), key=lambda p: (need[p, label], room[p]))
            parts[group] = part
            room[part] -= images[group]
            need[part] -= holds[group]
    for group in order:
        if parts[group] < 0:
            part = int(room.argmax())
            parts[group] = part
            room[part] -= images[group]
    return parts


def _score(parts: np.ndarray, content: np.ndarray, images: np.ndarray, wanted: np.ndarray) -> tuple:
    """Classes that a part lacks, then the distance from the wanted numbers of images and pixels; less is better."""
    holders = (content > 0).sum(0)
    pixels = np.stack([content[parts == p].sum(0) for p in range(len(wanted))])
    counts = np.array([images[parts == p].sum() for p in range(len(wanted))])
    lacking = int(((pixels == 0) & (holders > 0)).sum()) + int((counts == 0).sum()) * content.shape[1]
    off = np.abs(counts / images.sum() - wanted).sum()
    off += np.abs(pixels / np.maximum(1, content.sum(0)) - wanted[:, None])[:, 1:].sum() / content.shape[1]
    return lacking, float(off)
