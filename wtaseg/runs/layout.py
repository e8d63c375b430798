"""Where the project, its configs and its results are."""

import difflib
from pathlib import Path

#: Folder that holds the packages: the root of a clone, or ``site-packages`` of an installation.
ROOT = Path(__file__).resolve().parents[2]


def config_root() -> Path:
    """The folder of all experiments: ``configs`` of a clone, else the copy in the installed package.

    Raises:
        FileNotFoundError: neither exists.
    """
    candidates = (ROOT / 'configs', ROOT / 'wtaseg/configs')
    for folder in candidates:
        if (folder / '_base_').is_dir():
            return folder
    raise FileNotFoundError(
        f'no configs in {" or ".join(map(str, candidates))}; reinstall wta-seg, or give the path of a config'
    )


def find_config(name: str | Path) -> Path:
    """The file of an experiment.

    Args:
        name: path of a config, or its name below ``configs`` with or without ``.py``:
            ``fastscnn/fast_scnn_4xb4-40k_wta-512x512``.

    Raises:
        FileNotFoundError: there is no such config; the message has the nearest names.
    """
    path = Path(name)
    if path.is_file():
        return path
    root = config_root()
    short = Path(name).as_posix().removeprefix('./').removeprefix('configs/').removesuffix('.py')
    if (root / f'{short}.py').is_file():
        return root / f'{short}.py'
    names = [file.relative_to(root).with_suffix('').as_posix() for file in root.glob('[!_]*/*.py')]
    near = difflib.get_close_matches(short, names, n=3)
    remedy = f'nearest: {", ".join(near)}' if near else f'the experiments of this project are in {root}'
    raise FileNotFoundError(f'{name}: no such config; {remedy}')
