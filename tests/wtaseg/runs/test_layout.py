"""Where configs and results are, in a clone and in an installed package."""

import importlib.resources

import pytest
from recorded_project import ROOT

from wtaseg.runs import layout
from wtaseg.runs.layout import ProjectLayout, RunLayout, config_root, find_config, project_root

NAME = 'fastscnn/fast_scnn_4xb4-40k_wta-512x512'


@pytest.mark.parametrize(
    'spelling',
    [
        NAME,
        f'configs/{NAME}.py',
        f'./configs/{NAME}.py',
        f'{NAME}.py',
        f' {NAME} ',
        ROOT / f'configs/{NAME}.py',
    ],
)
def test_configs_are_found_by_name_and_by_path_from_any_folder(spelling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(spelling) == ROOT / f'configs/{NAME}.py'


def test_a_config_of_the_users_own_is_found_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').touch()
    assert find_config('mine.py') == tmp_path / 'mine.py'
    (tmp_path / 'net').mkdir()
    (tmp_path / 'net/a.py').touch()
    assert find_config('net/a', tmp_path) == tmp_path / 'net/a.py'
    (tmp_path / 'net').rename(tmp_path / 'configs')
    (tmp_path / 'configs/net').mkdir()
    (tmp_path / 'configs/a.py').rename(tmp_path / 'configs/net/a_my_parts-512x512.py')
    assert find_config('net/a_my_parts-512x512') == tmp_path / 'configs/net/a_my_parts-512x512.py'
    for part in ('my_parts', 'a_my_parts-512x512', 'data/my_parts'):
        with pytest.raises(FileNotFoundError, match='near: net/a_my_parts-512x512'):
            find_config(part)
    assert find_config(NAME) == ROOT / f'configs/{NAME}.py'


@pytest.mark.parametrize(
    'wrong', ['fastscnn/fast_scn_4xb4-40k_wta-512x512', 'fast_scnn_4xb4-40k_wta-512x512']
)
def test_near_names_are_in_the_error(wrong):
    with pytest.raises(FileNotFoundError, match=f'{wrong}.py does not exist; near: .*{NAME}'):
        find_config(wrong)


def test_without_a_clone_configs_come_from_the_package_and_results_go_to_the_current_folder(
    tmp_path, monkeypatch
):
    assert project_root() == ROOT and config_root() == ROOT / 'configs'
    package = tmp_path / 'site-packages/wtaseg'
    (package / 'runs').mkdir(parents=True)
    monkeypatch.setattr(layout, '__file__', str(package / 'runs/layout.py'))
    monkeypatch.setattr(importlib.resources, 'files', lambda name: package)
    monkeypatch.chdir(tmp_path)
    assert project_root() is None
    assert ProjectLayout.named('p').path == tmp_path / 'work_dirs/p'
    with pytest.raises(FileNotFoundError, match='this installation has no configs'):
        config_root()
    (package / 'configs/net').mkdir(parents=True)
    (package / 'configs/net/a.py').touch()
    assert find_config('configs/net/a.py') == package / 'configs/net/a.py'


def test_a_run_is_known_by_its_folder(tmp_path):
    run = RunLayout.of(tmp_path / 'p/exp/net/a')
    assert run == ProjectLayout(tmp_path / 'p').run('net/a')
    assert run.state == tmp_path / 'p/job/net/a/state.json' and run.spec == tmp_path / 'p/exp/net/a/run.json'
    assert RunLayout.of(tmp_path / 'work_dirs/net') is None
    assert RunLayout.of(tmp_path / 'p/exp') is None
    with pytest.raises(ValueError, match="'a/b' cannot be the name of a folder"):
        ProjectLayout.named('a/b')
