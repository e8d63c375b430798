"""The journey of a new user: own images and labels to a dataset, and a training without a config being edited."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from image_samples import encode, encode_deep, encode_tiff
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from own_images import CLASSES, label_map, make_files
from PIL import Image

from mmseg.registry import DATASETS, MODELS
from mmseg.utils.class_config import focal_alpha
from mmseg.utils.loss_config import model_heads
from wtaseg.cli import main

SIZE = (480, 720)
COLOURS = ['--colour', 'scratch=255,0,0', 'dent=0,255,0', 'rust=0,0,255', 'burr=255,255,0']


@pytest.fixture(scope='session')
def journey(tmp_path_factory):
    """Folder of the user's files and the outlines drawn in them."""
    root = tmp_path_factory.mktemp('새 사용자')
    return root, make_files(root, 24, SIZE)


@pytest.fixture
def new(journey, tmp_path):
    """A function that runs ``wta-seg new`` on the journey's files into an empty folder."""
    root, _ = journey

    def run(*options, images=root / 'images', labels=None, classes=CLASSES, name='내 부품'):
        labels = labels or [root / 'labelme', root / 'cvat', root / 'masks']
        args = [
            'new',
            tmp_path / 'data' / name,
            '--images',
            images,
            '--labels',
            *labels,
            '--classes',
            *classes,
        ]
        return main([*map(str, args), *map(str, options), '--configs', str(tmp_path / 'configs')])

    return run


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob('*') if path.is_file()
    }


def test_from_new_to_a_trained_model(journey, new, tmp_path, capsys, monkeypatch):
    root, drawn = journey
    before = snapshot(root)
    assert new(*COLOURS) == 0
    printed = capsys.readouterr().out
    assert snapshot(root) == before
    for expected in (
        '24: 12 .png',
        '720 x 480',
        '8 bits',
        '6 images have an EXIF',
        'LabelMe JSON',
        'COCO JSON',
        'CVAT for images',
        'colour masks',
        'turned with it',
        'windows of 512 x 480',
        'wta-seg train',
    ):
        assert expected in printed, expected
    data = tmp_path / 'data/내 부품'
    splits = json.loads((data / 'dataset.json').read_text(encoding='utf-8'))['splits']
    assert splits.keys() == drawn.keys()
    for name, outlines in drawn.items():
        label = np.array(Image.open(data / 'ann_dir' / splits[name] / f'{name}.png'))
        np.testing.assert_array_equal(label, label_map(SIZE, outlines), err_msg=name)
        [copy] = (data / 'img_dir' / splits[name]).glob(f'{name}.*')
        assert copy.read_bytes() == (root / 'images' / copy.name).read_bytes()
    for split in ('train', 'val', 'test'):
        labels = [np.unique(Image.open(path)) for path in (data / 'ann_dir' / split).iterdir()]
        assert set(np.concatenate(labels)) == set(range(5))

    configs = sorted((tmp_path / 'configs').glob('[!_]*/*.py'))
    assert {path.parent.name for path in configs} == {'fastscnn', 'mobilenet_v3', 'pspnet'}
    for path in configs:
        cfg = Config.fromfile(path)
        alphas = [head.loss_decode.alpha for head in model_heads(cfg.model)]
        assert [head.num_classes for head in model_heads(cfg.model)] == [5] * len(alphas)
        assert alphas == [focal_alpha(cfg.class_shares)] * len(alphas)
        assert cfg.model.test_cfg == dict(mode='slide', crop_size=(480, 512), stride=(320, 342))
        assert cfg.train_dataloader.dataset.metainfo.classes == CLASSES
        MODELS.build(dict(cfg.model, pretrained=None))

    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    work_dir = tmp_path / 'work'
    assert main(['train', str(configs[0]), '--smoke', '--work-dir', str(work_dir)]) == 0
    checkpoint = next(work_dir.rglob('iter_4.pth'))
    assert main(['test', str(configs[0]), '--work-dir', str(work_dir), '--cfg-options',
                 'test_dataloader.dataset.indices=2', 'test_dataloader.num_workers=0',
                 'test_dataloader.persistent_workers=False']) == 0  # fmt: skip
    assert main(['check', str(data)]) == 0

    photos = sorted((root / 'images').glob('부품 0번*'))
    assert main(['predict', str(checkpoint), *map(str, photos), '--out', str(tmp_path / 'found')]) == 0
    predictions = {
        path.stem: np.array(Image.open(path)) for path in (tmp_path / 'found/labels').glob('*.png')
    }
    assert predictions.keys() == {path.stem for path in photos}
    # one of them is stored turned
    assert all(labels.shape == SIZE and labels.max() < 5 for labels in predictions.values())


@pytest.fixture
def few(new, tmp_path):
    """A function that runs ``wta-seg new`` on eight small images with masks of class ids."""
    rng = np.random.default_rng(0)
    contents = {f'{i}.png': encode(rng.integers(0, 99, (64, 96, 3), np.uint8), 'PNG') for i in range(8)}
    images, masks = simple_set(tmp_path / 'src', contents, {str(i): some_label() for i in range(8)})
    return partial(new, images=images, labels=masks, classes=('normal', 'scratch'))


def test_the_result_is_resumed_and_other_content_is_refused(few, tmp_path, capsys):
    assert few() == 0
    data = tmp_path / 'data/내 부품'
    whole = snapshot(data)
    removed = [path for path in whole if path.parent.name == 'val']
    for path in removed:
        path.unlink()
    capsys.readouterr()
    assert few() == 0
    assert f'{len(removed)} files written' in capsys.readouterr().out
    assert {path: content for path, (_, content) in snapshot(data).items()} == {
        path: content for path, (_, content) in whole.items()
    }
    assert few('--seed', 5) == 1
    assert 'seed=0, now seed=5' in capsys.readouterr().err
    (data / 'img_dir/train/else.png').write_bytes(b'x')
    assert few() == 1
    assert 'else.png does not belong' in capsys.readouterr().err
    other = tmp_path / 'data/other'
    other.mkdir()
    (other / 'notes.txt').write_text('mine')
    assert few(name='other') == 1
    assert 'was not made by this command' in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ['notes.txt']


def test_an_edited_config_is_not_overwritten(few, tmp_path, capsys):
    assert few() == 0
    config = tmp_path / 'configs/_base_/datasets/내_부품.py'
    config.write_text(config.read_text(encoding='utf-8') + '# mine\n', encoding='utf-8')
    assert few() == 1
    assert 'exists with other content' in capsys.readouterr().err


def test_colours_that_are_not_named_are_listed(new, capsys):
    assert new() == 1
    error = capsys.readouterr().err
    assert '--colour' in error and '255,0,0 (' in error and '0,255,0' in error


def test_unknown_names_point_to_classes(new, journey, capsys):
    labels = [journey[0] / 'labelme']
    assert new('--empty-label', 'missing', classes=('normal', 'scratch'), labels=labels) == 1
    error = capsys.readouterr().err
    assert 'unknown class name' in error and '--classes' in error and '--map' in error


def test_images_without_a_label(new, journey, tmp_path, capsys):
    masks = [journey[0] / 'masks']
    assert new(*COLOURS, labels=masks) == 1
    assert '16 of 24 images have no label' in (error := capsys.readouterr().err)
    assert '--empty-label missing' in error
    assert not (tmp_path / 'data').exists()
    assert new(*COLOURS, '--empty-label', 'missing', labels=masks) == 0
    labels = [np.array(Image.open(path)) for path in (tmp_path / 'data').rglob('ann_dir/*/*.png')]
    assert len(labels) == 24 and sum(not label.any() for label in labels) == 16


def simple_set(root, contents: dict[str, bytes], labels: dict[str, np.ndarray]):
    for name, content in contents.items():
        path = root / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name, label in labels.items():
        path = root / 'masks' / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(path)
    return root / 'images', [root / 'masks']


def some_label(size=(64, 96)):
    label = np.zeros(size, np.uint8)
    label[10:14, 20:50] = 1
    return label


def test_two_files_of_one_stem_are_both_named(new, tmp_path, capsys):
    image = encode(np.zeros((64, 96, 3), np.uint8), 'PNG')
    images, labels = simple_set(tmp_path / 'src', {'a.png': image, 'a.JPG': image}, {'a': some_label()})
    assert new(images=images, labels=labels, classes=('normal', 'scratch')) == 1
    assert 'a.JPG and a.png have the same stem' in capsys.readouterr().err


def test_two_labels_of_one_image_are_both_named(new, journey, tmp_path, capsys):
    root, _ = journey
    shutil.copytree(root / 'labelme', tmp_path / 'again')
    assert new(*COLOURS, labels=[root / 'labelme', tmp_path / 'again', '--empty-label', 'missing']) == 1
    error = capsys.readouterr().err
    assert 'two labels' in error and str(root / 'labelme') in error and str(tmp_path / 'again') in error


def test_a_label_that_fits_neither_way_names_both_sizes(new, tmp_path, capsys):
    contents = {f'{i}.jpg': encode(np.zeros((64, 96, 3), np.uint8), 'JPEG', 6) for i in range(3)}
    labels = {str(i): some_label((64, 90) if i == 1 else (64, 96)) for i in range(3)}
    images, masks = simple_set(tmp_path / 'src', contents, labels)
    assert new(images=images, labels=masks, classes=('normal', 'scratch')) == 1
    assert (
        '1.jpg: is 96 x 64 (upright, by its EXIF orientation), its label 90 x 64' in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ('options', 'expected'), [((), (0, 4095)), (('--value-range', 100, 3000), (100, 3000))]
)
def test_deep_images_are_scaled_alike_in_all_configs(options, expected, new, tmp_path, capsys):
    rng = np.random.default_rng(0)
    contents = {
        f'{i}.png': encode_deep(rng.integers(0, 4000, (64, 96)).astype(np.uint16), '.png') for i in range(6)
    }
    images, masks = simple_set(tmp_path / 'src', contents, {str(i): some_label() for i in range(6)})
    assert new(*options, images=images, labels=masks, classes=('normal', 'scratch')) == 0
    printed = capsys.readouterr().out
    assert f'{expected[0]}..{expected[1]} becomes 0..255' in printed and '16 bits' in printed
    cfg = Config.fromfile(tmp_path / 'configs/_base_/datasets/내_부품.py')
    for pipeline in (cfg.train_pipeline, cfg.test_pipeline, cfg.tta_pipeline):
        assert tuple(pipeline[0].value_range) == expected
    assert tuple(cfg.test_dataloader.dataset.metainfo.value_range) == expected


def test_all_channels_give_models_that_take_them(new, tmp_path, capsys):
    rng = np.random.default_rng(0)
    means = np.array([40, 80, 120, 160, 200])
    contents = {
        f'{i}.tif': encode_tiff(
            (means + rng.integers(-9, 10, (64, 96, 5))).astype(np.uint8),
            photometric='minisblack',
            planarconfig='contig',
        )
        for i in range(6)
    }
    images, masks = simple_set(tmp_path / 'src', contents, {str(i): some_label() for i in range(6)})
    assert new(images=images, labels=masks, classes=('normal', 'scratch')) == 1
    assert '5 channels' in (error := capsys.readouterr().err) and '--all-channels' in error
    assert new('--all-channels', images=images, labels=masks, classes=('normal', 'scratch')) == 0
    configs = sorted((tmp_path / 'configs').glob('[!_]*/*.py'))
    assert {path.parent.name for path in configs} == {'mobilenet_v3', 'fastscnn', 'pspnet'}
    for path in configs:
        cfg = Config.fromfile(path)
        assert cfg.model.backbone.in_channels == 5 and cfg.model.pretrained is None
        np.testing.assert_allclose(cfg.model.data_preprocessor.mean, means, atol=1)
        assert 'pretrained weights' not in path.read_text(encoding='utf-8')
        if path.parent.name == 'mobilenet_v3':
            assert MODELS.build(cfg.model.backbone)(torch.zeros(1, 5, 32, 32))[-1].shape == (1, 960, 4, 4)
    cfg = Config.fromfile(next(path for path in configs if path.parent.name == 'fastscnn'))
    item = DATASETS.build(cfg.train_dataloader.dataset)[0]
    batch = dict(inputs=[item['inputs']] * 2, data_samples=[item['data_samples']] * 2)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.model.data_preprocessor))
    model = revert_sync_batchnorm(model)
    batch = model.data_preprocessor(batch, training=True)
    assert batch['inputs'].shape == (2, 5, 64, 96) and abs(batch['inputs'].mean()) < 0.2
    assert model(**batch, mode='loss')['decode.loss_focal'].isfinite()


def test_classes_are_checked(new, capsys):
    assert new(classes=('normal', 'a', 'a')) == 1
    assert 'two different names' in capsys.readouterr().err
