"""The demo's edited images: what is done without the model, and what with one."""

import sys
from types import SimpleNamespace

import pytest

from augment import shipped
from wtaseg import demo


@pytest.fixture
def runs(monkeypatch):
    """Stages of the demo that take long, replaced; their arguments."""
    calls = SimpleNamespace(experiments=None, config=None, accepted=3, sheet=None)

    def train_and_test(layout, scale, experiments):
        calls.experiments = list(experiments)
        return 0

    def run(config, progress):
        calls.config = config
        return SimpleNamespace(accepted=calls.accepted, text=lambda: f'{calls.accepted} edits accepted')

    monkeypatch.setattr(demo, 'train_and_test', train_and_test)

    def write_results(project, overlays, sheet):
        calls.sheet = sheet
        return 0

    monkeypatch.setattr(demo, 'write_results', write_results)
    monkeypatch.setattr(
        'wtaseg.relabel.command.relabel', lambda root, *_, **__: SimpleNamespace(sheet=root / 'sheet')
    )
    monkeypatch.setattr('augment.pipeline.run', run)
    return calls


def test_without_the_model_the_demo_says_so_in_a_line_and_trains_both_losses(
    runs, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, 'WEIGHTS', tmp_path / 'none')
    assert demo.run_demo('a', smoke=True) == 0
    assert [e.name for e in runs.experiments] == list(demo.EXPERIMENTS)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if 'edited images' in line]
    assert line.startswith("Without edited images: model 'demo'") and 'README.md' in line


def test_a_missing_package_is_named_with_its_remedy(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, 'WEIGHTS', tmp_path)
    (tmp_path / 'model_index.json').write_text('{}')
    monkeypatch.setitem(sys.modules, 'diffusers', None)
    assert demo.edit_images(tmp_path / 'data', demo.SMOKE, threads=1) is None
    line = capsys.readouterr().out
    assert 'diffusers' in line and line.endswith('pip install "wta-seg[augment]"\n')


@pytest.mark.parametrize('accepted', [3, 0])
def test_with_the_model_a_third_experiment_trains_on_the_edited_images(runs, tmp_path, monkeypatch, accepted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, 'WEIGHTS', tmp_path)
    (tmp_path / 'model_index.json').write_text('{}')
    runs.accepted = accepted
    assert demo.run_demo('a', smoke=True) == 0
    assert (runs.config.model, runs.config.word) == ('demo', ['peeling', 'rust'])
    assert {name: getattr(runs.config, name) for name in shipped.DEFAULTS} == shipped.DEFAULTS
    assert len(runs.experiments) == (3 if accepted else 2)
    if accepted:
        out = tmp_path / 'data/wta_demo_smoke_aug_peeling_rust'
        assert runs.experiments[2].overrides == (f'train_dataloader.dataset.data_root={out}',)
        assert runs.experiments[2].config == demo.EXPERIMENTS[0]
    assert runs.sheet == (out / 'sheet' if accepted else None)


def test_the_page_shows_edits_with_both_labels(tmp_path, monkeypatch):
    (tmp_path / 'sheet.png').write_bytes(b'PNG')
    report = SimpleNamespace(images=[], write=lambda parts, folder, count: True)
    monkeypatch.setattr(demo.ProjectReport, 'read', lambda project: report)
    assert demo.write_results(tmp_path, 2, tmp_path / 'sheet.png') == 0
    assert [image.png for image in report.images] == [b'PNG']
    assert demo.write_results(tmp_path, 2, None) == 0 and len(report.images) == 1
