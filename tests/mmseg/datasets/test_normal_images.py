"""Training images without labels that are known to be normal."""

import cv2
import numpy as np
import pytest
import torch

from mmseg.datasets.check import check_dataset
from mmseg.datasets.normal_images import divide_images
from mmseg.engine import build_runner
from mmseg.engine.data_stream import InfiniteSampler, fetch_seeded
from mmseg.engine.hooks.class_weight_hook import cached_class_counts
from mmseg.models.losses import enet_class_weight
from mmseg.registry import DATASETS
from mmseg.utils import training_config
from wtaseg.start_screen import label_shares

PER_IMAGE = 64 * 64


@pytest.fixture(scope='module')
def normal(tmp_path_factory):
    """Five images of 40 x 32 pixels, JPEG and PNG, in a folder with a folder."""
    root = tmp_path_factory.mktemp('good')
    (root / 'line 2').mkdir()
    for number, name in enumerate(('a.png', 'b.JPG', 'c.png', 'line 2/d.png', 'line 2/a.png')):
        content = cv2.imencode('.' + name[-3:].lower(), np.full((32, 40, 3), 20 * number, np.uint8))[1]
        (root / name).write_bytes(content)
    return root


def _dataset(experiment, normal, share=0.5, **options):
    cfg = training_config.add_normal_images(experiment(**options), normal, share)
    return DATASETS.build(cfg.train_dataloader.dataset)


def test_the_share_is_of_all_items_and_all_images_take_turns():
    names = [f'{i}.png' for i in range(10)]
    # 8 labelled ones and p places: p / (8 + p) is at most the share
    for share, places in ((0.5, 8), (0.2, 2), (0.199, 1), (1 / 9, 1), (0.9, 10)):
        divided = divide_images(names, 8, share)
        assert len(divided) == places
        assert sorted(name for part in divided for name in part) == names
        assert max(map(len, divided)) - min(map(len, divided)) <= 1
        assert divided == divide_images(names[::-1], 8, share)
    with pytest.raises(
        ValueError, match=r'max_normal_share: 0\.1; of 8 labelled and 10 normal .* at least 0\.11'
    ):
        divide_images(names, 8, 0.1)
    for share in (0, 1, -0.5):
        with pytest.raises(ValueError, match=f'max_normal_share: {share}; expected a share'):
            divide_images(names, 8, share)


def test_they_are_class_0_all_over(experiment, normal):
    dataset = _dataset(
        experiment,
        normal,
        0.2,
        **{'train_dataloader.dataset.pipeline': experiment().val_dataloader.dataset.pipeline},
    )
    assert len(dataset) == 8 + 2
    sample = dataset[8]
    assert sample['data_samples'].gt_sem_seg.data.shape == (1, 32, 40)
    assert not sample['data_samples'].gt_sem_seg.data.any()
    seen = [{dataset[index]['data_samples'].img_path for _ in range(60)} for index in (8, 9)]
    assert len(seen[0]) + len(seen[1]) == len(seen[0] | seen[1]) == 5
    assert all(path.startswith(str(normal)) for path in seen[0] | seen[1])


def test_the_draw_follows_from_the_seed(experiment, normal):
    def paths(seed, start=0):
        dataset = _dataset(experiment, normal, 0.2)
        sampler = InfiniteSampler(dataset, seed=seed)
        sampler.seek(start)
        indices = [index for index, _ in zip(sampler, range(40 - start))]
        return [item['data_samples'].img_path for item in fetch_seeded(dataset, indices)]

    first = paths(1)
    assert paths(1) == first and paths(1, 20) == first[20:] != paths(2)[20:]
    assert sum(path.startswith(str(normal)) for path in first) == 8  # two of every ten


def test_pixels_are_counted_as_they_are_trained_on(experiment, normal, tmp_path):
    labelled = DATASETS.build(experiment().train_dataloader.dataset).class_counts().sum(0)
    dataset = _dataset(experiment, normal, 0.2)
    expected = labelled + np.array([2 * 32 * 40, 0, 0])
    assert labelled.sum() == 8 * PER_IMAGE
    assert cached_class_counts(dataset, tmp_path / 'counts.json').tolist() == expected.tolist()
    more = _dataset(experiment, normal, 0.5)
    assert (
        cached_class_counts(more, tmp_path / 'counts.json').tolist()
        == (labelled + np.array([5 * 32 * 40, 0, 0])).tolist()
    )
    assert label_shares(dataset, 3)[0].tolist() == expected.tolist()
    assert dataset.get_cat_ids(9) == [0]


def test_a_training_takes_them(experiment, normal, capsys):
    cfg = experiment(
        **{
            'train_cfg.max_iters': 2,
            'val_dataloader.dataset.indices': 1,
            'model.decode_head.loss_decode': dict(type='CrossEntropyLoss', class_weight='enet'),
            'custom_hooks': [dict(type='ClassWeightHook')],
        }
    )
    runner = build_runner(training_config.add_normal_images(cfg, normal))
    runner.train()
    assert len(runner.train_dataloader.dataset) == 13
    counts = runner.train_dataloader.dataset.class_counts().sum(0)
    weight = runner.model.decode_head.loss_decode.class_weight
    assert weight == enet_class_weight(counts.tolist()) and counts.sum() == 8 * PER_IMAGE + 5 * 32 * 40
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())


def test_rare_class_sampling_takes_them(experiment, normal):
    cfg = training_config.add_normal_images(experiment(), normal, 0.2)
    dataset = DATASETS.build(dict(type='RareClassDataset', dataset=cfg.train_dataloader.dataset, prob=0.0))
    assert [len(holders) for holders in dataset.holders] == [10, 8, 8]
    assert dataset[9]['data_samples'].img_path.startswith(str(normal))


def test_what_can_not_be_used_is_refused(experiment, normal, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'--normal-images: .*absent is not a folder'):
        training_config.add_normal_images(experiment(), tmp_path / 'absent')
    with pytest.raises(ValueError, match=r'--normal-share: 1\.5; expected a share'):
        training_config.add_normal_images(experiment(), normal, 1.5)
    joined = experiment()
    joined.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[joined.train_dataloader.dataset] * 2
    )
    with pytest.raises(ValueError, match='joins 2 datasets'):
        training_config.add_normal_images(joined, normal)
    with pytest.raises(ValueError, match='class 0, which normal images are, is ignored'):
        _dataset(
            experiment, normal, **{'train_dataloader.dataset.metainfo': dict(classes=('attached', 'broken'))}
        )
    (tmp_path / 'x.png').write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'training set: 1 images have a problem, first: .*x\.png'):
        build_runner(training_config.add_normal_images(experiment(), tmp_path)).train()


def test_check_reads_them(blades, normal, tmp_path):
    import shutil

    root = tmp_path / 'set'
    shutil.copytree(blades, root)
    shutil.copytree(normal, root / 'normal_dir')
    report = check_dataset(root)
    assert report.ok, report.problem_lines()
    assert report.splits['normal'].images == 5
    assert report.splits['normal'].pixels[0] == report.splits['normal'].pixels.sum() == 5 * 32 * 40
    shutil.copy(blades / 'img_dir/test/3.png', root / 'normal_dir/x.png')
    (root / 'normal_dir/y.png').write_bytes(b'nothing')
    kinds = [problem.kind for problem in check_dataset(root).problems]
    assert kinds == ['unreadable', 'duplicate between splits']
