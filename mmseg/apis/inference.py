"""Inference in a few lines: build a model, apply it to images, draw its predictions."""

import copy
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmseg.engine import load_checkpoint
from mmseg.evaluation.inspection import read_operating_point
from mmseg.models.segmentors import BaseSegmentor
from mmseg.models.utils.folding import prepare_for_inference
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils.class_names import class_colour, get_classes, get_palette
from mmseg.utils.config_file import read_config
from mmseg.utils.from_scratch import drop_pretrained
from mmseg.utils.typing_utils import SampleList
from mmseg.visualization import SegLocalVisualizer

ImageType = str | np.ndarray | Sequence[str] | Sequence[np.ndarray]


def _usable_device(device: str | torch.device) -> str:
    if str(device).startswith('cuda') and not torch.cuda.is_available():
        return 'cpu'
    return str(device)


def _test_dataset(cfg: Config) -> dict:
    for name in ('test_dataloader', 'val_dataloader'):
        if cfg.get(name):
            return cfg[name].dataset
    return {}


def _saved_meta(saved: dict) -> dict:
    """Names and colours in the ``meta`` of a checkpoint, under the keys of mmsegmentation 0.x too."""
    older = {key: saved[key.upper()] for key in ('classes', 'palette') if saved.get(key.upper()) is not None}
    return {**older, **(saved.get('dataset_meta') or {})}


def resolve_dataset_meta(cfg: Config, saved: dict) -> dict:
    """Class names and colours of a model.

    Args:
        cfg: its config.
        saved: ``meta`` of its checkpoint.

    Returns:
        ``classes`` and ``palette``, each from the checkpoint, else from the config's dataset, else by number. The colours
        of a dataset are not used for the names of another one.
    """
    dataset = _test_dataset(cfg)
    meta = _saved_meta(saved)
    heads = cfg.model.decode_head
    count = (heads[-1] if isinstance(heads, list) else heads).get('num_classes', 0)
    configured = dict(dataset.get('metainfo') or {})
    for key, look_up in (('classes', get_classes), ('palette', get_palette)):
        if configured.get(key) is None:
            with suppress(ValueError):
                configured[key] = look_up(dataset.get('type', 'wta'))
    if meta.get('classes') is not None and list(meta['classes']) != list(configured.get('classes') or ()):
        configured.pop('palette', None)
    for key, numbered in (('classes', 'class {}'.format), ('palette', class_colour)):
        if meta.get(key) is None:
            meta[key] = configured.get(key)
        if meta[key] is None:
            warnings.warn(f'neither checkpoint nor config has {key}; they are numbered', stacklevel=3)
            meta[key] = [numbered(index) for index in range(len(meta.get('classes') or ()) or count)]
    return meta


def init_model(
    config: str | Path | Config,
    checkpoint: str | None = None,
    device: str = 'cuda:0',
    cfg_options: dict | None = None,
    strict: bool = True,
    fold: bool = False,
) -> BaseSegmentor:
    """Build a segmentor for inference.

    Args:
        config: config of an experiment, or its file.
        checkpoint: weights to load; None leaves the random ones, also where the config names pretrained weights.
        device: of the model; the CPU where there is no such device.
        cfg_options: changes to the config, ``{'model.test_cfg.mode': 'whole'}``.
        strict: refuse a checkpoint whose keys or shapes differ from the model's; False loads what fits and logs
            how much that was.
        fold: fold batch norms into convolutions, which is quicker: see
            :func:`mmseg.models.utils.folding.prepare_for_inference`.

    Returns:
        The model in evaluation mode, with ``cfg``, ``dataset_meta`` (classes, palette) and ``operating_point``, that of
        the checkpoint or None. SyncBN layers are BN layers, since there is no process group.

    Raises:
        TypeError: ``config`` is of another type.
        FileNotFoundError: no such config or checkpoint.
        ValueError: the checkpoint holds pickled objects, is damaged, does not fit the model, or has NaN weights.
    """
    if isinstance(config, (str, Path)):
        config = read_config(config)
    elif not isinstance(config, Config):
        raise TypeError(f'config is a file name or a Config, got {type(config).__name__}')
    config = copy.deepcopy(config)  # Config.copy shares nested values
    if cfg_options is not None:
        config.merge_from_dict(cfg_options)
    drop_pretrained(config)
    init_default_scope(config.get('default_scope', 'mmseg'))

    model = revert_sync_batchnorm(MODELS.build(config.model))
    saved = {}
    if checkpoint is not None:
        saved = load_checkpoint(model, checkpoint, 'cpu', strict).get('meta', {})
    else:
        model.init_weights()
    model.dataset_meta = resolve_dataset_meta(config, saved)
    model.operating_point = read_operating_point(saved)
    model.cfg = config
    model.to(_usable_device(device)).eval()
    if fold:
        prepare_for_inference(model)
    return model


def _name(transform: dict) -> str:
    """A transform's type without scope: ``mmseg.PackSegInputs`` is ``PackSegInputs``."""
    return str(transform['type']).rpartition('.')[2]


def pipeline_of_test(cfg: Config) -> list[dict]:
    """The transforms of a config's test pipeline, with annotations; empty where it has none."""
    return _test_dataset(cfg).get('pipeline') or cfg.get('test_pipeline') or []


def inference_steps(cfg: Config) -> list[dict]:
    """The transforms of a config's test pipeline without annotations; the first one loads an image.

    Raises:
        ValueError: the config has no test pipeline, or one that doesn't begin with loading an image.
    """
    steps = pipeline_of_test(cfg)
    if not steps:
        raise ValueError(
            'the config has neither test_dataloader.dataset.pipeline nor test_pipeline; expected one'
        )
    steps = [step for step in steps if _name(step) != 'LoadAnnotations']
    if not _name(steps[0]).startswith('LoadImage'):
        raise ValueError(f'the test pipeline begins with {steps[0]["type"]}; expected LoadImageFromFile')
    return steps


def inference_pipeline(cfg: Config) -> Callable[[str | Path | np.ndarray], dict]:
    """The config's test pipeline as a function of one image, without annotations.

    Args:
        cfg: config of an experiment.

    Returns:
        A function of an image, a file name or an array (H, W, 3) in BGR order; it returns the result of
        ``PackSegInputs``.

    Raises:
        ValueError: see :func:`inference_steps`.
    """
    steps = inference_steps(cfg)
    from_file = Compose(steps)
    from_array = Compose([{**steps[0], 'type': 'mmseg.LoadImageFromNDArray'}, *steps[1:]])

    def run(image: str | Path | np.ndarray) -> dict:
        if isinstance(image, np.ndarray):
            return from_array(dict(img=image))
        if isinstance(image, (str, Path)):
            return from_file(dict(img_path=str(image)))
        raise TypeError(f'an image is a file name or an array (H, W, 3), got {type(image).__name__}')

    return run


def inference_model(model: BaseSegmentor, img: ImageType) -> SegDataSample | SampleList:
    """Segment one image or several.

    Args:
        model: from :func:`init_model`.
        img: a file name or an array (H, W, 3) in BGR order, as ``mmcv.imread`` gives it; or a list of them.

    Returns:
        The sample with ``pred_sem_seg`` and ``seg_logits``, at the image's size; a list of them for a list.
    """
    several = isinstance(img, (list, tuple))
    pipeline = inference_pipeline(model.cfg)
    data = pseudo_collate([pipeline(image) for image in (img if several else [img])])
    with torch.no_grad():
        results = model.test_step(data)
    return results if several else results[0]


def show_result_pyplot(
    model: BaseSegmentor,
    img: str | np.ndarray,
    result: SegDataSample,
    opacity: float = 0.5,
    title: str = '',
    draw_gt: bool = True,
    draw_pred: bool = True,
    wait_time: float = 0,
    show: bool = True,
    with_labels: bool | None = True,
    save_dir: str | None = None,
    out_file: str | None = None,
) -> np.ndarray:
    """Draw a result on its image.

    Args:
        model: from :func:`init_model`; its ``dataset_meta`` has names and colours.
        img: a file name or an array (H, W, 3) in BGR order.
        result: from :func:`inference_model`.
        opacity: of the colours, 0 to 1.
        title: of the window, and name of the image in ``save_dir``.
        draw_gt: draw the ground truth, if the result has one.
        draw_pred: draw the prediction.
        wait_time: seconds the window stays open; 0 waits for a key.
        show: open a window.
        with_labels: with titles and a legend around the image; False: the image alone.
        save_dir: folder in which mmengine's visualizer stores the image.
        out_file: file to write the image to, instead of into ``save_dir``.

    Returns:
        The drawing, uint8, RGB, see ``SegLocalVisualizer.add_datasample``.
    """
    image = mmcv.bgr2rgb(mmcv.imread(img))
    visualizer = SegLocalVisualizer(
        vis_backends=[dict(type='LocalVisBackend')] if save_dir else None,
        save_dir=save_dir,
        alpha=opacity,
        **model.dataset_meta,
    )
    return visualizer.add_datasample(
        title, image, result, draw_gt, draw_pred, show, wait_time, out_file, with_labels=with_labels
    )
