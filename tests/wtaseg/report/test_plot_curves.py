import math

import cv2
import numpy as np
import pytest
from recorded_project import metrics_of, write_run

from wtaseg.report import overlay_pages as plot_overlays
from wtaseg.report import overlays
from wtaseg.report import project_plots as plot_curves
from wtaseg.runs.records import choose_runs, read_project, run_labels

CE = "dict(type='CrossEntropyLoss')"


@pytest.fixture
def project(tmp_path):
    path = tmp_path / 'project'
    for name, loss, gain in (('focal', "dict(type='FocalLoss', gamma=2.0)", 1.0), ('ce', CE, 0.5)):
        rows = {
            step: metrics_of([99, 40 * gain * step / 12000, 20 * gain], [99, 60, 30])
            for step in (4000, 8000, 12000)
        }
        write_run(path, f'fastscnn/{name}', metrics_of([99, 43, 21], [99, 71, 38]), rows, loss=loss)
    return path


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they were saved, by file name: what is in a picture is read from its axes."""
    figures = {}
    save = plot_curves._save
    monkeypatch.setattr(
        plot_curves, '_save', lambda figure, path: (figures.update({path.name: figure}), save(figure, path))
    )
    return figures


def test_pictures_hold_the_figures_of_the_logs(project, drawn, tmp_path):
    runs = read_project(project)
    written = plot_curves.plot_project(runs, run_labels(runs), tmp_path / 'out')
    names = ['attached_iou.png', 'attached_acc.png', 'broken_iou.png', 'broken_acc.png', 'test_set_eval.png']
    assert [path.name for path in written] == names
    assert all(cv2.imread(str(path)).std() > 0 for path in written)
    axes = drawn['attached_iou.png'].axes[0]
    curves = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert list(curves) == ['CrossEntropyLoss', 'FocalLoss']
    steps, values = curves['FocalLoss']
    assert steps == [4000, 8000, 12000]
    assert values == pytest.approx([40 / 3, 80 / 3, 40])
    iou, accuracy = drawn['test_set_eval.png'].axes
    assert [round(bar.get_height()) for bar in iou.patches] == [43, 43, 21, 21]
    assert [round(bar.get_height()) for bar in accuracy.patches] == [71, 71, 38, 38]


def test_nan_leaves_a_gap_and_an_absent_class_is_named(drawn, tmp_path):
    rows = {2: metrics_of([99, 1, math.nan], [99, 1, math.nan]), 4: metrics_of([99, 1, 7], [99, 1, 8])}
    write_run(tmp_path, 'a/b', metrics_of([99, 5, math.nan], [99, 5, math.nan]), rows)
    runs = read_project(tmp_path)
    plot_curves.plot_project(runs, ['x'], tmp_path)
    assert list(drawn['broken_iou.png'].axes[0].lines[0].get_xdata()) == [4]
    assert [text.get_text() for text in drawn['test_set_eval.png'].axes[0].texts] == ['5.0', 'n/a']


def test_unknown_run_is_named(project):
    runs = read_project(project)
    assert [run.name for run in choose_runs(runs, ['fastscnn/focal'])] == ['fastscnn/focal']
    with pytest.raises(ValueError, match=r"'focal' is not in the project; it has fastscnn/ce"):
        choose_runs(runs, ['focal'])


def test_legend_says_no_more_than_it_must(project):
    assert run_labels(read_project(project)) == ['CrossEntropyLoss', 'FocalLoss']
    write_run(project, 'pspnet/psp', backbone='ResNetV1c', head='PSPHead')
    assert run_labels(read_project(project)) == [
        'Fast-SCNN CrossEntropyLoss',
        'Fast-SCNN FocalLoss',
        'PSPNet FocalLoss',
    ]
    write_run(project, 'pspnet/psp_aug', backbone='ResNetV1c', head='PSPHead', data='data/x_aug_rust')
    assert run_labels(read_project(project))[-1] == 'PSPNet FocalLoss w/ Rust aug.'


def test_five_pixels_are_ringed_and_the_rest_is_untouched():
    image = np.full((64, 64, 3), 90, np.uint8)
    labels = np.zeros((64, 64), np.uint8)
    labels[32, 30:35] = 2
    labels[5, 5] = 255
    painted = overlays.paint(image, labels)
    color = overlays.color_of(2)
    changed = (painted != image).any(-1)
    assert (painted[changed] == color).all()
    assert changed[32, 30:35].all() and not changed[5, 5]
    # around the five pixels lie five untouched ones, then the ring
    assert not changed[27:32, 32].any() and changed[25:27, 32].all() and not changed[:25, 32].any()
    assert changed.sum() > 60


def test_the_inside_of_a_closed_defect_is_left_alone():
    labels = np.zeros((80, 80), np.uint8)
    cv2.circle(labels, (40, 40), 20, 1, 1)
    painted = overlays.paint(np.zeros((80, 80, 3), np.uint8), labels)
    assert not painted[22:59, 40].any() and painted[20, 40].any() and painted[13:15, 40].all()


def test_overlays_take_image_truth_and_prediction_of_the_same_name(project, tmp_path):
    data = tmp_path / 'data'
    for part in ('img_dir/test', 'ann_dir/test'):
        (data / part).mkdir(parents=True)
    for index in range(3):
        labels = np.zeros((48, 48), np.uint8)
        labels[10 : 11 + index, 10:20] = index
        cv2.imwrite(str(data / f'img_dir/test/b{index}.png'), np.full((48, 48, 3), 50, np.uint8))
        cv2.imwrite(str(data / f'ann_dir/test/b{index}.png'), labels)
    runs = read_project(project)
    for run in runs:
        run.test_config['test_dataloader']['dataset']['data_root'] = str(data)
        (run.path / 'test/pred').mkdir(parents=True)
        cv2.imwrite(str(run.path / 'test/pred/b2.png'), labels)
        cv2.imwrite(str(run.path / 'test/pred/b1.png'), labels)
    written = plot_overlays.plot_project(runs, run_labels(runs), tmp_path / 'out', count=1)
    # of the two that were predicted, the one with the class of the highest id
    assert [path.name for path in written] == ['b2.png']
    assert cv2.imread(str(written[0])).shape[1] > 4 * 400
    with pytest.raises(ValueError, match="'b0' is not among the predicted"):
        plot_overlays.plot_project(runs, run_labels(runs), tmp_path / 'out', names=['b0'])
