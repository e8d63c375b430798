"""What is painted, and that small defects are seen."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

_RED, _GREEN = (255, 0, 0), (0, 255, 0)


def _sample(**fields) -> SegDataSample:
    sample = SegDataSample()
    for name, labels in fields.items():
        setattr(sample, name, PixelData(data=torch.as_tensor(labels)[None]))
    return sample


def _labels(defects: dict[tuple[int, int, int, int], int], side: int = 100) -> np.ndarray:
    labels = np.zeros((side, side), np.int64)
    for (y, x, height, width), class_id in defects.items():
        labels[y : y + height, x : x + width] = class_id
    return labels


def _image(side: int = 100) -> np.ndarray:
    return np.full((side, side, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ('fields', 'width'),
    [(('gt_sem_seg',), 100), (('pred_sem_seg',), 100), (('gt_sem_seg', 'pred_sem_seg'), 200)],
)
def test_writes_a_file(tmp_path, fields, width):
    sample = _sample(**dict.fromkeys(fields, _labels({(10, 10, 30, 30): 1})))
    out_file = tmp_path / 'new' / 'out.png'
    SegLocalVisualizer().add_datasample('out', _image(), sample, out_file=str(out_file))
    assert cv2.imread(str(out_file)).shape == (100, width, 3)


def test_passes_images_to_its_backends(tmp_path):
    visualizer = SegLocalVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.add_datasample('name', _image(), None, step=3)
    assert [path.name for path in (tmp_path / 'vis_data/vis_image').iterdir()] == ['name_3.png']


def test_colours_are_blended_and_background_is_left():
    labels = _labels({(10, 10, 30, 30): 1, (60, 60, 30, 30): 2, (0, 0, 5, 5): 255})
    drawn = SegLocalVisualizer(alpha=0.5).add_datasample(
        'blend', _image(), _sample(pred_sem_seg=labels), with_labels=False
    )
    # (100 + 255) / 2 and (100 + 0) / 2, halves to the even number
    assert drawn[20, 20].tolist() == [178, 50, 50]
    assert drawn[70, 70].tolist() == [50, 178, 50]
    untouched = (labels == 0) | (labels == 255)
    assert (drawn[untouched] == 100).all()


def test_five_pixels_are_seen():
    labels = _labels({(50, 50, 1, 5): 2})
    image = _image()
    drawn = SegLocalVisualizer(alpha=0.0).add_datasample(
        'ring', image, _sample(pred_sem_seg=labels), with_labels=False
    )
    changed = (drawn != image).any(axis=2)
    assert changed.sum() >= 20
    assert (drawn[changed] == _GREEN).all()
    assert not changed[48:53, 48:57].any()  # the defect and its border stay free
    plain = SegLocalVisualizer(alpha=0.0, small_area=0).add_datasample(
        'plain', image, _sample(pred_sem_seg=labels), with_labels=False
    )
    assert (plain == image).all()


def test_names_stay_inside_the_image():
    visualizer = SegLocalVisualizer(classes=['ok', 'a rather long name'], palette=[[0, 0, 0], [255, 0, 0]])
    sample = _sample(pred_sem_seg=_labels({(98, 98, 2, 2): 1}))
    named = visualizer.add_datasample('names', _image(), sample)
    unnamed = visualizer.add_datasample('names', _image(), sample, with_labels=False)
    changed = np.argwhere((named != unnamed).any(axis=2))
    assert len(changed) > 100


def test_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r'2 classes .* 3 colours'):
        SegLocalVisualizer(classes=['a', 'b'], palette=[[0, 0, 0]] * 3)
    with pytest.raises(ValueError, match='alpha=2'):
        SegLocalVisualizer(alpha=2)
    with pytest.raises(ValueError, match='same size'):
        SegLocalVisualizer().add_datasample('size', _image(50), _sample(pred_sem_seg=_labels({})))
    visualizer = SegLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('a',))
    with pytest.raises(ValueError, match='no palette'):
        visualizer.add_datasample('meta', _image(), _sample(pred_sem_seg=_labels({})))
