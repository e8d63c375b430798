"""Draw label maps over images so that even defects of five pixels are visible."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.utils.class_names import get_classes, get_palette

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# 10 to 20 pixels of letters on an image of 512
_FONT_SCALE_PER_PIXEL = 0.5 / 512


@VISUALIZERS.register_module()
class SegLocalVisualizer(Visualizer):
    """Draws ground truth and prediction over an image.

    Every class is blended over the image in its colour, except those whose colour is black: they are
    background, where the image is left unchanged. A ring is drawn around connected regions of fewer than
    ``small_area`` pixels, since a defect of five pixels would be overlooked otherwise.

    Args:
        name: of the visualizer.
        image: image to draw on at first, (H, W, 3) uint8, RGB.
        vis_backends: configs of the backends that store images and scalars.
        save_dir: folder of the backends.
        classes: names of the classes; with ``palette``, instead of those of the dataset.
        palette: colours of the classes, RGB, 0 to 255.
        dataset_name: take classes and palette from this dataset; ``wta`` if none of the three is given. The
            runner replaces them by those of its dataset.
        alpha: weight of the colour over the image, 0 to 1.
        small_area: regions of fewer pixels get a ring; 0 for none.
        ring_gap: pixels between region and ring.
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
        alpha: float = 0.8,
        small_area: int = 400,
        ring_gap: int = 3,
        **kwargs,
    ) -> None:
        super().__init__(name, image, vis_backends, save_dir, **kwargs)
        if not 0 <= alpha <= 1:
            raise ValueError(f'SegLocalVisualizer: alpha={alpha}; expected 0 to 1')
        self.alpha = alpha
        self.small_area = small_area
        self.ring_gap = ring_gap
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

    def _get_center_loc(self, mask: np.ndarray) -> np.ndarray:
        """Position of a class's name: centroid (x, y) of its largest region; ``mask`` is (H, W), uint8."""
        _, _, stats, centers = cv2.connectedComponentsWithStats(mask)
        return centers[1 + stats[1:, cv2.CC_STAT_AREA].argmax()].round().astype(int)

    def _ring(self, mask: np.ndarray) -> np.ndarray:
        """Pixels (H, W) of the rings around small regions of ``mask`` (H, W), uint8."""
        _, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
        small = stats[:, cv2.CC_STAT_AREA] < self.small_area
        small[0] = False
        marked = small[regions].astype(np.uint8)
        inner, outer = (
            cv2.dilate(marked, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)))
            for r in (self.ring_gap, self.ring_gap + 1)
        )
        return outer > inner

    def _draw_sem_seg(
        self,
        image: np.ndarray,
        sem_seg: PixelData,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        with_labels: bool | None = True,
    ) -> np.ndarray:
        """Draw a label map.

        Args:
            image: (H, W, 3) uint8, RGB; not modified.
            sem_seg: ``data`` of shape (1, H, W); ids without a class, such as 255, are not drawn.
            classes: class names.
            palette: their colours.
            with_labels: write each class's name at its largest region.

        Returns:
            The drawing (H, W, 3), uint8.
        """
        labels = sem_seg.data.squeeze(0).detach().cpu().numpy()
        if labels.shape != image.shape[:2]:
            raise ValueError(
                f'image of {image.shape[:2]} and label map of {labels.shape} (height, width); expected the same size'
            )
        drawn = [i for i in np.unique(labels).tolist() if 0 <= i < len(palette) and any(palette[int(i)])]
        result = image.copy()
        for i in drawn:
            mask, colour = labels == i, np.asarray(palette[int(i)], dtype=np.float32)
            result[mask] = (image[mask] * (1 - self.alpha) + colour * self.alpha).round().astype(np.uint8)
        if self.small_area > 0:
            for i in drawn:
                result[self._ring((labels == i).astype(np.uint8))] = palette[int(i)]
        if with_labels:
            for i in drawn:
                center = self._get_center_loc((labels == i).astype(np.uint8))
                self._write(result, classes[int(i)], center, palette[int(i)])
        return result

    def _write(self, image: np.ndarray, text: str, center: np.ndarray, colour: Sequence[int]) -> None:
        """Write ``text`` below ``center`` (x, y), inside the image, white on the class's colour; in place."""
        height, width = image.shape[:2]
        scale = max(max(height, width) * _FONT_SCALE_PER_PIXEL, 0.3)
        (text_width, text_height), base = cv2.getTextSize(text, _FONT, scale, 1)
        offset = self.ring_gap + 4 if self.small_area > 0 else 0
        x = int(np.clip(center[0] - text_width // 2, 0, max(width - text_width, 0)))
        y = int(np.clip(center[1] + offset, 0, max(height - text_height - base, 0)))
        cv2.rectangle(
            image, (x, y), (x + text_width, y + text_height + base), [int(c) for c in colour], cv2.FILLED
        )
        # black letters on light colours, white ones on dark (luma, ITU-R BT.601)
        luma = float(np.dot(colour, (0.299, 0.587, 0.114)))
        letters = (0, 0, 0) if luma > 128 else (255, 255, 255)
        cv2.putText(image, text, (x, y + text_height), _FONT, scale, letters, 1, cv2.LINE_AA)

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
            with_labels: write class names.

        Returns:
            The drawing (H, W, 3), uint8, RGB; (H, 2 W, 3) with ground truth and prediction. Ranks other than
            the first draw nothing and return None.
        """
        meta = self.dataset_meta or {}
        classes, palette = meta.get('classes'), meta.get('palette')
        if data_sample is not None and (classes is None or palette is None):
            raise ValueError(
                'the visualizer has no classes or no palette; add both to METAINFO of the dataset, or call set_dataset_meta'
            )
        fields = [field for field, draw in (('gt_sem_seg', draw_gt), ('pred_sem_seg', draw_pred)) if draw]
        parts = [
            self._draw_sem_seg(image, getattr(data_sample, field), classes, palette, with_labels)
            for field in fields
            if data_sample is not None and field in data_sample
        ]
        drawn = np.concatenate(parts or [image], axis=1)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(mmcv.rgb2bgr(drawn), str(out_file))
        else:
            self.add_image(name, drawn, step)
        return drawn
