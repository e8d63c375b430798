"""Versions as code that was written for mmsegmentation 1.2.2 asks for them."""

import pytest

import mmseg
from mmseg import digit_version, version_info
from mmseg.version import parse_version_info


def test_the_interface_version_is_that_of_mmsegmentation():
    assert mmseg.__version__ == '1.2.2'
    assert version_info == (1, 2, 2)
    assert digit_version('1.0.0') <= digit_version(mmseg.__version__) < digit_version('2.0.0')


@pytest.mark.parametrize(
    ('version', 'digits'),
    [
        ('1.2', (1, 2, 0, 0, 0, 0)),
        ('1.2.2', (1, 2, 2, 0, 0, 0)),
        ('1.0.0rc4', (1, 0, 0, 0, -1, 4)),
        ('1.0.0rc10', (1, 0, 0, 0, -1, 10)),
        ('1.2.2.dev0', (1, 2, 2, 0, -4, 0)),
        ('2.0.0a1', (2, 0, 0, 0, -3, 1)),
        ('2.0.0b1', (2, 0, 0, 0, -2, 1)),
        ('1.2.2+cu117', (1, 2, 2, 0, 0, 0)),
        ('1.0.0.post1', (1, 0, 0, 0, 1, 1)),
    ],
)
def test_digit_version_is_the_recorded_one(version, digits):
    assert digit_version(version) == digits


def test_length_of_a_digit_version():
    assert digit_version('1.2.2', length=3) == (1, 2, 2, 0, 0)
    assert parse_version_info('1.2.3rc1') == (1, 2, 3, 'rc1')
