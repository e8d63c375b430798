"""``wta-seg predict``: models, images, and what is written."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from augment import shipped
from mmseg.apis import inference_model, init_model
from mmseg.engine import build_runner
from wtaseg.cli import main as wta_seg
from wtaseg.labels.shapes import decode_rle
from wtaseg.predict import load_predictor
from wtaseg.predict.command import predict_images
from wtaseg.predict.inputs import find_images
from wtaseg.predict.windows import Windows


@pytest.fixture
def checkpoint(experiment, tmp_path) -> Path:
    """A checkpoint with its config; random logits so that all classes occur."""
    cfg = experiment(**{'train_cfg.max_iters': 1})
    build_runner(cfg).train()
    path = Path(cfg.work_dir) / 'iter_1.pth'
    content = torch.load(path, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for name, value in content['state_dict'].items():
        if 'conv_seg' in name:
            value.copy_(torch.randn(value.shape, generator=generator))
    torch.save(content, path)
    return path


@pytest.fixture
def photos(blades, tmp_path) -> Path:
    folder = tmp_path / '사진 원본'
    (folder / 'sub').mkdir(parents=True)
    pixels = [cv2.imread(str(blades / f'img_dir/test/{index}.png')) for index in range(5)]
    cv2.imencode('.jpg', pixels[0])[1].tofile(folder / '긁힘 1.JPG')
    cv2.imencode('.png', pixels[1])[1].tofile(folder / 'a.png')
    cv2.imencode('.bmp', pixels[2])[1].tofile(folder / 'a.bmp')
    cv2.imencode('.png', pixels[3])[1].tofile(folder / 'sub/a.png')
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels[4][:40, :, ::-1]).save(folder / 'turned.png', exif=exif)
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8 nothing')
    (folder / 'notes.txt').write_text('no image')
    return folder


def _read(path: Path) -> np.ndarray:
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_folder_of_photos_is_predicted_and_a_broken_one_is_reported(checkpoint, photos, tmp_path, capsys):
    out = tmp_path / 'out'
    argv = [
        'predict',
        str(checkpoint),
        str(photos),
        '--out',
        str(out),
        '--probabilities',
        '--batch-size',
        '2',
    ]
    assert wta_seg([*argv, '--device', 'cpu']) == 1
    printed = capsys.readouterr()
    assert f'{photos}/broken.jpg: image' in printed.err and 'Traceback' not in printed.err
    assert printed.out.startswith('5 images, ') and printed.out.endswith('1 images failed\n')

    stems = ['a.bmp', 'a.png', 'sub/a', 'turned', '긁힘 1']
    for folder in ('labels', 'overlays'):
        files = sorted(path.relative_to(out / folder).as_posix() for path in (out / folder).rglob('*.png'))
        assert files == [f'{stem}.png' for stem in stems]
    labels = _read(out / 'labels/긁힘 1.png')
    sample = inference_model(
        init_model(loading_config(checkpoint), str(checkpoint), 'cpu'), str(photos / '긁힘 1.JPG')
    )
    assert (labels == sample.pred_sem_seg.data[0].numpy()).all() and len(np.unique(labels)) > 1
    # upright: 64 x 40 as stored
    assert _read(out / 'labels/turned.png').shape == (64, 40)
    shares = sample.seg_logits.data.softmax(0).numpy()
    for index, name in enumerate(('defect', 'attached', 'broken')):
        levels = _read(out / f'probabilities/긁힘 1/{name}.png')
        assert levels.dtype == np.uint16
        np.testing.assert_allclose(levels / 65535, shares[index], atol=1e-4)
    assert _read(out / 'overlays/긁힘 1.png').shape[1] > 800

    rows = list(csv.DictReader((out / 'defects.csv').open(encoding='utf-8-sig')))
    coco = json.loads((out / 'defects.json').read_text(encoding='utf-8'))
    assert len(rows) == len(coco['annotations']) > 0
    assert {row['image'] for row in rows} <= {image['file_name'] for image in coco['images']}
    # the run lengths and the classes are the label map
    image = next(image for image in coco['images'] if image['file_name'] == '긁힘 1.JPG')
    drawn = np.zeros_like(labels)
    for annotation in coco['annotations']:
        if annotation['image_id'] == image['id']:
            mask = decode_rle(annotation['segmentation']['counts'], *labels.shape)
            assert mask.sum() == annotation['area'] and not drawn[mask].any()
            drawn[mask] = annotation['category_id']
    assert (drawn == labels).all()


def loading_config(checkpoint: Path):
    from mmseg.apis.mmseg_inferencer import stored_config
    from mmseg.engine import read_checkpoint

    return stored_config(read_checkpoint(str(checkpoint)), str(checkpoint))


def test_the_json_is_read_by_the_converter(checkpoint, photos, tmp_path):
    out, again = tmp_path / 'out', tmp_path / 'again'
    assert (
        wta_seg(['predict', str(checkpoint), str(photos / 'a.png'), '--out', str(out), '--device', 'cpu'])
        == 0
    )
    argv = [
        'convert',
        'coco',
        str(out / 'defects.json'),
        '--out',
        str(again),
        '--map',
        'attached=1',
        'broken=2',
    ]
    assert wta_seg(argv) == 0
    assert (_read(next(again.rglob('a.png'))) == _read(out / 'labels/a.png')).all()


def test_windows_are_those_of_the_model_at_native_scale(checkpoint, experiment, blades):
    image = cv2.imread(str(blades / 'img_dir/test/0.png'))
    large = np.tile(image, (2, 3, 1))
    whole = load_predictor(checkpoint, device='cpu').predict(large)
    one = load_predictor(checkpoint, device='cpu', windows=Windows(512)).predict(large)
    np.testing.assert_allclose(one.probabilities, whole.probabilities, atol=1e-5)
    several = load_predictor(checkpoint, device='cpu', windows=Windows(64, 0.5))
    result = several.predict(large).probabilities
    assert result.shape == (3, 128, 192)
    assert np.abs(result - whole.probabilities).max() > 1e-3
    # a corner is seen by one window alone
    corner = load_predictor(checkpoint, device='cpu').predict(large[:64, :64]).probabilities
    np.testing.assert_allclose(result[:, :32, :32], corner[:, :32, :32], atol=1e-5)
    for bad in (dict(side=8), dict(side=64, overlap=1.0)):
        with pytest.raises(ValueError, match='expected'):
            Windows(**bad)


def test_an_exported_model_predicts_what_its_checkpoint_does(checkpoint, blades, tmp_path):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    import onnx

    from mmseg.apis.export_onnx import export

    model = init_model(loading_config(checkpoint), str(checkpoint), 'cpu')
    export(model, tmp_path / 'open.onnx', (96, 96))
    proto = onnx.load(tmp_path / 'open.onnx')
    onnx.helper.set_model_props(
        proto, {entry.key: entry.value for entry in proto.metadata_props} | dict(sides='null')
    )
    onnx.save(proto, tmp_path / 'fixed.onnx')
    for path in (tmp_path / 'open.onnx', tmp_path / 'fixed.onnx'):
        exported, trained = load_predictor(path, device='cpu'), load_predictor(checkpoint, device='cpu')
        assert exported.classes == trained.classes and exported.palette == trained.palette
        image = np.tile(cv2.imread(str(blades / 'img_dir/test/1.png')), (2, 2, 1))[:96, :96]
        expected, actual = trained.predict(image), exported.predict(image)
        np.testing.assert_allclose(actual.probabilities, expected.probabilities, atol=1e-3)
        # another size: resized by the file of one size
        assert exported.predict(image[:70, :90]).labels.shape == (70, 90)
    large = np.tile(image, (2, 2, 1))
    parts = [load_predictor(file, device='cpu', windows=Windows(96, 0.5)) for file in (path, checkpoint)]
    results = [part.predict(large).probabilities for part in parts]
    np.testing.assert_allclose(*results, atol=1e-3)
    with pytest.raises(ValueError, match=r'--window: 64; .* 96 x 96 only'):
        load_predictor(path, device='cpu', windows=Windows(64))
    with pytest.raises(ValueError, match='leave the config out'):
        load_predictor(path, config='x')


def test_images_are_files_folders_and_patterns(photos):
    sources = find_images([str(photos / '*.png'), str(photos / 'a.bmp'), str(photos / 'a.png')])
    assert [(source.name, source.stem) for source in sources] == [
        ('a.png', 'a.png'),
        ('turned.png', 'turned'),
        ('a.bmp', 'a.bmp'),
    ]
    assert [source.stem for source in find_images([str(photos / '**/*.png')])] == ['a', 'sub/a', 'turned']
    with pytest.raises(ValueError, match=r'a\.png and .*sub/a\.png have one name'):
        find_images([str(photos / '*.png'), str(photos / 'sub')])
    with pytest.raises(FileNotFoundError, match=r'absent/\*\.png: no image; expected'):
        find_images([str(photos / 'absent/*.png')])


def test_errors_name_the_remedy(checkpoint, photos, tmp_path, capsys, monkeypatch):
    image, out = str(photos / 'a.png'), ['--out', str(tmp_path / 'out')]
    bare = tmp_path / 'bare.pth'
    torch.save({'state_dict': torch.load(checkpoint, weights_only=True)['state_dict']}, bare)
    (tmp_path / 'other.onnx').write_bytes(b'nothing')
    monkeypatch.setattr(shipped, 'SEGMENTER', tmp_path / 'segmenter.onnx')
    for argv, message in (
        (['absent.pth', image], 'absent.pth: no such model; expected a checkpoint'),
        ([str(bare), image], 'no config in this checkpoint'),
        (['demo', image], 'this installation has no demo model'),
        ([str(tmp_path / 'other.onnx'), image], 'onnxruntime'),
        ([str(checkpoint), str(tmp_path / 'none')], 'no image; expected files, folders or patterns'),
        ([str(checkpoint), image, '--window', '8'], '--window: 8; expected at least 32'),
        ([str(checkpoint), image, '--batch-size', '0'], '--batch-size: 0; expected'),
    ):
        assert wta_seg(['predict', *argv, *out]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert message in line and line.startswith('wta-seg predict: ')
    assert wta_seg(['predict', str(checkpoint), *out]) == 2
    assert not (tmp_path / 'out/defects.csv').exists()


def test_a_config_can_stand_in_for_the_recorded_one(checkpoint, photos, tmp_path):
    config = tmp_path / 'config.py'
    loading_config(checkpoint).dump(config)
    content = torch.load(checkpoint, weights_only=True)
    bare = tmp_path / 'bare.pth'
    torch.save({'state_dict': content['state_dict'], 'meta': {}}, bare)
    expected = load_predictor(checkpoint, device='cpu').predict(photos / 'a.png')
    actual = load_predictor(bare, str(config), 'cpu').predict(photos / 'a.png')
    assert (expected.labels == actual.labels).all()
    summary = predict_images(
        load_predictor(bare, str(config), 'cpu'), find_images([str(photos / 'a.png')]), tmp_path / 'o'
    )
    assert summary.images == 1 and summary.defects == len(expected.defects) and not summary.failed
