"""``wta-seg split``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

if TYPE_CHECKING:
    from wtaseg.new.split import Split


@Parameter(name='*')
@dataclass(frozen=True)
class SplitOptions:
    """How images are assigned to train, val and test.

    Parameters
    ----------
    split
        shares of train/val/test
    group_by
        regular expression: images in whose names it finds the same text stay together, for example one part
    seed
        of the split
    """

    split: str = '70/15/15'
    group_by: str = ''
    seed: int = 0

    def parse(self) -> 'Split':
        """The checked options."""
        from wtaseg.new.split import Split

        return Split.parse(self.split, self.seed, self.group_by)


def command(
    root: Path,
    /,
    *,
    out: Path | None = None,
    folds: int | None = None,
    experiment: str | None = None,
    options: SplitOptions = SplitOptions(),
) -> int:
    """Split a labelled dataset again by class content, or into folds for cross-validation.

    Example: ``wta-seg split data/my_parts --out data/my_parts_2 --split 80/10/10 --group-by 'part[0-9]+'``

    Parameters
    ----------
    root
        dataset with img_dir and ann_dir; it is not changed, except for the lists of --folds
    out
        folder for the dataset with the new splits
    folds
        instead: write lists of all images but those of test for this many folds
    experiment
        with --folds: config to which a config of each fold is written
    """
    from collections import Counter

    from wtaseg.new.resplit import resplit, write_fold_configs, write_folds

    if (out is None) == (folds is None):
        raise ValueError('give --out for a dataset with other splits, or --folds for cross-validation')
    split = options.parse()
    if out is not None:
        counts = Counter(resplit(root, out, split).values())
        print(f'{out}: ' + ', '.join(f'{name} {count}' for name, count in counts.most_common()))
        return 0
    lists = write_folds(root, folds, split.seed, split.group_by)
    print(*(str(path) for pair in lists for path in pair), sep='\n')
    if experiment is not None:
        print(*write_fold_configs(experiment, root, lists), sep='\n')
    return 0
