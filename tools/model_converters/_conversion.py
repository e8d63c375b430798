"""What the converters share: read, rename, check, write."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))  # for a checkout that isn't installed

import torch
from torch import Tensor

from mmseg.models.utils.pretrained import read_state_dict


def strip_backbone(state: dict[str, Tensor], known: str) -> dict[str, Tensor]:
    """``state`` without a prefix that its backbone may stand under, found by the key ``known``."""
    for prefix in ('', 'backbone.', 'encoder.'):
        if prefix + known in state:
            return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return {}


def refuse(source: str, expected: str, state: dict[str, Tensor]) -> ValueError:
    """The error for a layout that is none of the expected."""
    return ValueError(f'{source}: not the layout of {expected}; its keys begin with {list(state)[:5]}')


def save(state: dict[str, Tensor], path: str | Path) -> None:
    """Write a checkpoint whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.tmp')
    try:
        torch.save(state, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def run(
    convert: Callable[[dict[str, Tensor], str], dict[str, Tensor]], description: str, argv: list[str] | None
) -> None:
    """The command line ``SRC DST`` around ``convert``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', help='released checkpoint: a file or https://…')
    parser.add_argument('dst', help='where to write the converted one')
    args = parser.parse_args(argv)
    state = read_state_dict(args.src)
    converted = convert(state, args.src)
    save(converted, args.dst)
    print(f'{args.dst}: {len(converted)} tensors of {len(state)} in {args.src}')
