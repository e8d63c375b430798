import cv2
import numpy as np
import pytest
from recorded_project import metrics_of, write_run

from wtaseg.cli.report import main_overlays
from wtaseg.palette import class_colors
from wtaseg.report.labels import legend_labels
from wtaseg.report.overlays import choose_images, draw_overlay, predicted_images, write_pairs
from wtaseg.report.project import draw_overlays, write_images
from wtaseg.runs.records import read_project

TEST = metrics_of([99, 43, 21], [99, 71, 38])


@pytest.fixture
def project(tmp_path):
    """Two runs that predicted b1 and b2 of the test images b0, b1 and b2."""
    data = tmp_path / 'data'
    for part in ('img_dir/test', 'ann_dir/test'):
        (data / part).mkdir(parents=True)
    for index in range(3):
        labels = np.zeros((48, 48), np.uint8)
        labels[10 : 11 + index, 10:20] = index
        cv2.imwrite(str(data / f'img_dir/test/b{index}.png'), np.full((48, 48, 3), 50, np.uint8))
        cv2.imwrite(str(data / f'ann_dir/test/b{index}.png'), labels)
    path = tmp_path / 'project'
    for name, loss in (('focal', "dict(type='FocalLoss')"), ('ce', "dict(type='CrossEntropyLoss')")):
        run = write_run(path, f'fastscnn/{name}', TEST, loss=loss, data=str(data))
        (run / 'test/pred').mkdir(parents=True)
        for index in (1, 2):
            cv2.imwrite(str(run / f'test/pred/b{index}.png'), labels)
    return path


def test_the_recorded_palette_colours_the_classes(project):
    image = predicted_images(read_project(project)[0])['b2']
    drawn = draw_overlay(image, {}, ('a', 'b', 'c'), [(0, 0, 0), (1, 2, 3), (200, 10, 220)])
    assert (drawn == (200, 10, 220)).all(axis=2).sum() > 60
    assert not (drawn == class_colors()[2]).all(axis=2).any()


def test_images_are_spread_over_classes_and_sizes():
    labels = {}
    for index in range(10):
        labels[f'a{index}'] = np.zeros((8, 8), np.uint8)
        labels[f'a{index}'].flat[: index + 1] = 1
    labels['rare'] = np.full((8, 8), 2, np.uint8)
    assert choose_images(labels, 3) == ['rare', 'a0', 'a9']
    assert len(choose_images(labels, 50)) == 11


def test_overlays_take_image_truth_and_prediction_of_the_same_name(project, tmp_path):
    runs = read_project(project)
    written = write_images(draw_overlays(runs, legend_labels(runs), count=1), tmp_path / 'out')
    # of the two that were predicted, the one with the class of the highest id
    assert [path.name for path in written] == ['b2.png']
    assert cv2.imread(str(written[0])).shape[1] > 4 * 400
    with pytest.raises(ValueError, match="'b0' is not among the predicted"):
        draw_overlays(runs, legend_labels(runs), names=['b0'])


def test_pairs_have_the_truth_left_and_the_prediction_right(project):
    run = read_project(project)[0]
    assert write_pairs(run) == 2
    pair = cv2.cvtColor(cv2.imread(str(run.path / 'test/b1.png')), cv2.COLOR_BGR2RGB)
    middle = pair.shape[1] // 2
    colors = class_colors()
    # beyond the legend with both colours: b1 is labelled 1 in two lines and predicted 2 in three
    halves = [part[:-30] for part in (pair[:, :middle], pair[:, middle:])]
    drawn = [{label for label in (1, 2) if (half == colors[label]).all(axis=2).any()} for half in halves]
    assert drawn == [{1}, {2}]


def test_predictions_of_a_plain_test_are_found(project, tmp_path):
    run = project / 'exp/fastscnn/ce'
    plain = tmp_path / 'plain'
    (plain / '20250101_000000').mkdir(parents=True)
    (run / 'test/pred').rename(tmp_path / 'out')
    source = next(run.glob('train/*/vis_data/config.py'))
    (plain / '20250101_000000/vis_data').mkdir()
    evaluator = f"test_evaluator = dict(type='IoUMetric', output_dir={str(tmp_path / 'out')!r})\n"
    (plain / '20250101_000000/vis_data/config.py').write_text(source.read_text() + evaluator)
    (record,) = read_project(plain)
    assert list(predicted_images(record)) == ['b1', 'b2']


def test_a_recorded_config_is_not_executed(project, capsys):
    config = next(project.glob('exp/fastscnn/ce/train/*/vis_data/config.py'))
    proof = project / 'executed'
    config.write_text(config.read_text() + f'\nopen({str(proof)!r}, "w").close()\n')
    assert main_overlays([str(project)]) == 1
    assert 'not a literal' in capsys.readouterr().err and not proof.exists()
    assert main_overlays([str(project), '--trust', '--count', '1']) == 0 and proof.exists()
    assert capsys.readouterr().out.strip() == str(project / 'overlays/b2.png')


def test_wrong_arguments(project, capsys):
    assert main_overlays([str(project), '--count', '0']) == 1
    assert '--count: 0; expected at least 1' in capsys.readouterr().err
    assert main_overlays([str(project), '--count', '1', '--images', 'b1']) == 2
    assert main_overlays([str(project), '--runs', 'ce']) == 1
    assert "'ce' is not in the project" in capsys.readouterr().err
