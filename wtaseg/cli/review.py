"""``wta-seg review``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wtaseg.cli import MANY


def command(
    root: Path,
    /,
    *,
    split: Annotated[tuple[str, ...], MANY] = (),
    classes: Annotated[tuple[str, ...], MANY] = (),
    dataset: str | None = None,
    port: int = 0,
    no_browser: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Review and correct labels in the browser: the edits of an augmented dataset, or all images of another one.

    Example: ``wta-seg review data/wta_512_aug_peeling``

    The page is served to this computer only. Labels and decisions are written at once; a rejected image leaves the
    dataset for its folder review/rejected. Run again, it continues at the first image that is not decided.

    Parameters
    ----------
    root
        dataset with img_dir and ann_dir
    split
        only these, such as train
    classes
        names of the classes in the order of their ids [default: those of wta-seg new, else those of --dataset]
    dataset
        dataset class whose METAINFO has class names and colours [default: WTADataset]
    port
        of the page [default: any free one]
    no_browser
        print the address, open no browser
    """
    from wtaseg.review.command import review

    summary = review(
        root, splits=split, names=classes, dataset=dataset, port=port, open_browser=not no_browser
    )
    print(summary)
    return 0
