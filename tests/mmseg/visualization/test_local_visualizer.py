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
    SegLocalVisualizer().add_datasample('out', _image(), sample, out_file=str(out_file), with_labels=False)
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
    # beyond the outlines
    assert (drawn[45:55] == 100).all() and (drawn[:6, :6] == 100).all()


def test_five_pixels_are_seen_and_not_hidden():
    labels = _labels({(50, 50, 1, 5): 2})
    image = _image()
    drawn = SegLocalVisualizer().add_datasample(
        'outline', image, _sample(pred_sem_seg=labels), with_labels=False
    )
    changed = (drawn != image).any(axis=2)
    assert changed.sum() >= 20
    assert (drawn[changed] == _GREEN).all(axis=1).sum() >= 15
    assert not changed[48:53, 48:57].any()  # the defect and its border stay free


def test_titles_and_legend_are_outside_of_the_images():
    visualizer = SegLocalVisualizer(classes=['ok', 'a rather long name'], palette=[[0, 0, 0], [255, 0, 0]])
    labels = _labels({(40, 40, 30, 30): 1})
    plain = visualizer.add_datasample('names', _image(400), _sample(pred_sem_seg=_labels({}, 400)))
    marked = visualizer.add_datasample(
        'names', _image(400), _sample(pred_sem_seg=np.kron(labels, np.ones((4, 4))))
    )
    inside = np.flatnonzero((plain[:, 50] == 100).all(axis=1))
    assert len(inside) == 400 and inside[0] > 10 and len(plain) - inside[-1] > 10
    # the legend is the same, the names stay off the image
    assert (plain[inside[-1] + 1 :] == marked[inside[-1] + 1 :]).all()
    assert (plain[inside[-1] + 1 :] == _RED).all(axis=2).any()


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
