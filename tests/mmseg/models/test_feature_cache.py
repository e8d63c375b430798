"""Cached features are the computed ones in half precision, and belong to one image and one backbone."""

import os

import numpy as np
import pytest
import torch

from mmseg.models.utils.feature_cache import FeatureCache, digest_of_model


class Encoder(torch.nn.Module):
    """A backbone that counts how many images it has encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 2, stride=2)
        self.images = 0

    @torch.no_grad()
    def forward(self, images):
        self.images += len(images)
        maps = self.conv(images)
        return [maps, [maps * 2, maps.mean((2, 3))]]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder()


@pytest.fixture
def cache(tmp_path, encoder):
    return FeatureCache(tmp_path, digest_of_model(encoder, ''), limit_gb=1)


def images(n=2, seed=0, size=(8, 6)):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def flat(features):
    return [features[0], *features[1]]


def test_features_are_computed_once_and_rounded_alike(cache, encoder):
    first = cache.features(images(), encoder)
    assert (encoder.images, cache.read, cache.computed) == (2, 0, 2)
    again = cache.features(images().flip(0), encoder)
    assert (encoder.images, cache.read, cache.computed) == (2, 2, 2)
    for one, other, exact in zip(flat(first), flat(again), flat(encoder(images()))):
        assert one.dtype == torch.float32 and torch.equal(one.flip(0), other)
        assert torch.equal(one, exact.half().float()) and not torch.equal(one, exact)


def test_another_image_size_or_precision_has_other_features(cache, encoder):
    one = images(1)
    cache.features(one, encoder)
    changed = one.clone()
    changed[0, 0, 0, 0] += 1e-3
    for other in (changed, one.flip(-1), one.reshape(1, 3, 6, 8)):
        cache.features(other, encoder)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        cache.features(one, encoder)
    assert cache.read == 0 and cache.computed == 5


def test_another_backbone_has_other_features(tmp_path, encoder):
    digest = digest_of_model(encoder, 'a')
    assert digest == digest_of_model(encoder, 'a') != digest_of_model(encoder, 'b')
    with torch.no_grad():
        encoder.conv.bias[0] += 1e-3
    assert digest != digest_of_model(encoder, 'a')


@pytest.mark.parametrize('damage', [lambda path: path.write_bytes(b''), lambda path: os.truncate(path, 300)])
def test_a_damaged_file_is_computed_again(cache, encoder, damage):
    first = cache.features(images(1), encoder)
    (path,) = cache.folder.rglob('*.npz')
    damage(path)
    again = cache.features(images(1), encoder)
    assert cache.computed == 2
    assert all(torch.equal(one, other) for one, other in zip(flat(first), flat(again)))
    cache.features(images(1), encoder)
    assert cache.read == 1


def test_a_changed_byte_is_noticed(cache, encoder):
    cache.features(images(1), encoder)
    (path,) = cache.folder.rglob('*.npz')
    content = bytearray(path.read_bytes())
    content[180] ^= 1
    path.write_bytes(content)
    cache.features(images(1), encoder)
    assert cache.computed == 2


def test_the_limit_holds_for_the_folder(tmp_path, encoder):
    size = sum(np.prod(value.shape) * 2 for value in flat(encoder(images(1))))
    cache = FeatureCache(tmp_path, 'a', limit_gb=1.5 * size / 1e9)
    first = cache.features(images(2), encoder)
    again = cache.features(images(2), encoder)
    assert (cache.read, cache.computed) == (1, 3)
    assert all(torch.equal(one, other) for one, other in zip(flat(first), flat(again)))
    other = FeatureCache(tmp_path, 'b', limit_gb=1.5 * size / 1e9)
    assert other.size >= size
    other.features(images(1), encoder)
    assert len(list(tmp_path.rglob('*.npz'))) == 1
    assert not list(tmp_path.rglob('.*.tmp'))


def test_a_full_disk_costs_time_only(cache, encoder, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', full)
    cache.features(images(2), encoder)
    cache.features(images(2), encoder)
    assert cache.computed == 4 and not list(cache.folder.rglob('*'))[1:]


def test_what_half_precision_can_not_hold_is_refused(cache):
    with pytest.raises(ValueError, match=r'70000 is not finite in half precision; expected at most 65504'):
        cache.features(images(1), lambda x: [torch.full((1, 1, 1, 1), 7e4)])
