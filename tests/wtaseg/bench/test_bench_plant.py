"""``wta-seg bench plant``: planted defects lie on the part."""

import json

import numpy as np
import pytest

from wtaseg.blades.scene import metal_of, render_blade
from wtaseg.cli import main


def test_the_command_prints_a_table_and_writes_the_same_figures(capsys, tmp_path):
    file = tmp_path / 'out.json'
    words = ['bench', 'plant', '--images', '24', '--size', '192', '--seed', '5', '--defects', '10']
    assert main([*words, '--difference', '9', '60', '--json', str(file)]) == 0
    strict, loose = json.loads(file.read_text())
    assert strict['planted'] > 10 and strict['on_metal'] > 95 > strict['metal'] + 5
    assert loose['tries'] <= strict['tries'] and loose['planted'] == loose['wanted']
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and f'{strict["planted"]} of {strict["wanted"]}' in lines[2]


def test_without_normal_images_there_is_nothing_to_measure(capsys):
    assert main(['bench', 'plant', '--images', '1', '--size', '64']) == 1
    assert '--images 1: none is normal, or has a defect to plant' in capsys.readouterr().err


@pytest.mark.parametrize('index', [0, 3])
def test_metal_is_that_of_the_rendered_image(index):
    metal = metal_of(5, 'train', index, 128)
    blade = render_blade(5, 'train', index, 128)
    assert 0.5 <= metal.mean() < 1 and metal[blade.label > 0].mean() > 0.9
    # the background is brighter or darker than the part
    assert abs(np.median(blade.image[metal]) - np.median(blade.image[~metal])) > 5
