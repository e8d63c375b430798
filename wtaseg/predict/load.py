"""From what a user calls a model to a predictor."""

from pathlib import Path

from augment import shipped
from wtaseg.predict.predictor import Predictor
from wtaseg.predict.rule import DecisionRule
from wtaseg.predict.windows import Windows


def load_predictor(
    model: str | Path,
    config: str | None = None,
    device: str | None = None,
    windows: Windows | None = None,
    argmax: bool = False,
    false_alarms: float | None = None,
) -> Predictor:
    """A model that is ready to predict.

    It marks the pixels that reach the thresholds of its operating point; without one, those whose most probable class is
    a defect.

    Args:
        model: a checkpoint, the folder of a training for its best one, an exported ``.onnx`` file, or ``'demo'``.
        config: config of a checkpoint that holds none, or in place of the one it holds.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``; None: a GPU if there is one.
        windows: predict large images in these; None: as the test of the experiment does.
        argmax: go by the most probable class in any case.
        false_alarms: per image and class: take the thresholds for these, from the stored validation curves.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no model, its config can not be read without executing it, or it has no thresholds for
            ``false_alarms``.
    """
    path = find_model(model)
    if path.suffix.lower() != '.onnx':
        predictor = _load_checkpoint(path, config, device, windows)
    elif config is not None:
        raise ValueError(f'--config: {config}; {path} has all settings in it, leave the config out')
    else:
        from wtaseg.predict.onnx_model import OnnxPredictor

        predictor = OnnxPredictor(path, device, windows)
    try:
        predictor.rule = DecisionRule.choose(
            predictor.operating_point, predictor.classes, argmax, false_alarms
        )
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return predictor


def find_model(model: str | Path) -> Path:
    """The file of a model, named as for :func:`load_predictor`; raises ``FileNotFoundError`` where there is none."""
    if str(model) == shipped.DEMO:
        model = shipped.segmenter()
    path = Path(model)
    if path.is_dir():
        from wtaseg.runs.checkpoints import trained_checkpoint

        return trained_checkpoint(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such model; expected a checkpoint (.pth), an exported model (.onnx) or the word {shipped.DEMO}'
        )
    return path


def _load_checkpoint(
    path: Path, config: str | None, device: str | None, windows: Windows | None
) -> Predictor:
    from mmseg.apis.mmseg_inferencer import stored_config
    from mmseg.engine import read_checkpoint
    from mmseg.utils.config_file import read_config
    from wtaseg.errors import always, one_line_errors
    from wtaseg.predict.segmentor import SegmentorPredictor
    from wtaseg.runs.layout import find_config

    if config is not None:
        cfg = read_config(find_config(config))
    else:
        cfg = stored_config(read_checkpoint(str(path), map_location='cpu'), str(path))
    with one_line_errors(f'{path}{"" if config else " (its config)"}', always):
        return SegmentorPredictor(cfg, str(path), device, windows)
