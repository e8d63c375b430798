"""SegDataPreProcessor and stack_batch."""

import pytest
import torch
from mmengine.structures import PixelData

from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample
from mmseg.utils.misc import stack_batch


def sample(height, width):
    label = torch.ones(1, height, width, dtype=torch.long)
    return SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_shape=(height, width)))


def image(height, width, channels=3):
    """Channel c holds the value 10 * (c + 1)."""
    planes = 10 * torch.arange(1, channels + 1, dtype=torch.uint8)
    return planes.view(-1, 1, 1).expand(channels, height, width).clone()


def test_normalises_after_channel_conversion_and_pads_with_normalised_zero():
    preprocessor = SegDataPreProcessor(mean=[30, 20, 10], std=[1, 2, 5], bgr_to_rgb=True, size=(8, 8))
    batch = preprocessor(dict(inputs=[image(6, 8)], data_samples=[sample(6, 8)]), training=True)
    pixels = batch['inputs']
    assert pixels.shape == (1, 3, 8, 8) and pixels.dtype == torch.float32
    # reversed channels are 30, 20, 10, so every channel equals its mean
    assert pixels.eq(0).all()
    shifted = SegDataPreProcessor(mean=[29, 20, 5], std=[1, 2, 5], bgr_to_rgb=True, size=(8, 8))
    pixels = shifted(dict(inputs=[image(6, 8)], data_samples=[sample(6, 8)]), training=True)['inputs']
    assert pixels[0, :, 0, 0].tolist() == [1, 0, 1]
    assert pixels[0, :, 7, 0].tolist() == [0, 0, 0]


def test_labels_are_padded_with_the_ignored_id():
    preprocessor = SegDataPreProcessor(size=(8, 10), seg_pad_val=255)
    samples = [sample(6, 8), sample(8, 10)]
    batch = preprocessor(dict(inputs=[image(6, 8), image(8, 10)], data_samples=samples), training=True)
    first = batch['data_samples'][0]
    label = first.gt_sem_seg.data
    assert label.shape == (1, 8, 10)
    assert label[:, :6, :8].eq(1).all() and label[:, 6:].eq(255).all() and label[:, :, 8:].eq(255).all()
    assert tuple(first.pad_shape) == (8, 10) and tuple(first.padding_size) == (0, 2, 0, 2)
    assert tuple(first.img_shape) == (6, 8)


def test_size_divisor_pads_to_the_next_multiple_of_the_largest():
    images, infos = stack_batch([image(10, 12), image(8, 14)], size_divisor=8)
    assert images.shape == (2, 3, 16, 16)
    assert infos[1]['img_padding_size'] == (0, 2, 0, 8)


def test_without_size_a_training_batch_is_padded_to_its_largest_image():
    preprocessor = SegDataPreProcessor()
    samples = [sample(6, 8), sample(5, 9)]
    batch = preprocessor(dict(inputs=[image(6, 8), image(5, 9)], data_samples=samples), training=True)
    assert batch['inputs'].shape == (2, 3, 6, 9)


def test_test_batches_keep_their_size_without_test_cfg():
    data = dict(inputs=[image(10, 12)], data_samples=[sample(10, 12)])
    assert SegDataPreProcessor(size=(32, 32))(data)['inputs'].shape == (1, 3, 10, 12)
    padded = SegDataPreProcessor(size=(32, 32), test_cfg=dict(size_divisor=16))(data)
    assert padded['inputs'].shape == (1, 3, 16, 16)
    assert padded['data_samples'][0].img_padding_size == (0, 4, 0, 6)
    assert padded['data_samples'][0].gt_sem_seg.data.shape == (1, 10, 12)


def test_batch_augments_run_on_training_batches_only():
    class Negate(torch.nn.Module):
        def forward(self, inputs, data_samples):
            return -inputs, data_samples

    preprocessor = SegDataPreProcessor(size=(4, 4))
    preprocessor.batch_augments.append(Negate())
    data = dict(inputs=[image(4, 4)], data_samples=[sample(4, 4)])
    assert preprocessor(data, training=True)['inputs'].min() == -30
    assert preprocessor(data)['inputs'].min() == 10


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(mean=[1, 2, 3]), 'mean and std together'),
        (dict(bgr_to_rgb=True, rgb_to_bgr=True), 'cancel each other'),
    ],
)
def test_contradictory_arguments_raise(kwargs, words):
    with pytest.raises(ValueError, match=words):
        SegDataPreProcessor(**kwargs)


def test_errors_name_the_remedy():
    with pytest.raises(ValueError, match='PackSegInputs'):
        SegDataPreProcessor(size=(4, 4))(dict(inputs=[image(4, 4)]), training=True)
    with pytest.raises(ValueError, match='batch_size=1'):
        SegDataPreProcessor()(dict(inputs=[image(4, 4), image(4, 6)]))
    with pytest.raises(ValueError, match='either size or size_divisor'):
        stack_batch([image(4, 4)])
    with pytest.raises(ValueError, match='crop them'):
        stack_batch([image(9, 9), image(10, 10)], size=(4, 4))
    with pytest.raises(ValueError, match='channels'):
        stack_batch([image(4, 4), image(4, 4, channels=1)], size=(4, 4))


def test_a_training_batch_has_its_labels_as_one_tensor():
    preprocessor = SegDataPreProcessor(size=(8, 10))
    samples = [sample(6, 8), sample(8, 10)]
    batch = preprocessor(dict(inputs=[image(6, 8), image(8, 10)], data_samples=samples), training=True)
    assert batch['gt'].dtype == torch.int64 and batch['gt'].shape == (2, 8, 10)
    assert all(torch.equal(gt, s.gt_sem_seg.data[0]) for gt, s in zip(batch['gt'], batch['data_samples']))
    unlabelled = preprocessor(dict(inputs=[image(8, 10)], data_samples=[SegDataSample()]), training=True)
    assert 'gt' not in unlabelled
