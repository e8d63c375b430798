"""The visualizer of validation, test and inference: ground truth and prediction side by side."""

from collections.abc import Sequence

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.utils.class_names import get_classes, get_palette

from .overlay import Legend, Panel, check_size, compose, outline

_TITLES = {'gt_sem_seg': 'Ground truth', 'pred_sem_seg': 'Prediction'}


@VISUALIZERS.register_module()
class SegLocalVisualizer(Visualizer):
    """Draws ground truth and prediction over an image, in the style of :mod:`.overlay`.

    Regions are outlined in the colour of their class, except those of classes whose colour is black: they are
    background.

    Args:
        name: of the visualizer.
        image: image to draw on at first, (H, W, 3) uint8, RGB.
        vis_backends: configs of the backends that store images and scalars.
        save_dir: folder of the backends.
        classes: names of the classes; with ``palette``, instead of those of the dataset.
        palette: colours of the classes, RGB, 0 to 255.
        dataset_name: take classes and palette from this dataset; ``wta`` if none of the three is given. The
            runner replaces them by those of its dataset.
        alpha: weight of the colour over the image inside a region, 0 to 1; mmsegmentation's default is 0.8, which
            hides small defects.
        **kwargs: further arguments of mmengine's ``Visualizer``.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        image: np.ndarray | None = None,
        vis_backends: list[dict] | None = None,
        save_dir: str | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        alpha: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(name, image, vis_backends, save_dir, **kwargs)
        if not 0 <= alpha <= 1:
            raise ValueError(f'SegLocalVisualizer: alpha={alpha}; expected 0 to 1')
        self.alpha = alpha
        self.set_dataset_meta(classes, palette, dataset_name)

    def set_dataset_meta(
        self,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
    ) -> None:
        """Set class names and colours; what is not given comes from ``dataset_name`` (default ``wta``).

        Raises:
            ValueError: numbers of names and colours differ, or an unknown dataset.
        """
        dataset_name = dataset_name or 'wta'
        classes = get_classes(dataset_name) if classes is None else classes
        palette = get_palette(dataset_name) if palette is None else palette
        if len(classes) != len(palette):
            raise ValueError(
                f'{len(classes)} classes ({", ".join(classes)}) and {len(palette)} colours in the palette; '
                'expected one colour per class'
            )
        self.dataset_meta = dict(classes=classes, palette=palette)

    def _legend(self, classes: Sequence[str], palette: Sequence[Sequence[int]]) -> Legend:
        background = [index for index, color in enumerate(palette) if not any(color)]
        return Legend.of(classes, palette, skipped=background)

    def _blended(self, image: np.ndarray, labels: np.ndarray, legend: Legend) -> np.ndarray:
        """The image (H, W, 3), uint8, with the colours of its classes blended over them."""
        result = image.copy()
        for index, color in legend.colors.items() if self.alpha else ():
            mask = labels == index
            blend = image[mask] * (1 - self.alpha) + np.asarray(color, np.float32) * self.alpha
            result[mask] = blend.round().astype(np.uint8)
        return result

    def _draw(
        self, image: np.ndarray, labels: dict[str, np.ndarray], legend: Legend, with_labels: bool | None
    ) -> np.ndarray:
        """Each label map (H, W) on the image (H, W, 3), side by side, with everything around them or without."""
        blended = {_TITLES[field]: (self._blended(image, ids, legend), ids) for field, ids in labels.items()}
        if with_labels:
            return compose([Panel(title, *pair) for title, pair in blended.items()], legend)
        return np.concatenate([outline(*pair, legend.colors) for pair in blended.values()], axis=1)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool | None = True,
    ) -> np.ndarray:
        """Draw a sample, and show it, write it to a file or pass it to the backends.

        Where both are drawn, the ground truth is on the left and the prediction on the right.

        Args:
            name: title, and name in the backends.
            image: (H, W, 3) uint8, RGB.
            data_sample: with ``gt_sem_seg``, ``pred_sem_seg`` or both; without it only the image is drawn.
            draw_gt: draw the ground truth.
            draw_pred: draw the prediction.
            show: open a window.
            wait_time: seconds that it stays open; 0 waits for a key.
            out_file: write the drawing to this file, not to the backends.
            step: iteration, for the backends.
            with_labels: with titles, a legend of the classes and magnified small regions; False: the images alone.

        Returns:
            The drawing, uint8, RGB; without labels (H, W, 3), or (H, 2 W, 3) with ground truth and prediction. Ranks
            other than the first draw nothing and return None.
        """
        meta = self.dataset_meta or {}
        classes, palette = meta.get('classes'), meta.get('palette')
        if data_sample is not None and (classes is None or palette is None):
            raise ValueError(
                'the visualizer has no classes or no palette; add both to METAINFO of the dataset, or call set_dataset_meta'
            )
        fields = [field for field, draw in (('gt_sem_seg', draw_gt), ('pred_sem_seg', draw_pred)) if draw]
        fields = [field for field in fields if data_sample is not None and field in data_sample]
        labels = {field: _ids(getattr(data_sample, field), image) for field in fields}
        drawn = self._draw(image, labels, self._legend(classes, palette), with_labels) if labels else image
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(mmcv.rgb2bgr(drawn), str(out_file))
        else:
            self.add_image(name, drawn, step)
        return drawn


def _ids(sem_seg: PixelData, image: np.ndarray) -> np.ndarray:
    """Class ids (H, W) of a label map, which has to be of the image's size."""
    labels = sem_seg.data.squeeze(0).detach().cpu().numpy()
    check_size(image, labels)
    return labels
