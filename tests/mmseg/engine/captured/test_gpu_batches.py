"""Batches that a GPU distorts, normalises and pads: the same tensor operations, here on the CPU."""

import logging

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmseg.engine import build_runner
from mmseg.engine.captured import TrainingStep
from mmseg.engine.captured.data import MAX_WORKERS, prepare_loader, usable_cores
from mmseg.models import SegDataPreProcessor
from mmseg.models.utils.distortion import distort
from mmseg.registry import TRANSFORMS
from mmseg.structures.stacked_batch import StackedCollate

PLAIN = {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None, 'train_cfg.max_iters': 6}


def _image(seed):
    """Noise, a smooth image, or one of extreme values and greys; OpenCV rounds the ends of other widths in another way."""
    image = np.random.default_rng(seed).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    if seed % 3 == 1:
        image = cv2.GaussianBlur(image, (0, 0), 4)
    elif seed % 3 == 2:
        image = image // 128 * 255
        image[:, :9] = image[:, :9, :1]
    return image


def test_distortion_on_tensors_is_that_of_the_transform():
    on_host, drawn = (
        TRANSFORMS.build(dict(type=f'mmseg.{name}'))
        for name in ('PhotoMetricDistortion', 'DrawPhotoMetricDistortion')
    )
    images, expected, rows = [], [], []
    for seed in range(120):
        image = _image(seed)
        np.random.seed(seed)  # noqa: NPY002
        expected.append(on_host(dict(img=image.copy()))['img'])
        after = np.random.random()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        rows.append(drawn(dict(img=image))['distortion'])
        assert np.random.random() == after  # noqa: NPY002  as many numbers were drawn
        images.append(image)
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    result = distort(batch, torch.tensor(rows)).permute(0, 2, 3, 1).numpy()
    difference = np.abs(result - np.stack(expected).astype(np.float32))
    # rounding of the way back from hue and saturation, which a second way there can enlarge
    assert (difference == 0).mean() > 0.999 and difference.max() <= 6
    assert (np.stack(expected) != np.stack(images)).mean() > 0.5
    with pytest.raises(ValueError, match=r'g\.png is float32'):
        drawn(dict(img=np.zeros((4, 4, 3), np.float32), img_path='g.png'))


def _items(experiment, count=4, **options):
    runner = build_runner(experiment(**PLAIN | options))
    dataset = runner.train_loop.dataloader.dataset
    return [dataset[index] for index in range(count)]


@pytest.mark.parametrize('crop', [(48, 48), (40, 30)])
def test_stacked_batches_are_preprocessed_as_others(experiment, crop):
    items = _items(experiment, **{'train_dataloader.dataset.pipeline.2.crop_size': crop})
    preprocessor = SegDataPreProcessor(
        mean=[80, 70, 60], std=[50, 40, 30], bgr_to_rgb=True, size=(48, 48), pad_val=3, seg_pad_val=254
    )
    stacked = StackedCollate((48, 48), 254)(items)
    assert stacked['inputs'].dtype == stacked['gt'].dtype == torch.uint8
    result = preprocessor(stacked, training=True)
    expected = preprocessor(pseudo_collate(items), training=True)
    torch.testing.assert_close(result['inputs'], expected['inputs'], rtol=0, atol=0)
    assert torch.equal(result['gt'], expected['gt'])
    for one, other in zip(result['data_samples'], expected['data_samples'], strict=True):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        assert one.metainfo == other.metainfo


def test_batches_that_do_not_fit_are_collated_as_before(experiment):
    items = _items(experiment)
    expected = pseudo_collate(items)
    for collate, change in (
        (StackedCollate((40, 48)), lambda item: None),
        (StackedCollate((48, 48), 300), lambda item: None),
        (StackedCollate(), lambda item: item.update(inputs=item['inputs'][:, 1:])),
        (StackedCollate((48, 48)), lambda item: item.update(inputs=item['inputs'].float())),
        (StackedCollate((48, 48)), lambda item: item['data_samples'].gt_sem_seg.data.fill_(400)),
    ):
        batch = [dict(inputs=item['inputs'], data_samples=item['data_samples'].clone()) for item in items]
        change(batch[0])
        result = collate(batch)
        assert isinstance(result['inputs'], list) and result.keys() == expected.keys()


def test_the_loader_of_a_gpu(experiment):
    cfg = experiment()
    config, preprocessor = dict(cfg.train_dataloader), SegDataPreProcessor(size=(48, 48))
    loader = prepare_loader(config | {'num_workers': 4}, preprocessor, cores=16)
    assert loader['num_workers'] == MAX_WORKERS and loader['pin_memory']
    assert loader['collate_fn'] == StackedCollate((48, 48), 255)
    assert [step['type'] for step in loader['dataset']['pipeline']][-2:] == [
        'mmseg.DrawPhotoMetricDistortion',
        'PackSegInputs',
    ]
    assert config['dataset']['pipeline'][-2]['type'] == 'PhotoMetricDistortion'  # as it was
    resize = dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 2.0), keep_ratio=True)
    crop = dict(type='RandomCrop', crop_size=(48, 48), cat_max_ratio=0.75)
    for more, count in (({}, 1), (dict(backend='pillow'), 2)):
        pipeline = (dict(type='LoadImageFromFile'), resize | more, crop, dict(type='PackSegInputs'))
        dataset = dict(config['dataset'], pipeline=pipeline)
        steps = prepare_loader(dict(config, dataset=dataset), preprocessor, 8)['dataset']['pipeline']
        assert len(steps) == 2 + count
        if count == 1:
            assert steps[1] == dict(
                type='mmseg.RandomResizedWindow',
                resize={name: value for name, value in resize.items() if name != 'type'},
                crop={name: value for name, value in crop.items() if name != 'type'},
            )
    assert prepare_loader(config | {'num_workers': 4}, preprocessor, cores=2)['num_workers'] == 4
    own = prepare_loader(config | {'num_workers': 0, 'pin_memory': False, 'collate_fn': len}, preprocessor, 8)
    assert (own['num_workers'], own['pin_memory'], own['collate_fn']) == (0, False, len)
    other = dict(config, dataset=dict(config['dataset'], pipeline=config['dataset']['pipeline'][::-1]))
    assert prepare_loader(other, preprocessor, 8)['dataset']['pipeline'][1]['type'] == 'PhotoMetricDistortion'


def test_cores_of_a_process(monkeypatch):
    monkeypatch.delenv('MMSEG_CORES', raising=False)
    every = usable_cores()
    assert every >= 1
    for text, count in (('3', 3), ('0', every), ('many', every)):
        monkeypatch.setenv('MMSEG_CORES', text)
        assert usable_cores() == count


class _Calls:
    def warm_up(self, function, strict):
        function()

    def capture(self, function):
        return function


@pytest.mark.parametrize('captured', [False, True])
def test_training_on_stacked_batches_is_the_same(experiment, tmp_path, captured):
    options = PLAIN | {'train_dataloader.dataset.pipeline.2.crop_size': (48, 40)}
    losses = []
    for stacked in (False, True):
        runner = build_runner(experiment(**options | {'work_dir': str(tmp_path / str(stacked))}))
        if stacked:
            runner._train_dataloader = prepare_loader(
                runner._train_dataloader, runner.model.data_preprocessor, cores=1
            )
            runner._train_dataloader['pin_memory'] = False

            def install(target, runner=runner):
                if captured:
                    runner.model.train_step = TrainingStep(
                        runner.model, runner.optim_wrapper, _Calls(), logger=logging.getLogger('captured')
                    )

            runner._maybe_compile = install
        runner.train()
        if stacked and captured:
            assert runner.model.train_step.captured and 'sides' in runner.model.train_step._static
        losses.append(runner.message_hub.get_scalar('train/loss').data[0])
    # some pixels differ by one level of 256: OpenCV rounds those of narrow images in another way
    assert losses[1] == pytest.approx(losses[0], rel=3e-3)
