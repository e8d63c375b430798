"""Parameters: published defaults, command line, config files, and what is refused."""

import dataclasses
import subprocess
import sys

import pytest

from augment.command_line import parse_config
from augment.config import AugmentConfig
from augment.shipped import DEFAULTS


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / 'wta'
    folder.mkdir()
    return folder


def test_defaults_are_the_published_ones():
    config = AugmentConfig()
    # docs/method.md, the table under "Editing the training images"
    assert (config.rli_alpha, config.cross, config.self_replace, config.eq) == (0.1, 0.4, 0.3, 2)
    assert (config.low_resource, config.steps, config.guidance) == (False, 50, 15)
    assert (config.source_prompt, config.word) == ('photo of a crack', ['peeling'])
    assert config.prompt('rust') == 'photo of a crack with rust'


def test_help_names_every_flag_with_default_and_source(capsys):
    assert parse_config(['--help']) is None
    text = ' '.join(capsys.readouterr().out.replace('│', ' ').split())
    for f in dataclasses.fields(AugmentConfig):
        assert '--' + ('self' if f.name == 'self_replace' else f.name.replace('_', '-')) in text
        assert f.metadata['help'].split()[0] in text
    assert 'default: 15.0; source: published method' in text
    assert '<data>_aug_<word>' in text


def test_help_imports_nothing_heavy():
    code = 'import sys; from augment.run import main; main(["--help"]); print(*sys.modules, file=sys.stderr)'
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    heavy = {'torch', 'diffusers', 'transformers', 'accelerate', 'numpy', 'cv2', 'scipy', 'skimage'}
    assert '--rli-alpha' in result.stdout and not heavy & set(result.stderr.split())


def test_command_line_over_file_over_default(data, tmp_path):
    file = tmp_path / 'c.yaml'
    file.write_text(f'data: {data}\nself: 0.5\nrli-alpha: 0\nword: [rust, dent]\nlow_resource: true\n')
    config = parse_config(['--config', str(file), '--self', '0.7', '--guidance', '7.5'])
    assert (config.self_replace, config.rli_alpha, config.guidance) == (0.7, 0.0, 7.5)
    assert (config.word, config.low_resource, config.steps) == (['rust', 'dent'], True, 50)
    config = parse_config(
        ['--config', str(file), '--word', 'peeling', '--word', 'scratch', '--no-low-resource']
    )
    assert (config.word, config.low_resource) == (['peeling', 'scratch'], False)


def test_the_demo_model_has_defaults_of_its_own_that_flags_and_files_replace(data, tmp_path):
    common = ['--data', str(data), '--model', 'demo']
    config = parse_config(common)
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS
    assert config.resolution != AugmentConfig.resolution and config.steps == AugmentConfig.steps
    assert parse_config([*common, '--guidance', '33']).guidance == 33
    file = tmp_path / 'c.yaml'
    file.write_text(f'data: {data}\nmodel: demo\nresolution: 256\n')
    config = parse_config(['--config', str(file)])
    assert (config.resolution, config.crop_min) == (256, DEFAULTS['crop_min'])
    assert parse_config(['--data', str(data)]).resolution == AugmentConfig.resolution


def test_python_config_may_compute(data, tmp_path):
    file = tmp_path / 'c.py'
    file.write_text(
        'from math import sqrt\n_half = 0.5\ncross = sqrt(_half ** 2)\nsteps = 10 * 2\nword = "dent"\n'
    )
    config = parse_config(['--data', str(data), '--config', str(file)])
    assert (config.cross, config.steps, config.word) == (0.5, 20, ['dent'])
    unchanged = {'config': '', 'data': '', 'cross': 0.4, 'steps': 50, 'word': ['peeling']}
    assert dataclasses.replace(config, **unchanged) == AugmentConfig()


def test_a_config_file_may_use_the_field_name(data, tmp_path):
    file = tmp_path / 'c.yaml'
    file.write_text('self_replace: 0.5\n')
    assert parse_config(['--data', str(data), '--config', str(file)]).self_replace == 0.5


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('stepps: 3', r'stepps.* from .*Did you mean --steps'),
        ('steps: 2.5', r'\[steps\]: .*whole number, found .2\.5. from '),
        ('steps: yes', r'\[steps\]: .*found .True. from '),
        ('guidance: high', r'\[guidance\] from .*"high" into float'),
        ('blend: some', r'blend.*"label", "attention", "none"'),
        ('word: [1]', 'expected a word or a list of words'),
        ('word: no', 'word is False; expected a word'),
        ('config: d.yaml', 'config cannot be set in a config file'),
        ('- a', 'holds a list'),
        ('a: [', 'not valid YAML'),
    ],
)
def test_bad_config_files_are_named(data, tmp_path, text, message):
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        parse_config(['--data', str(data), '--config', str(file)])
    assert 'c.yaml' in str(error.value)


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--rli-alpha', '1.5'], 'rli-alpha: 1.5 found, expected between 0.0 and 1.0'),
        (['--self', '-0.1'], 'self: -0.1 found'),
        (['--guidance', 'nan'], 'guidance: nan found'),
        (['--steps', '0'], 'steps: 0 found, expected between 1 and 1000'),
        (['--resolution', '500'], 'resolution: 500 is not a multiple of 64'),
        (['--target-prompt', 'photo of a crack'], 'does not contain the word'),
        (['--word', 'a b', 'a_b'], 'would write the same files'),
        (['--word', '!!'], 'has no letter or digit'),
        (['--split', 'test'], 'for evaluation and never edited'),
        (['--steps', '2.5'], 'steps.*whole number'),
        (['--stepps', '3'], 'Did you mean --steps'),
        (['--inversion', 'magic'], '"null-text", "negative-prompt", "direct", "ddim"'),
        (['train'], 'train'),
    ],
)
def test_bad_arguments_are_refused(data, argv, message):
    with pytest.raises(ValueError, match=message):
        parse_config(['--data', str(data), *argv])


def test_data_must_be_there_and_out_apart_from_it(data):
    with pytest.raises(ValueError, match='data: not given'):
        parse_config([])
    with pytest.raises(FileNotFoundError, match='is not a folder'):
        parse_config(['--data', str(data / 'nowhere')])
    with pytest.raises(ValueError, match='lie in one another'):
        parse_config(['--data', str(data), '--out', str(data / 'aug')])


def test_output_is_named_after_data_and_words(data):
    config = AugmentConfig(data=str(data) + '/', word=['peeling'])
    assert config.out_dir() == data.with_name('wta_aug_peeling')
    config = dataclasses.replace(config, word=['rust', 'deep scratch'])
    assert config.out_dir() == data.with_name('wta_aug_rust_deep_scratch')
    assert config.cache_dir() == data.parent / '.cache' / 'inversions'
    assert dataclasses.replace(config, cache='none').cache_dir() is None


def test_a_config_is_checked_when_it_is_made(data):
    with pytest.raises(ValueError, match='rli-alpha: 2 found'):
        AugmentConfig(rli_alpha=2)
    with pytest.raises(ValueError, match="blend: 'all' is not one of label, attention, none"):
        AugmentConfig(blend='all')
    with pytest.raises(dataclasses.FrozenInstanceError):
        AugmentConfig(data=str(data)).steps = 0


def test_settings_without_effect_are_named():
    assert AugmentConfig().without_effect() == []
    lines = AugmentConfig(
        inversion='ddim', inner_steps=3, crop='none', crop_min=64, max_outside=1.0
    ).without_effect()
    assert [line.split('=')[0] for line in lines] == ['inner_steps', 'crop_min', 'max_outside']


def test_of_a_repeated_flag_the_last_counts(data):
    config = parse_config(['--data', str(data), '--steps', '3', '--summary', '--steps', '5', '--no-summary'])
    assert (config.steps, config.summary) == (5, False)
