"""An inferencer as in mmsegmentation: from a model's name to predictions in a folder."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.infer.infer import BaseInferencer
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmseg.engine.checkpoint_loading import load_checkpoint_into, read_checkpoint
from mmseg.registry import INFERENCERS, MODELS
from mmseg.structures import SegDataSample
from mmseg.utils.class_names import get_classes, get_palette
from mmseg.utils.config_file import read_config
from mmseg.utils.config_text import read_config_text
from mmseg.utils.from_scratch import drop_pretrained
from mmseg.utils.set_env import register_all_modules
from mmseg.utils.typing_utils import SampleList
from mmseg.visualization import SegLocalVisualizer

from .inference import inference_pipeline, resolve_dataset_meta

#: Configs of a clone, and of an installed wheel.
_CONFIG_FOLDERS = [Path(__file__).resolve().parents[2] / folder for folder in ('configs', 'wtaseg/configs')]

ImageInput = str | np.ndarray


def stored_config(checkpoint: dict, source: str) -> Config:
    """The config that training has written into a checkpoint."""
    text = checkpoint.get('message_hub', {}).get('runtime_info', {}).get('cfg')
    text = text or checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise ValueError(f'{source}: no config in this checkpoint; give model=CONFIG as well')
    return read_config_text(text, str(source))


def _configs() -> dict[str, Path]:
    """Files of the experiments of this project by name."""
    paths = [path for folder in _CONFIG_FOLDERS for path in sorted(folder.glob('*/*.py'))]
    return {path.stem: path for path in paths if path.parent.name != '_base_'}


def _drawable(image: ImageInput) -> np.ndarray:
    """A file or an array (H, W, 3) in BGR order as 8-bit RGB; values of other types are clipped to 0 to 255."""
    image = mmcv.imread(image)
    image = image if image.dtype == np.uint8 else np.clip(image, 0, 255).astype(np.uint8)
    return mmcv.bgr2rgb(image)


@INFERENCERS.register_module(name='seg-segmentation')
@INFERENCERS.register_module()
class MMSegInferencer(BaseInferencer):
    """Segment files, folders and arrays.

    Args:
        model: config, its file, or the name of a config in ``configs`` (its file's name without ``.py``);
            None takes the config in the checkpoint.
        weights: checkpoint.
        classes: class names, or a dataset to take them from. By default those of checkpoint or config.
        palette: colours, or a dataset to take them from; likewise.
        dataset_name: dataset whose classes and palette are used where they are not given.
        device: by default a GPU if there is one.
        scope: registry scope in which names of components are looked up first.

    Example:
        >>> inferencer = MMSegInferencer('fast_scnn_4xb4-40k_wta-512x512', 'best_mIoU_iter_40000.pth')
        >>> ids = inferencer('blade.png', out_dir='out')['predictions']  # (H, W), int64
    """

    preprocess_kwargs: set = set()
    forward_kwargs: set = set()
    visualize_kwargs: set = {'return_vis', 'show', 'wait_time', 'img_out_dir', 'opacity', 'with_labels'}
    postprocess_kwargs: set = {'pred_out_dir', 'return_datasample'}

    def __init__(
        self,
        model: dict | Config | ConfigDict | str | None,
        weights: str | None = None,
        classes: str | Sequence[str] | None = None,
        palette: str | Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        device: str | None = None,
        scope: str | None = 'mmseg',
    ) -> None:
        register_all_modules()
        if isinstance(model, str) and Path(model).is_file():
            model = read_config(model)
        self.num_visualized_imgs = 0
        self.num_pred_imgs = 0
        super().__init__(model=model, weights=weights, device=device, scope=scope)
        if isinstance(self.visualizer, SegLocalVisualizer):
            self.visualizer.set_dataset_meta(**self._meta(classes, palette, dataset_name))

    def _meta(self, classes, palette, dataset_name: str | None) -> dict:
        """Names and colours: those given, else those of the dataset given, else those of the model."""
        default = self.model.dataset_meta
        if dataset_name is not None:
            default = dict(classes=get_classes(dataset_name), palette=get_palette(dataset_name))
        classes = get_classes(classes) if isinstance(classes, str) else classes
        palette = get_palette(palette) if isinstance(palette, str) else palette
        return dict(
            classes=default['classes'] if classes is None else classes,
            palette=default['palette'] if palette is None else palette,
        )

    @staticmethod
    def list_models(scope: str | None = None, patterns: str = r'.*') -> list[str]:
        """Names of the configs of this project, which ``model`` takes.

        Args:
            scope: part of the interface; there is one, ``mmseg``.
            patterns: regular expression that a name begins with.
        """
        return [name for name in _configs() if re.match(patterns, name)]

    def _load_model_from_metafile(self, model: str) -> tuple[Config, None]:
        """The config of this project that has the name ``model``."""
        if model not in _configs():
            raise ValueError(
                f'model={model!r} is neither a file nor the name of a config of this project; expected for example '
                'fast_scnn_4xb4-40k_wta-512x512, see MMSegInferencer.list_models()'
            )
        return read_config(_configs()[model]), None

    def _init_model(self, cfg: Config | ConfigDict, weights: str | None, device: str = 'cpu') -> nn.Module:
        """Build the model as mmengine's method does, without unpickling or executing anything in the file."""
        checkpoint, self._weights_name = None, str(weights)
        if weights is not None:
            checkpoint = read_checkpoint(weights, map_location='cpu')
            if not cfg:
                cfg.update(stored_config(checkpoint, weights)._cfg_dict)
            drop_pretrained(cfg)
        cfg.model.pop('pretrained', None)  # as mmengine's inferencer does
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
        model.cfg = cfg
        self._load_weights_to_model(model, checkpoint, cfg)
        return model.to(device).eval()

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: dict | None, cfg: Config | ConfigDict
    ) -> None:
        if checkpoint is None:
            warnings.warn('no weights given: the model predicts from its initial weights', stacklevel=2)
            model.init_weights()
        else:
            load_checkpoint_into(model, checkpoint, name=self._weights_name)
        model.dataset_meta = resolve_dataset_meta(cfg, (checkpoint or {}).get('meta', {}))

    def _init_pipeline(self, cfg: Config | ConfigDict) -> Callable:
        return inference_pipeline(cfg)

    def __call__(
        self,
        inputs: ImageInput | Sequence[ImageInput],
        return_datasamples: bool = False,
        batch_size: int = 1,
        return_vis: bool = False,
        show: bool = False,
        wait_time: int = 0,
        out_dir: str = '',
        img_out_dir: str = 'vis',
        pred_out_dir: str = 'pred',
        **kwargs,
    ) -> dict | SegDataSample | SampleList:
        """Segment images.

        Args:
            inputs: a file, a folder, an array (H, W, 3) in BGR order, or a list of files or arrays.
            return_datasamples: return the samples alone.
            batch_size: images at a time; they must have one size.
            return_vis: return the drawings, too.
            show: open a window for each.
            wait_time: seconds that it stays open; 0 waits for a key.
            out_dir: folder for drawings and predictions; '' writes nothing.
            img_out_dir: folder of the drawings in ``out_dir``; '' for none.
            pred_out_dir: folder of the predictions in ``out_dir``, PNGs of class ids; '' for none.
            **kwargs: ``opacity`` of the colours, ``with_labels``: around the image, see ``SegLocalVisualizer``.

        Returns:
            ``predictions``: the ids (H, W) of one image, a list of them for several; and ``visualization``: the
            drawings (H, W, 3), RGB, likewise, or an empty list. With ``return_datasamples`` the sample, or a list.
        """
        if out_dir:
            img_out_dir = str(Path(out_dir, img_out_dir)) if img_out_dir else ''
            pred_out_dir = str(Path(out_dir, pred_out_dir)) if pred_out_dir else ''
        else:
            img_out_dir = pred_out_dir = ''
        return super().__call__(
            inputs=inputs,
            return_datasamples=return_datasamples,
            batch_size=batch_size,
            return_vis=return_vis,
            show=show,
            wait_time=wait_time,
            img_out_dir=img_out_dir,
            pred_out_dir=pred_out_dir,
            **kwargs,
        )

    def visualize(
        self,
        inputs: list[ImageInput],
        preds: list[SegDataSample],
        return_vis: bool = False,
        show: bool = False,
        wait_time: int = 0,
        img_out_dir: str = '',
        opacity: float = 0.8,
        with_labels: bool | None = False,
    ) -> list[np.ndarray]:
        """Draw predictions; arguments as of :meth:`__call__`. Returns the drawings if ``return_vis``, else none."""
        if not (return_vis or show or img_out_dir):
            return []
        if self.visualizer is None:
            raise ValueError("the config has no visualizer; add visualizer=dict(type='SegLocalVisualizer')")
        self.visualizer.alpha = opacity
        drawings = []
        for image, sample in zip(inputs, preds):
            name = f'{self.num_visualized_imgs:08d}_vis.jpg'
            if isinstance(image, str):
                name = Path(image).name
            out_file = str(Path(img_out_dir, name)) if img_out_dir else None
            drawings.append(
                self.visualizer.add_datasample(
                    name,
                    _drawable(image),
                    sample,
                    draw_gt=False,
                    show=show,
                    wait_time=wait_time,
                    out_file=out_file,
                    with_labels=with_labels,
                )
            )
            self.num_visualized_imgs += 1
        return drawings if return_vis else []

    def postprocess(
        self,
        preds: SegDataSample | Sequence[SegDataSample],
        visualization: list[np.ndarray],
        return_datasample: bool = False,
        pred_out_dir: str = '',
    ) -> dict | SegDataSample | SampleList:
        """Write predictions and build the result; see :meth:`__call__`."""
        preds = preds if isinstance(preds, (list, tuple)) else [preds]
        arrays = [sample.pred_sem_seg.data[0].cpu().numpy() for sample in preds]
        for ids in arrays if pred_out_dir else []:
            mmcv.imwrite(ids.astype(np.uint8), str(Path(pred_out_dir, f'{self.num_pred_imgs:08d}_pred.png')))
            self.num_pred_imgs += 1
        if return_datasample:
            return list(preds) if len(preds) > 1 else preds[0]
        if len(preds) == 1:
            return dict(predictions=arrays[0], visualization=visualization[0] if visualization else [])
        return dict(predictions=arrays, visualization=visualization)
