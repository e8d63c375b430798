"""Flags that change how an experiment is trained, of ``wta-seg train``, ``batch`` and ``study`` alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from mmengine.config import Config


def _help(text: str, **options) -> Parameter:
    return Parameter(help=text, negative=(), **options)


@dataclass(frozen=True, kw_only=True)
class TrainingFlags:
    """What the flags say; :meth:`words` gives them as a command line, :meth:`apply_flags` applies them to a config."""

    early_stop: Annotated[
        int | None, _help('end after this many validations without a better foreground mIoU')
    ] = None
    ema: Annotated[bool, _help('validate, test and save a moving average of the weights')] = False
    accumulate: Annotated[
        int | None, _help('update the weights after this many batches, as with a batch as large')
    ] = None
    freeze: Annotated[
        tuple[str, ...],
        _help(
            'modules whose weights stay as they are: backbone, "backbone.layer[12]"',
            consume_multiple=True,
            show_default=False,
        ),
    ] = ()
    init_from: Annotated[
        str | None, _help('begin with the weights of this checkpoint, also of one with other classes')
    ] = None
    normal_images: Annotated[Path | None, _help('folder of images without defects, which need no labels')] = (
        None
    )
    normal_share: Annotated[
        float | None, _help('largest share of the images of --normal-images in the training [default: 0.5]')
    ] = None

    false_alarms: Annotated[
        float | None,
        _help(
            'per image and class: validations choose the thresholds that find most defects at these [default: 0.1]'
        ),
    ] = None

    eager: Annotated[bool, _help('on a GPU: do not capture the training step in a CUDA graph')] = False
    fp32: Annotated[bool, _help('on a GPU: train in float32 instead of bfloat16')] = False

    def words(self, base: Path | None = None) -> tuple[str, ...]:
        """The flags as ``wta-seg train`` takes them, one word each.

        Args:
            base: what relative paths count from; None: they stay relative.
        """
        words = [f'--{flag}' for flag in ('ema', 'eager', 'fp32') if getattr(self, flag)]
        for flag, value in (
            ('early-stop', self.early_stop),
            ('accumulate', self.accumulate),
            ('init-from', self.init_from and _absolute(self.init_from, base)),
            ('normal-images', self.normal_images and _absolute(self.normal_images, base)),
            ('normal-share', self.normal_share),
            ('false-alarms', self.false_alarms),
        ):
            words += [f'--{flag}={value}'] if value is not None else []
        return (*words, *(f'--freeze={pattern}' for pattern in self.freeze))

    def apply_flags(self, cfg: 'Config') -> None:
        """Change a config accordingly, in place.

        Raises:
            FileNotFoundError, ValueError: a flag does not fit the config, or its file does not exist.
        """
        from mmseg.utils import launch, training_config

        if self.false_alarms is not None:
            launch.set_false_alarms(cfg, 'val', self.false_alarms)
        if self.early_stop is not None:
            launch.stop_early(cfg, self.early_stop)
        if self.ema:
            training_config.average_weights(cfg)
        if self.eager:
            training_config.set_training_step(cfg, capture=False)
        if self.fp32:
            training_config.set_training_step(cfg, dtype='float32')
        if self.accumulate is not None:
            training_config.accumulate_gradients(cfg, self.accumulate)
        if self.freeze:
            training_config.freeze(cfg, self.freeze)
        if self.init_from is not None:
            training_config.init_from(cfg, self.init_from)
        if self.normal_images is not None:
            training_config.add_normal_images(cfg, self.normal_images, self.normal_share)
        elif self.normal_share is not None:
            raise ValueError(f'--normal-share: {self.normal_share}; it goes with --normal-images')


def _absolute(path: str | Path, base: Path | None) -> str:
    """A path from ``base``; a URL stays."""
    return str(path) if base is None or '://' in str(path) else str((base / path).resolve())
