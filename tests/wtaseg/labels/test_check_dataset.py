"""Every problem that the check knows is named with its file and remedy."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from PIL import Image

from mmseg.datasets import WTADataset
from mmseg.datasets.check import check_dataset, check_files
from mmseg.engine.hooks.check_dataset_hook import DatasetCheckHook
from mmseg.registry import HOOKS
from wtaseg.cli import check as tool

SIZE = 16


def save(path, pixels, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8), **kwargs).save(path)


def label_map(*ids):
    """Zeros, with two pixels of each of ``ids``."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for row, value in enumerate(ids):
        labels[row, :2] = value
    return labels


@pytest.fixture
def root(tmp_path):
    """A correct dataset: two images a split, all classes, some ignored pixels."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for k in range(2):
            name = f'{split}_{k}.png'
            save(tmp_path / 'img_dir' / split / name, rng.integers(0, 255, (SIZE, SIZE, 3)))
            save(tmp_path / 'ann_dir' / split / name, label_map(1, 2, 255))
    return tmp_path


def problems_of(root, **kwargs):
    return [(p.kind, p.files, str(p)) for p in check_dataset(root, workers=1, **kwargs).problems]


def test_counts_and_passes(root, capsys):
    report = check_dataset(root, classes=('defect', 'attached', 'broken'), workers=1)
    assert report.ok
    total = SIZE * SIZE - 2
    expected = dict(defect=(total - 4) / total, attached=2 / total, broken=2 / total)
    assert report.shares('train') == pytest.approx(expected)
    assert report.splits['val'].images == 2 and report.splits['val'].holders[2] == 2
    assert tool.main([str(root), '--workers', '1']) == 0
    printed = capsys.readouterr().out
    assert 'Nothing is wrong' in printed
    assert f'{200 / total:.4f} %' in printed and 'ignored' in printed
    assert [line.split()[0] for line in printed.splitlines()[1:4]] == ['train', 'val', 'test']


def test_two_processes_give_the_same_report(root):
    (root / 'ann_dir/val/val_0.png').unlink()
    save(root / 'ann_dir/train/train_1.png', label_map(7))
    alone, together = (check_dataset(root, workers=n) for n in (1, 2))
    assert alone.problems == together.problems and len(alone.problems) == 2
    assert alone.table() == together.table()


def test_image_without_label(root):
    (root / 'ann_dir/val/val_0.png').unlink()
    [(kind, files, text)] = problems_of(root)
    assert kind == 'image without label' and files == (str(root / 'img_dir/val/val_0.png'),)
    assert str(root / 'ann_dir/val/val_0.png') in text and 'all 0' in text


def test_label_without_image(root):
    (root / 'img_dir/val/val_0.png').unlink()
    [(kind, files, _)] = problems_of(root)
    assert kind == 'label without image' and files == (str(root / 'ann_dir/val/val_0.png'),)


def test_image_with_another_suffix(root):
    (root / 'img_dir/val/val_0.png').rename(root / 'img_dir/val/val_0.bmp')
    problems = {kind: text for kind, _, text in problems_of(root, img_suffix='.png')}
    assert set(problems) == {'other suffix', 'label without image'}
    assert 'val_0.bmp' in problems['other suffix'] and '.png' in problems['other suffix']


@pytest.mark.parametrize('folder', ['img_dir', 'ann_dir'])
def test_truncated_png(root, folder):
    path = root / folder / 'train' / 'train_0.png'
    path.write_bytes(path.read_bytes()[:-20])
    [(kind, files, text)] = problems_of(root)
    assert kind == 'unreadable' and files == (str(path),) and 'Copy the file again' in text


def test_damaged_pixels(root):
    """Only decoding shows it: the beginning and the end of the file are correct."""
    path = root / 'img_dir/train/train_0.png'
    data = bytearray(path.read_bytes())
    start = data.index(b'IDAT') + 4
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    [(kind, files, _)] = problems_of(root)
    assert kind == 'unreadable' and files == (str(path),)


def test_no_image_at_all(root):
    path = root / 'img_dir/train/train_0.png'
    path.write_text('hello')
    [(kind, _, text)] = problems_of(root)
    assert kind == 'unreadable' and 'not an image' in text


def test_size_mismatch(root):
    save(root / 'img_dir/train/train_0.png', np.zeros((SIZE, SIZE + 4, 3)))
    [(kind, files, text)] = problems_of(root)
    assert kind == 'size mismatch' and len(files) == 2
    assert f'{SIZE + 4} x {SIZE}' in text and f'label {SIZE} x {SIZE}' in text


def test_rgb_label(root):
    save(root / 'ann_dir/train/train_0.png', np.repeat(label_map(1, 2)[..., None], 3, -1))
    [(kind, files, text)] = problems_of(root)
    assert kind == 'RGB label' and files == (str(root / 'ann_dir/train/train_0.png'),)
    assert 'convert_labels.py palette' in text


def test_palette_label_counts_by_index(root):
    image = Image.fromarray(label_map(1, 2)).convert('L')
    image.putpalette([200, 200, 200, 255, 0, 0, 0, 255, 0])
    image.save(root / 'ann_dir/train/train_0.png')
    assert Image.open(root / 'ann_dir/train/train_0.png').mode == 'P'
    assert check_dataset(root, workers=1).ok


def test_ids_out_of_range(root):
    save(root / 'ann_dir/train/train_0.png', label_map(1, 2, 3, 40))
    [(kind, files, text)] = problems_of(root)
    assert kind == 'ids out of range' and files == (str(root / 'ann_dir/train/train_0.png'),)
    assert '3 (2 px), 40 (2 px)' in text and 'ids 0..2' in text


def test_16_bit_ids_out_of_range(root):
    labels = label_map(1, 2).astype(np.uint16)
    labels[9, 9] = 1000
    Image.fromarray(labels).save(root / 'ann_dir/train/train_0.png')
    [(kind, _, text)] = problems_of(root)
    assert kind == 'ids out of range' and '1000 (1 px)' in text


def test_ids_that_start_at_one(root):
    save(root / 'ann_dir/train/train_0.png', np.full((SIZE, SIZE), 1) + label_map(1, 2))
    [(kind, _, text)] = problems_of(root)
    assert kind == 'ids out of range' and 'start at 1' in text
    for path in root.glob('ann_dir/*/*.png'):
        save(path, np.full((SIZE, SIZE), 1) + label_map(1, 2))
    report = check_dataset(root, workers=1, reduce_zero_label=True)
    assert report.ok and report.splits['train'].pixels[:4].tolist() == [2 * SIZE * SIZE - 8, 4, 4, 0]


def test_empty_class(root):
    for k in range(2):
        save(root / 'ann_dir/test' / f'test_{k}.png', label_map(1))
    [(kind, files, text)] = problems_of(root, classes=('defect', 'attached', 'broken'))
    assert kind == 'empty class' and files == (str(root / 'ann_dir/test'),) and 'no pixel of broken' in text


def test_masks_of_0_and_255(root):
    for k in range(2):
        save(root / 'ann_dir/test' / f'test_{k}.png', label_map(255))
    [(kind, _, text)] = problems_of(root)
    assert kind == 'empty class' and 'convert_labels.py binary' in text


def test_duplicate_between_splits_in_another_encoding(root):
    with Image.open(root / 'img_dir/train/train_0.png') as image:
        image.save(root / 'img_dir/test/test_0.png', compress_level=0)
    [(kind, files, text)] = problems_of(root)
    assert kind == 'duplicate between splits' and 'test and train' in text
    assert set(files) == {str(root / 'img_dir/train/train_0.png'), str(root / 'img_dir/test/test_0.png')}


def test_empty_split(root):
    for folder in ('img_dir', 'ann_dir'):
        for path in (root / folder / 'val').iterdir():
            path.unlink()
    [(kind, _, _)] = problems_of(root)
    assert kind == 'empty split'


def test_command_names_every_file(root, capsys):
    (root / 'ann_dir/val/val_0.png').unlink()
    save(root / 'ann_dir/train/train_0.png', label_map(9))
    assert tool.main([str(root), '--workers', '1']) == 1
    printed = capsys.readouterr().out
    assert 'img_dir/val/val_0.png' in printed and 'ann_dir/train/train_0.png' in printed
    assert tool.main([str(root / 'nowhere')]) == 1
    assert 'data/README.md' in capsys.readouterr().err


def pairs_of(root, split='train'):
    images = sorted((root / 'img_dir' / split).iterdir())
    return [(str(p), str(root / 'ann_dir' / split / p.name)) for p in images]


def test_check_files_accepts_and_refuses(root):
    check_files(pairs_of(root), num_classes=3)
    save(root / 'ann_dir/train/train_1.png', label_map(1, 2, 5))
    with pytest.raises(ValueError, match=r'train_1\.png: values 5 \(2 px\), expected ids 0\.\.2') as error:
        check_files(iter(pairs_of(root)), num_classes=3)
    assert 'Set num_classes' in str(error.value)
    check_files(pairs_of(root), num_classes=6)
    # only the first of two label maps is read, but all headers
    check_files(pairs_of(root), num_classes=3, limit=1)
    save(root / 'ann_dir/train/train_1.png', np.zeros((SIZE, SIZE, 3)))
    with pytest.raises(ValueError, match=r'train_1\.png: label is a RGB image'):
        check_files(pairs_of(root), num_classes=3, limit=1)


def test_check_files_warns_of_binary_masks(root):
    for k in range(2):
        save(root / 'ann_dir/train' / f'train_{k}.png', label_map(255))
    with pytest.warns(UserWarning, match='convert_labels.py binary'):
        check_files(pairs_of(root), num_classes=3)


def runner_for(dataset, num_classes=3):
    return SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=dataset),
        model=SimpleNamespace(num_classes=num_classes),
        logger=logging.getLogger('test'),
    )


def dataset_of(root, split='train', **kwargs):
    prefix = dict(img_path=f'img_dir/{split}', seg_map_path=f'ann_dir/{split}')
    return WTADataset(data_root=str(root), data_prefix=prefix, **kwargs)


def test_hook_checks_before_training(root, caplog):
    both = ConcatDataset([dataset_of(root), dataset_of(root, 'val')])
    with caplog.at_level(logging.INFO):
        DatasetCheckHook().before_train(runner_for(both))
        DatasetCheckHook().before_train(runner_for(RepeatDataset(dataset_of(root), 3)))
    assert 'checked 4 training images' in caplog.text and 'checked 2 training images' in caplog.text
    save(root / 'ann_dir/val/val_1.png', label_map(3))
    with pytest.raises(ValueError, match=r'val_1\.png: values 3'):
        DatasetCheckHook().before_train(runner_for(both))


def full_runner(root):
    """A runner with a dataset for each split, as far as the hook looks at it."""
    loops = {}
    for split in ('val', 'test'):
        loader = SimpleNamespace(dataset=dataset_of(root, split))
        loops[f'{split}_loop'] = SimpleNamespace(dataloader=loader, evaluator=SimpleNamespace(metrics=[]))
    return SimpleNamespace(**vars(runner_for(dataset_of(root))), **loops)


def test_hook_checks_the_validation_set_before_training(root):
    DatasetCheckHook().before_train(full_runner(root))
    save(root / 'ann_dir/val/val_1.png', label_map(7))
    with pytest.raises(ValueError, match=r'validation set: .*val_1\.png: values 7 \(2 px\)') as error:
        DatasetCheckHook().before_train(full_runner(root))
    assert '\n' not in str(error.value)
    save(root / 'ann_dir/val/val_1.png', label_map()[:9])
    with pytest.raises(ValueError, match=r'validation set: .*val_1\.png: image is 16 x 16, label 16 x 9'):
        DatasetCheckHook().before_train(full_runner(root))
    with pytest.raises(ValueError, match='validation set: '):
        DatasetCheckHook().before_val(full_runner(root))


def test_hook_checks_the_test_set_before_a_test(root):
    DatasetCheckHook().before_test(full_runner(root))
    save(root / 'ann_dir/test/test_1.png', label_map(7))
    with pytest.raises(ValueError, match=r'test set: .*test_1\.png: values 7 \(2 px\)'):
        DatasetCheckHook().before_test(full_runner(root))
    for k in range(2):
        save(root / f'ann_dir/test/test_{k}.png', np.full((SIZE, SIZE), 255))
    with pytest.raises(ValueError, match=r'ann_dir/test: every pixel of all 2 label maps is ignored'):
        DatasetCheckHook().before_test(full_runner(root))


def test_hook_takes_a_split_of_dropped_classes_for_unlabelled(root):
    for k in range(2):
        save(root / f'ann_dir/train/train_{k}.png', np.full((SIZE, SIZE), 1))
    DatasetCheckHook().before_train(runner_for(dataset_of(root)))
    dataset = dataset_of(root, metainfo=dict(classes=('broken', 'defect')))
    with pytest.raises(ValueError, match='every pixel of all 2 label maps is ignored'):
        DatasetCheckHook().before_train(runner_for(dataset, num_classes=2))


def test_hook_checks_a_test_set_without_labels_only_for_predictions(root):
    runner = full_runner(root)
    dataset = WTADataset(data_root=str(root), data_prefix=dict(img_path='img_dir/test'), test_mode=True)
    runner.test_loop.dataloader.dataset = dataset
    with pytest.raises(ValueError, match=r'test set: .*test_0\.png has no label map'):
        DatasetCheckHook().before_test(runner)
    runner.test_loop.evaluator.metrics = [SimpleNamespace(format_only=True)]
    DatasetCheckHook().before_test(runner)


def test_hook_reads_all_label_maps(tmp_path):
    """One bad label map among 401, which a sample of 200 missed."""
    for k in range(401):
        save(tmp_path / f'img_dir/train/{k:03d}.png', np.zeros((4, 4, 3)))
        save(tmp_path / f'ann_dir/train/{k:03d}.png', np.full((4, 4), 5 if k == 1 else 1))
    with pytest.raises(ValueError, match=r'001\.png: values 5'):
        DatasetCheckHook().before_train(runner_for(dataset_of(tmp_path)))
    DatasetCheckHook(limit=200).before_train(runner_for(dataset_of(tmp_path)))


def test_hook_accepts_renumbered_classes(root):
    """The files still hold ids 0..2 when the classes are a subset in another order."""
    dataset = dataset_of(root, metainfo=dict(classes=('broken', 'defect')))
    DatasetCheckHook().before_train(runner_for(dataset, num_classes=2))


def test_hook_refuses_a_model_with_too_few_classes(root):
    with pytest.raises(ValueError, match=r'3 classes .* num_classes=2; set num_classes=3'):
        DatasetCheckHook().before_train(runner_for(dataset_of(root), num_classes=2))
    with pytest.raises(ValueError, match='at least 1'):
        DatasetCheckHook(limit=0)


def test_hook_refuses_images_without_labels(root):
    dataset = WTADataset(data_root=str(root), data_prefix=dict(img_path='img_dir/train'))
    with pytest.raises(ValueError, match=r'train_0\.png has no label map; set data_prefix'):
        DatasetCheckHook().before_train(runner_for(dataset))


def test_hook_stops_every_process(root, monkeypatch):
    """A process that is not the first looks at nothing and fails with the first one's message."""
    module = 'mmseg.engine.hooks.check_dataset_hook.'
    monkeypatch.setattr(module + 'is_main_process', lambda: False)
    monkeypatch.setattr(
        module + 'broadcast_object_list', lambda data: data.__setitem__(0, 'found by the first')
    )
    with pytest.raises(ValueError, match='found by the first'):
        DatasetCheckHook().before_train(runner_for(dataset_of(root)))


def test_training_looks_unless_told_not_to(monkeypatch):
    """The runner registers the hook by default, ``check_dataset=None`` leaves it out."""
    from mmengine.runner import Runner

    from mmseg.engine import SegRunner

    seen = []
    monkeypatch.setattr(
        Runner,
        'register_default_hooks',
        lambda self, hooks: seen.append({k: v for k, v in hooks.items() if k in ('check_dataset', 'logger')}),
    )
    runner = SegRunner.__new__(SegRunner)
    runner.register_default_hooks(None)
    runner.register_default_hooks(dict(check_dataset=None, logger=dict(type='LoggerHook')))
    runner.register_default_hooks(dict(check_dataset=dict(type='DatasetCheckHook', limit=None)))
    assert [hooks.get('check_dataset') for hooks in seen] == [
        dict(type='mmseg.DatasetCheckHook'),
        None,
        dict(type='DatasetCheckHook', limit=None),
    ]
    assert 'check_dataset' not in seen[1] and seen[1]['logger'] == dict(type='LoggerHook')
    assert isinstance(HOOKS.build(seen[0]['check_dataset']), DatasetCheckHook)
