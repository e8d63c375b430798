"""``wta-seg predict``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from wtaseg.cli import FAILED, run_alone


def command(
    model: str,
    /,
    *images: str,
    out: Path,
    config: str | None = None,
    window: int | None = None,
    overlap: float = 0.25,
    batch_size: int = 1,
    probabilities: Annotated[bool, Parameter(negative=())] = False,
    device: str | None = None,
) -> int:
    """Find the defects in images without labels.

    Example: ``wta-seg predict work_dirs/mine/best_foreground_mIoU_iter_4000.pth photos --out found``

    Writes labels/IMAGE.png with class ids, overlays/IMAGE.png, defects.csv with one row for each connected region, and
    defects.json with the same in COCO's form. An image that can not be read is reported, the rest goes on, and the exit
    status is 1.

    Parameters
    ----------
    model
        a checkpoint of this project, a model exported to .onnx, or the word demo
    images
        files, folders with all images below them, and patterns such as "photos/*.jpg"
    out
        folder for the results
    config
        config of a checkpoint that holds none: its name below configs/, or a path
    window
        predict in windows of this side in pixels, at the scale of the image [default: as the test of the experiment]
    overlap
        share of a window that the next one covers too
    batch_size
        images at a time, of equal size
    probabilities
        also write probabilities/IMAGE/CLASS.png, 16 bits, 65535 being 1
    device
        cpu, cuda or cuda:1 [default: a GPU if there is one]
    """
    if not images:
        raise CycloptsError(msg='no images; expected files, folders or patterns after the model')
    from wtaseg.predict import load_predictor
    from wtaseg.predict.command import predict_images
    from wtaseg.predict.inputs import find_images
    from wtaseg.predict.windows import Windows

    sources = find_images(images)
    windows = None if window is None else Windows(window, overlap)
    predictor = load_predictor(model, config, device, windows)
    summary = predict_images(predictor, sources, out, batch_size, probabilities)
    print(summary)
    return FAILED if summary.failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand as a program of its own."""
    return run_alone(command, argv, 'predict')
