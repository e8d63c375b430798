"""From files to arrays and from arrays to tensors."""

import multiprocessing
import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from mmseg.datasets.transforms import (
    InferencerLoader,
    LoadAnnotations,
    LoadImageFromFile,
    LoadImageFromNDArray,
    PackSegInputs,
)
from mmseg.datasets.transforms.decoded_cache import DecodedCache, share_caches
from mmseg.datasets.transforms.shared_arrays import SharedArrays
from mmseg.engine import SegRunner

LABELS = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)


def load_labels(path, reduce_zero_label=False, label_map=None, loader=None):
    results = dict(
        seg_map_path=str(path), reduce_zero_label=reduce_zero_label, label_map=label_map, seg_fields=[]
    )
    results = (loader or LoadAnnotations())(results)
    assert results['seg_fields'] == ['gt_seg_map']
    return results['gt_seg_map']


@pytest.fixture
def label_file(tmp_path):
    path = tmp_path / 'labels.png'
    cv2.imwrite(str(path), LABELS)
    return path


def test_index_and_palette_labels_are_read_as_ids(tmp_path, label_file):
    palette = Image.fromarray(LABELS, mode='P')
    palette.putpalette([10, 20, 30] * 256)
    palette.save(tmp_path / 'palette.png')
    for path in (label_file, tmp_path / 'palette.png'):
        labels = load_labels(path)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, LABELS)


def test_zero_label_is_shifted_before_the_label_map(label_file):
    shifted = [[255, 0, 1], [255, 1, 255]]
    np.testing.assert_array_equal(load_labels(label_file, reduce_zero_label=True), shifted)
    # The shifted ids 0 and 1 become 2 and 0.
    mapped = load_labels(label_file, reduce_zero_label=True, label_map={0: 2, 1: 0, 2: 1})
    np.testing.assert_array_equal(mapped, [[255, 2, 0], [255, 0, 255]])
    # A cycle shows that the map is applied at once, not entry by entry.
    np.testing.assert_array_equal(
        load_labels(label_file, label_map={0: 1, 1: 2, 2: 0}), [[1, 2, 0], [255, 0, 1]]
    )


def test_errors_name_the_label_file(tmp_path, label_file):
    with pytest.raises(FileNotFoundError, match=r'none\.png.*same name'):
        load_labels(tmp_path / 'none.png')
    cv2.imwrite(str(tmp_path / 'rgb.png'), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match=r'rgb\.png.*\(4, 5, 3\).*convert_labels'):
        load_labels(tmp_path / 'rgb.png')
    cv2.imwrite(str(tmp_path / 'deep.png'), np.full((4, 5), 300, np.uint16))
    with pytest.raises(ValueError, match=r'deep\.png.*300'):
        load_labels(tmp_path / 'deep.png')
    with pytest.raises(ValueError, match='reduce_zero_label=True, the dataset False'):
        load_labels(label_file, loader=LoadAnnotations(reduce_zero_label=True))


def test_images_come_from_file_or_array(tmp_path):
    img = np.random.RandomState(0).randint(0, 256, (6, 8, 3)).astype(np.uint8)
    path = str(tmp_path / 'img.png')
    cv2.imwrite(path, img)
    for results in (
        LoadImageFromFile()(dict(img_path=path)),
        LoadImageFromNDArray()(dict(img=img)),
        InferencerLoader()(path),
        InferencerLoader()(img),
        InferencerLoader()(dict(img=img)),
    ):
        np.testing.assert_array_equal(results['img'], img)
        assert results['img_shape'] == results['ori_shape'] == (6, 8)
    assert LoadImageFromFile(to_float32=True)(dict(img_path=path))['img'].dtype == np.float32
    (tmp_path / 'broken.png').write_bytes(b'not an image')
    with pytest.raises(ValueError, match=r'broken\.png.*cannot be decoded'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'broken.png')))
    assert LoadImageFromFile(ignore_empty=True)(dict(img_path=str(tmp_path / 'broken.png'))) is None
    with pytest.raises(FileNotFoundError, match=r'none\.png'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'none.png')))


def test_cache_keeps_files_from_the_second_reading_within_its_bound(tmp_path):
    calls = []

    def decode(path):
        calls.append(path)
        return np.full((512, 512), len(calls), np.uint8)  # a quarter of a MiB

    paths = [str(tmp_path / f'{i}') for i in range(5)]
    for path in paths:
        (tmp_path / path).write_text('x')
    cache = DecodedCache(1)
    for _ in range(3):
        for path in paths:
            cache.read(path, decode)[0, 0] = 77  # the caller owns what he gets
    assert len(calls) == 5 + 5 + 1  # four of the five fit
    assert cache.nbytes == 1 << 20
    cached = cache.read(paths[0], decode)
    assert cached[0, 0] == cached[1, 1] == 6
    (tmp_path / paths[0]).write_text('changed')
    assert cache.read(paths[0], decode)[0, 0] == 12
    with pytest.raises(ValueError, match='cache_mb=-1'):
        DecodedCache(-1)


def test_forked_processes_share_a_cache(tmp_path):
    path = tmp_path / 'a.png'
    path.write_text('x')

    def decode(path):
        with (tmp_path / 'decoded').open('a') as file:
            file.write('.')
        return np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    def work(cache, queue):
        queue.put(cache.read(str(path), decode).sum())

    cache, context = DecodedCache(1), multiprocessing.get_context('fork')
    share_caches(Compose([lambda results: results]))
    cache.share()
    queue = context.SimpleQueue()
    for _ in range(4):
        worker = context.Process(target=work, args=(cache, queue))
        worker.start()
        worker.join()
        assert queue.get() == 276
    assert (tmp_path / 'decoded').read_text() == '..'
    assert cache.nbytes > 0
    assert pickle.loads(pickle.dumps(cache)).nbytes == 0


def test_a_killed_process_does_not_lock_the_others_out(tmp_path):
    arrays, context = SharedArrays(1), multiprocessing.get_context('fork')

    def die():
        with arrays._locked():
            os._exit(1)

    worker = context.Process(target=die)
    worker.start()
    worker.join()
    for array in (np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.array([[True, False]])):
        key = bytes([array.ndim] * 16)
        arrays.put(key, array)
        assert arrays.get(key) is None  # offered once
        arrays.put(key, array)
        np.testing.assert_array_equal(arrays.get(key), array)
        assert arrays.get(key).dtype == array.dtype


def test_the_loaders_of_a_runner_share_their_caches(experiment):
    loader = SegRunner.build_dataloader(
        experiment(**{'train_dataloader.num_workers': 2}).train_dataloader, seed=0
    )
    image, label = loader.dataset.pipeline.transforms[:2]
    for _ in range(3):
        next(iter(loader))
    iterator = iter(loader)
    for _ in range(30):
        next(iterator)
    assert image.cache.nbytes >= 8 * 64 * 64 * 3 and label.cache.nbytes >= 8 * 64 * 64


def test_packing_gives_tensors_and_meta_information():
    img = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    results = dict(
        img=img[:, ::-1],
        gt_seg_map=LABELS,
        gt_edge_map=LABELS,
        gt_depth_map=LABELS.astype(np.float32),
        img_path='x.png',
        flip=True,
        not_packed=1,
    )
    packed = PackSegInputs()(results)
    assert packed['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(packed['inputs'], img[:, ::-1].transpose(2, 0, 1))
    sample = packed['data_samples']
    assert sample.gt_sem_seg.data.dtype == sample.gt_edge_map.data.dtype == torch.int64
    np.testing.assert_array_equal(sample.gt_sem_seg.data, LABELS[None])
    assert sample.gt_depth_map.data.dtype == torch.float32
    assert sample.metainfo == dict(img_path='x.png', flip=True)
    assert PackSegInputs()(dict(img=img[:, :, 0]))['inputs'].shape == (1, 2, 3)
    with pytest.raises(ValueError, match=r'y\.png has shape \(2, 3, 3\)'):
        PackSegInputs()(dict(img=img, gt_seg_map=img, seg_map_path='y.png'))
