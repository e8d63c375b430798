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
    argmax: Annotated[bool, Parameter(negative=())] = False,
    false_alarms: float | None = None,
    device: str | None = None,
) -> int:
    """Find the defects in images without labels.

        Example: ``wta-seg predict work_dirs/mine/best_foreground_mIoU_iter_4000.pth photos --out found``

    Marks the pixels that reach the thresholds of the model's operating point (docs/inspection.md); without one, those whose
        most probable class is a defect. Writes labels, overlays, defects.csv, a row for each connected region, and defects.json
        in COCO's form. An image that can not be read is reported, the rest goes on, and the exit status is 1.

        Parameters
        ----------
        model
            a checkpoint, the folder of a training for its best one, an exported model (.onnx), or the word demo
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
        argmax
            mark pixels by their most probable class in any case
        false_alarms
            per image and class: take the thresholds for these from the validation curves in the model
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
    predictor = load_predictor(model, config, device, windows, argmax, false_alarms)
    summary = predict_images(predictor, sources, out, batch_size, probabilities)
    print(summary)
    return FAILED if summary.failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand as a program of its own."""
    return run_alone(command, argv, 'predict')
