"""Prediction with a checkpoint."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from mmseg.apis import init_model
from mmseg.apis.inference import inference_steps
from mmseg.evaluation.inspection.levels import probabilities as to_probabilities
from wtaseg.palette import class_colors
from wtaseg.predict.predictor import LoadedImage, Predictor
from wtaseg.predict.windows import Windows


class SegmentorPredictor(Predictor):
    """A segmentor with the test pipeline of its config, without labels.

    Args:
        config: of the experiment.
        checkpoint: its weights.
        device: None: a GPU if there is one.
        windows: predict in these, at the scale of the image; None: as the test of the config does.
    """

    def __init__(
        self,
        config: Config | Path,
        checkpoint: str,
        device: str | None = None,
        windows: Windows | None = None,
    ) -> None:
        device = device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
        if str(device).startswith('cuda') and not torch.cuda.is_available():
            raise ValueError(f'--device: {device}; there is no CUDA device, expected cpu')
        self.model = init_model(config, checkpoint, device, fold=True)
        steps = inference_steps(self.model.cfg)
        if windows is not None:
            side, stride = (windows.side,) * 2, (windows.stride,) * 2
            self.model.test_cfg = dict(mode='slide', crop_size=side, stride=stride)
            steps = [step for step in steps if str(step['type']).rpartition('.')[2] != 'Resize']
        init_default_scope(self.model.cfg.get('default_scope', 'mmseg'))
        self._read = Compose(steps[:1])
        self._prepare = Compose(steps[1:])
        self.classes = tuple(self.model.dataset_meta['classes'])
        if self.model.out_channels == 1 and len(self.classes) < 2:
            self.classes = ('normal', *self.classes)
        self.operating_point = self.model.operating_point
        self.palette = class_colors(len(self.classes), self.model.dataset_meta['palette'])

    def load(self, image: str | Path | np.ndarray) -> LoadedImage:
        """See :meth:`Predictor.load`."""
        if isinstance(image, np.ndarray):
            results = dict(img=image, img_path=None, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        else:
            results = self._read(dict(img_path=str(image)))
        pixels = results['img']
        inputs = self._prepare(results)
        return LoadedImage(pixels, inputs, tuple(inputs['inputs'].shape[-2:]))

    @torch.no_grad()
    def probabilities(self, images: Sequence[LoadedImage]) -> list[tuple[np.ndarray, np.ndarray]]:
        """See :meth:`Predictor.probabilities`."""
        samples = self.model.test_step(pseudo_collate([image.inputs for image in images]))
        results = []
        for sample in samples:
            shares = to_probabilities(sample.seg_logits.data)
            point = self.rule.point
            labels = sample.pred_sem_seg.data[0] if point is None else point.segment(shares)
            results.append((labels.to(torch.uint8).cpu().numpy(), shares.cpu().numpy()))
        return results
