"""Test-time augmentation."""

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample


@MODELS.register_module()
class SegTTAModel(BaseTTAModel):
    """Averages a segmentor's probabilities over augmented copies of an image."""

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """One prediction per image.

        Args:
            data_samples_list: for each image the samples of its copies, with ``seg_logits`` (C, H, W).

        Returns:
            For each image a sample with ``pred_sem_seg`` (1, H, W) and ``seg_logits`` (C, H, W) of the averaged
            probabilities, and its ground truth where it has one.
        """
        merged = []
        for copies in data_samples_list:
            scores = torch.stack([copy.seg_logits.data for copy in copies])
            if scores.shape[1] > 1:
                probability = scores.softmax(dim=1).mean(dim=0)
                prediction = probability.argmax(dim=0, keepdim=True)
                logits = probability.log()  # their softmax is the mean probability
            else:  # a one-channel head's scores are probabilities already
                probability = scores.mean(dim=0)
                prediction = (probability > self.module.decode_head.threshold).to(probability)
                logits = probability
            sample = copies[0].new()
            sample.set_data(dict(pred_sem_seg=PixelData(data=prediction), seg_logits=PixelData(data=logits)))
            merged.append(sample)
        return merged
