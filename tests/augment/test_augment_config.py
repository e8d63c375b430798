"""Parameters: published defaults, command line, config files, and what is refused."""

import dataclasses

import pytest

from augment.command_line import build_parser, parse_config, read_config_file
from augment.config import AugmentConfig


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / 'wta'
    folder.mkdir()
    return folder


def test_defaults_are_the_published_ones():
    config = AugmentConfig()
    # README, "Parameter Introduction" and "Prompt"
    assert (config.rli_alpha, config.cross, config.self_replace, config.eq) == (0.1, 0.4, 0.3, 2)
    assert (config.low_resource, config.steps, config.guidance) == (False, 50, 15)
    assert (config.source_prompt, config.word) == ('photo of a crack', ['peeling'])
    assert config.prompt('rust') == 'photo of a crack with rust'


def test_help_names_every_flag_with_default_and_source():
    text = ' '.join(build_parser().format_help().split())
    for f in dataclasses.fields(AugmentConfig):
        assert '--' + ('self' if f.name == 'self_replace' else f.name.replace('_', '-')) in text
        assert f.metadata['help'].split()[0] in text
    assert 'default: 15.0; source: README, "Parameter Introduction"' in text


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


def test_python_config_may_compute(tmp_path):
    file = tmp_path / 'c.py'
    file.write_text(
        'from math import sqrt\n_half = 0.5\ncross = sqrt(_half ** 2)\nsteps = 10 * 2\nword = "dent"\n'
    )
    assert read_config_file(file) == {'cross': 0.5, 'steps': 20, 'word': ['dent']}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('stepps: 3', "unknown name 'stepps'; did you mean steps"),
        ('steps: 2.5', 'steps is 2.5; expected int'),
        ('steps: yes', 'steps is True; expected int'),
        ('word: [1]', 'expected a word or a list of words'),
        ('- a', 'holds a list'),
        ('a: [', 'not valid YAML'),
    ],
)
def test_bad_config_files_are_named(tmp_path, text, said):
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=said.replace('[', r'\[')) as error:
        read_config_file(file)
    assert 'c.yaml' in str(error.value)


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['--rli-alpha', '1.5'], 'rli-alpha: 1.5 found, expected between 0.0 and 1.0'),
        (['--self', '-0.1'], 'self: -0.1 found'),
        (['--guidance', 'nan'], 'guidance: nan found'),
        (['--steps', '0'], 'steps: 0 found, expected at least 1'),
        (['--resolution', '500'], 'resolution: 500 is not a multiple of 64'),
        (['--target-prompt', 'photo of a crack'], 'does not contain the word'),
        (['--word', 'a b', 'a_b'], 'would write the same files'),
        (['--word', '!!'], 'holds no letter or digit'),
        (['--split', 'test'], 'for evaluation and never edited'),
    ],
)
def test_values_out_of_range_are_refused(data, argv, said):
    with pytest.raises(ValueError, match=said):
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
    config.word = ['rust', 'deep scratch']
    assert config.out_dir() == data.with_name('wta_aug_rust_deep_scratch')
    assert config.cache_dir() == data.parent / '.cache' / 'inversions'
    config.cache = 'none'
    assert config.cache_dir() is None


def test_settings_without_effect_are_said():
    assert AugmentConfig().without_effect() == []
    said = AugmentConfig(inversion='ddim', inner_steps=3, crop_min=64, max_outside=1.0).without_effect()
    assert [line.split('=')[0] for line in said] == ['inner_steps', 'crop_min', 'max_outside']
