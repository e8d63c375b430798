"""One image's annotation and prediction."""

from mmengine.structures import BaseDataElement, PixelData


class SegDataSample(BaseDataElement):
    """The labels, logits and predictions of one image, with its meta information.

    Attributes:
        gt_sem_seg: ground truth, ``data`` an integer tensor of shape (1, H, W).
        pred_sem_seg: predicted ids, ``data`` an integer tensor of shape (1, H, W).
        seg_logits: scores before softmax or sigmoid, ``data`` of shape (C, H, W).

    Example:
        >>> sample = SegDataSample(metainfo=dict(img_shape=(4, 4)))
        >>> sample.gt_sem_seg = PixelData(data=torch.zeros(1, 4, 4, dtype=torch.long))
    """

    @property
    def gt_sem_seg(self) -> PixelData:
        """Ground truth, ``data`` of ids (1, H, W)."""
        return self._gt_sem_seg

    @gt_sem_seg.setter
    def gt_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_gt_sem_seg', dtype=PixelData)

    @gt_sem_seg.deleter
    def gt_sem_seg(self) -> None:
        del self._gt_sem_seg

    @property
    def pred_sem_seg(self) -> PixelData:
        """Prediction, ``data`` of ids (1, H, W)."""
        return self._pred_sem_seg

    @pred_sem_seg.setter
    def pred_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_pred_sem_seg', dtype=PixelData)

    @pred_sem_seg.deleter
    def pred_sem_seg(self) -> None:
        del self._pred_sem_seg

    @property
    def seg_logits(self) -> PixelData:
        """Scores before softmax or sigmoid, ``data`` (C, H, W)."""
        return self._seg_logits

    @seg_logits.setter
    def seg_logits(self, value: PixelData) -> None:
        self.set_field(value, '_seg_logits', dtype=PixelData)

    @seg_logits.deleter
    def seg_logits(self) -> None:
        del self._seg_logits
