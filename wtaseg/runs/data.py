"""The dataset folder that ``--data`` puts in place of those of a config."""

from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmseg.utils.walk import dataset_configs

SPLITS = ('train', 'val', 'test')
#: Keys by which a dataset that wraps others holds them.
WRAPPED = {'dataset', 'datasets'}


def leaf_configs(cfg: Config, split: str) -> list[ConfigDict]:
    """The configs of a split's datasets that read files, inside those that wrap them; empty without the split."""
    loader = cfg.get(f'{split}_dataloader')
    datasets = dataset_configs(loader['dataset']) if loader else ()
    return [dataset for dataset in datasets if not WRAPPED & set(dataset)]


def set_data_root(cfg: Config, folder: Path, checked: Iterable[str] = SPLITS, base: Path = Path()) -> None:
    """Set ``data_root`` of every dataset in a config, also inside wrappers, in place.

    Args:
        cfg: config of an experiment.
        folder: dataset in the img_dir/ann_dir layout.
        checked: splits whose folders must exist.
        base: what a relative ``folder`` counts from when the config is used.

    Raises:
        FileNotFoundError: a folder of a checked split does not exist.
        ValueError: a split joins datasets of several roots, which one folder can not replace.
    """
    for split in SPLITS:
        datasets = leaf_configs(cfg, split)
        roots = sorted({str(dataset.get('data_root')) for dataset in datasets})
        if len(roots) > 1:
            raise ValueError(
                f'--data {folder}: {split}_dataloader of {cfg.filename} joins datasets in {" and ".join(roots)}; '
                'set each data_root with --cfg-options, or in a config'
            )
        for dataset in datasets:
            dataset['data_root'] = str(folder)
            if split in checked:
                _check_folders(dataset, base / folder, split)


def _check_folders(dataset: ConfigDict, folder: Path, split: str) -> None:
    for name in (dataset.get('data_prefix') or {}).values():
        if name and not (folder / name).is_dir():
            raise FileNotFoundError(
                f'--data {folder}: {folder / name} does not exist, which the {split} split needs; '
                'a dataset has img_dir/<split> and ann_dir/<split>, see data/README.md'
            )
