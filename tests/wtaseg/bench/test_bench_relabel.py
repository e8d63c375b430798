"""``wta-seg bench relabel``: copied and proposed labels against the truth of rendered twins."""

import json

import numpy as np
import pytest

from wtaseg.bench.relabel import measure, with_noise
from wtaseg.blades.styles import STYLES
from wtaseg.cli import main
from wtaseg.relabel.options import ProposalOptions


@pytest.fixture(scope='module')
def rows():
    return measure(2, seed=5, size=256, noises=(0.0, 3.0))


def test_half_of_the_error_is_gone_and_no_word_is_worse(rows):
    assert {row.word for row in rows} == set(STYLES) and len(rows) == 2 * 6 * 2
    for row in rows:
        assert row.proposed > row.copied
    assert np.mean([row.error_gone for row in rows]) > 50


def test_labels_that_may_not_grow_are_worse(rows):
    held = measure(2, seed=5, size=256, options=ProposalOptions(reach=1))
    assert sum(row.proposed for row in held) < sum(row.proposed for row in rows if row.noise == 0) - 50


def test_the_command_prints_a_table_and_writes_the_same_figures(capsys, tmp_path):
    file = tmp_path / 'out.json'
    assert (
        main(
            [
                'bench',
                'relabel',
                *['--images', '1', '--size', '128', '--seed', '5', '--noise', '0', '--json'],
                str(file),
            ]
        )
        == 0
    )
    table = capsys.readouterr().out.splitlines()
    values = json.loads(file.read_text())
    assert len(table) == 2 + 6 and len(values) == 12
    line = next(line for line in table if '| rust |' in line)
    assert f'{values[2]["copied"]:.1f}' in line and values[2]['word'] == 'rust'


def test_noise_is_added_where_an_edit_writes(tmp_path):
    image = np.full((8, 8, 3), 100, np.uint8)
    where = np.arange(64).reshape(8, 8) < 32
    noisy = with_noise(image, where, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy[~where], image[~where])
    assert 2 < noisy[where].std() < 4
