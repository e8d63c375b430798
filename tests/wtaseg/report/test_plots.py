import math

import cv2
import pytest
from recorded_project import metrics_of, write_run

from wtaseg.palette import SERIES, class_colors, rgb
from wtaseg.report import plots
from wtaseg.report import project as report
from wtaseg.report.labels import legend_labels
from wtaseg.report.plots import Curve, draw_bars, draw_curves
from wtaseg.report.summary import Row, Summary
from wtaseg.runs.records import choose_runs, read_project

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
    """The figures that were drawn, in order: what an image shows is read from its axes."""
    figures = []
    save = report.png
    monkeypatch.setattr(report, 'png', lambda figure: figures.append(figure) or save(figure))
    return figures


def test_images_show_the_values_of_the_logs(project, drawn, tmp_path):
    runs = read_project(project)
    written = report.write_images(report.draw_results(runs, legend_labels(runs)), tmp_path / 'out')
    names = ['attached_iou.png', 'attached_acc.png', 'broken_iou.png', 'broken_acc.png', 'test_set_eval.png']
    assert [path.name for path in written] == names
    assert all(cv2.imread(str(path)).std() > 0 for path in written)
    axes = drawn[0].axes[0]
    curves = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert list(curves) == ['CrossEntropyLoss', 'FocalLoss']
    steps, values = curves['FocalLoss']
    assert steps == [4000, 8000, 12000]
    assert values == pytest.approx([40 / 3, 80 / 3, 40])
    iou, accuracy = drawn[-1].axes
    assert [round(bar.get_height()) for bar in iou.patches] == [43, 43, 21, 21]
    assert [round(bar.get_height()) for bar in accuracy.patches] == [71, 71, 38, 38]


def test_nan_leaves_a_gap_and_an_absent_class_is_named(drawn, tmp_path):
    rows = {2: metrics_of([99, 1, math.nan], [99, 1, math.nan]), 4: metrics_of([99, 1, 7], [99, 1, 8])}
    write_run(tmp_path, 'a/b', metrics_of([99, 5, math.nan], [99, 5, math.nan]), rows)
    images = report.draw_results(read_project(tmp_path), ['x'])
    figures = {image.name: figure for image, figure in zip(images, drawn)}
    assert list(figures['broken_iou.png'].axes[0].lines[0].get_xdata()) == [4]
    assert [text.get_text() for text in figures['test_set_eval.png'].axes[0].texts] == ['5.0', 'n/a']


def test_a_run_has_one_style_in_all_images(project, drawn):
    # a third run, first by name, was validated on "broken" alone
    broken = {
        key: value for key, value in metrics_of([99, 0, 9], [99, 0, 9]).items() if 'attached' not in key
    }
    write_run(project, 'a/broken', None, {4000: broken}, loss="dict(type='DiceLoss')")
    runs = read_project(project)
    report.draw_results(runs, [run.name for run in runs])
    styles = [
        {line.get_label(): (line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
        for figure in drawn[:4]
    ]
    assert 'a/broken' not in styles[0] and 'a/broken' in styles[2]
    assert styles[0].items() <= styles[2].items() and len(set(styles[2].values())) == 3


def test_unknown_run_is_named(project):
    runs = read_project(project)
    assert [run.name for run in choose_runs(runs, ['fastscnn/focal'])] == ['fastscnn/focal']
    with pytest.raises(ValueError, match=r"'focal' is not in the project; it has fastscnn/ce"):
        choose_runs(runs, ['focal'])


def test_legend_says_no_more_than_it_must(project):
    assert legend_labels(read_project(project)) == ['CrossEntropyLoss', 'FocalLoss']
    write_run(project, 'pspnet/psp', backbone='ResNetV1c', head='PSPHead')
    assert legend_labels(read_project(project)) == [
        'Fast-SCNN CrossEntropyLoss',
        'Fast-SCNN FocalLoss',
        'PSPNet FocalLoss',
    ]
    write_run(project, 'pspnet/psp_aug', backbone='ResNetV1c', head='PSPHead', data='data/x_aug_rust')
    assert legend_labels(read_project(project))[-1] == 'PSPNet FocalLoss w/ Rust aug.'


def test_class_colors_are_those_of_the_dataset_and_never_run_out():
    from mmseg.datasets import WTADataset

    assert [list(color) for color in class_colors()] == WTADataset.METAINFO['palette']
    assert class_colors(2, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]) == ((1, 2, 3), (4, 5, 6))
    assert class_colors(3, [[1, 2, 3]]) == ((1, 2, 3), rgb(SERIES[0]), rgb(SERIES[1]))
    assert rgb('#0072B2') == (0, 114, 178)


def _bars(values, classes, **options):
    rows = [Row('', 'run', tuple(Summary.of([value]) for value in line)) for line in values]
    return draw_bars(rows, [f'run {index}' for index in range(len(rows))], classes, **options)


def test_axes_of_zeros_have_a_range_in_percent():
    zero = Curve('zero', {step: Summary.of([0.0]) for step in (1, 2, 3)})
    bottom, top = draw_curves([zero], 'broken', 'IoU').axes[0].get_ylim()
    assert -2 < bottom < 0 and 5 <= top <= 20
    for axes in _bars([[0.0] * 6], ('attached', 'broken')).axes:
        assert axes.get_ylim()[1] >= 5


@pytest.mark.parametrize(('runs', 'classes'), [(1, 2), (3, 4), (9, 4), (12, 2)])
def test_legends_are_inside_and_over_no_bar(runs, classes):
    names = tuple(f'class {index}' for index in range(classes))
    figure = _bars([[90.0] * (2 * classes + 2)] * runs, names)
    figure.canvas.draw()
    assert not figure.legends
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        box = axes.get_window_extent()
        assert box.x0 <= legend.x0 and legend.x1 <= box.x1 and box.y0 <= legend.y0 and legend.y1 <= box.y1
        assert len(axes.patches) == runs * classes
        assert not any(legend.overlaps(bar.get_window_extent()) for bar in axes.patches)
        assert not any(legend.overlaps(text.get_window_extent()) for text in axes.texts)


def test_legends_of_curves_are_above_every_curve():
    curves = [Curve(f'run {i}', {step: Summary.of([50.0 + i]) for step in (1, 2)}) for i in range(7)]
    figure = draw_curves(curves, 'broken', 'IoU')
    figure.canvas.draw()
    (axes,) = figure.axes
    legend = axes.get_legend().get_window_extent()
    assert legend.y0 > max(axes.transData.transform((1, 56.0))[1], 0)


def test_smoke_runs_say_so_on_every_image():
    curve = Curve('a', {1: Summary.of([1.0])})
    titles = [draw_curves([curve], 'broken', 'IoU', smoke=True).axes[0].get_title()]
    titles.append(_bars([[1.0] * 6], ('attached', 'broken'), smoke=True).get_suptitle())
    assert all('smoke run' in title for title in titles)


def test_korean_names_take_a_font_that_has_them(monkeypatch):
    figure = _bars([[1.0] * 4], ('긁힘',))
    monkeypatch.setattr(
        plots, 'font_families', lambda texts: ['DejaVu Sans', 'Serif'] if '긁힘' in set(texts) else []
    )
    plots.png(figure)
    assert figure.axes[0].get_legend().get_texts()[0].get_fontfamily() == ['DejaVu Sans', 'Serif']
