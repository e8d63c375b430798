"""The operating point goes from a validation into checkpoints and from a checkpoint into the test."""

import json
from pathlib import Path

import pytest
import torch

from mmseg.engine import build_runner
from mmseg.evaluation.inspection import OperatingPoint, read_operating_point
from mmseg.utils import launch
from wtaseg.runs.select import find_best

EVALUATORS = dict(
    val_evaluator=[dict(type='IoUMetric'), dict(type='InspectionMetric', choose_operating_point=True)],
    test_evaluator=[dict(type='IoUMetric'), dict(type='InspectionMetric')],
)


@pytest.fixture
def trained(experiment):
    """Work folder and config of a run with validations at steps 2 and 4, and checkpoints at 1, 2, 3 and 4."""
    cfg = experiment(
        **{'train_cfg.val_interval': 2, 'default_hooks.checkpoint.interval': 1}
        | {'default_hooks.checkpoint.save_best': 'mOPFound'}
    )
    cfg.merge_from_dict(EVALUATORS)
    runner = build_runner(cfg)
    runner.train()
    return Path(cfg.work_dir), cfg, runner


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_validation_to_checkpoint_to_test(trained, experiment):
    folder, _, runner = trained
    points = {path.stem: read_operating_point(path) for path in sorted(folder.glob('*.pth'))}
    assert points['iter_1'] is None and points['iter_3'] is None
    assert isinstance(points['iter_2'], OperatingPoint)
    (best,) = (name for name in points if name.startswith('best_mOPFound_iter_'))
    assert points[best] == points[f'iter_{best[-1]}']
    point = points['iter_4']
    assert list(point.classes) == ['attached', 'broken'] and (point.target, point.images) == (0.1, 8)
    last = runner.message_hub.get_scalar('val/OPThreshold.broken').current()
    assert last == pytest.approx(point.classes['broken'].threshold, abs=1e-6, nan_ok=True)
    # the checkpoint is otherwise as it was saved
    saved = torch.load(folder / 'iter_4.pth', weights_only=True)
    for name, value in runner.model.state_dict().items():
        assert torch.equal(saved['state_dict'][name], value)
    assert saved['meta']['iter'] == 4 and 'optimizer' in saved

    cfg = experiment(load_from=str(folder / 'iter_4.pth'), work_dir=str(folder / 'test'))
    cfg.merge_from_dict(EVALUATORS)
    tester = build_runner(cfg)
    scores = tester.test()
    for name, one in point.classes.items():
        expected = float('nan') if one.threshold is None else one.threshold
        assert scores[f'OPThreshold.{name}'] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    (file,) = (folder / 'test').glob('*/inspection.json')
    content = json.loads(file.read_text())
    assert OperatingPoint.from_dict(content['operating_point']).to_dict().keys() == point.to_dict().keys()
    assert content['at_operating_point']['broken']['found'] == pytest.approx(
        scores['OPFound.broken'], nan_ok=True
    )
    stored = json.loads((file.parent / f'{file.parent.name}.json').read_text())
    assert stored['mOPFound'] == pytest.approx(scores['mOPFound'], nan_ok=True)

    # another number of false alarms: its thresholds are those of the validation curves
    launch.set_false_alarms(cfg, 'test', 3.0)
    cfg.experiment_name += '_again'
    tester = build_runner(cfg)
    scores = tester.test()
    (_, metric) = tester.test_evaluator.metrics
    assert metric.inspection.point.target == 3.0
    for name, one in point.at(3.0).classes.items():
        expected = float('nan') if one.threshold is None else one.threshold
        assert scores[f'OPThreshold.{name}'] == pytest.approx(expected, abs=1e-6, nan_ok=True)
        assert one.false_alarms <= 3.0


def test_no_metric_for_the_false_alarms(experiment):
    for split in ('val', 'test'):
        with pytest.raises(ValueError, match=f'{split}_evaluator has no InspectionMetric; expected dict'):
            launch.set_false_alarms(experiment(), split, 1.0)
    with pytest.raises(ValueError, match='--false-alarms: -1; expected a number per image from 0'):
        launch.set_false_alarms(experiment(), 'val', -1.0)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_checkpoint_without_an_operating_point_gives_none(trained, experiment):
    folder, _, _ = trained
    cfg = experiment(load_from=str(folder / 'iter_3.pth'), work_dir=str(folder / 'test'))
    cfg.merge_from_dict(EVALUATORS)
    scores = build_runner(cfg).test()
    assert 'Found.broken' in scores and not [key for key in scores if key.startswith(('OP', 'mOP'))]


def test_curves_are_beside_the_log_and_a_resumed_training_adds_its_own(trained, experiment):
    folder, _, _ = trained
    (file,) = folder.glob('*/vis_data/operating_points.jsonl')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line['step'] for line in lines] == [2, 4]
    for line in lines:
        stored = read_operating_point(folder / f'iter_{line["step"]}.pth')
        for rate in (0.1, 2.0, 50.0):
            assert read_operating_point(line).at(rate).thresholds == stored.at(rate).thresholds
    log = file.parent / f'{file.parent.parent.name}.json'
    # of equal ones the latest
    scores = {line['step']: read_operating_point(line).at(50.0).mean_found for line in lines}
    best = max(scores, key=lambda step: (scores[step], step))
    assert find_best([log], false_alarms=50.0) == (best, pytest.approx(scores[best]))

    before = read_operating_point(folder / 'iter_4.pth')
    cfg = experiment(
        **{'train_cfg.val_interval': 2, 'train_cfg.max_iters': 5, 'default_hooks.checkpoint.interval': 1},
        resume=True,
    )
    cfg.merge_from_dict(EVALUATORS)
    build_runner(cfg).train()
    assert read_operating_point(folder / 'iter_4.pth') == before
    assert read_operating_point(folder / 'iter_5.pth') is not None
