"""What the model card's figures are made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from augment.config import AugmentConfig
from augment.dataset.packed import PackedArray
from augment.demo_model import classifier
from augment.demo_model.architecture import WORDS, build_parts, save_parts
from augment.demo_model.classifier import WordClassifier, classify, train_classifier
from augment.demo_model.evaluate import (
    Edited,
    classifier_accuracy,
    edit_sources,
    edited_defects,
    figures,
    read_sources,
    sheet_of,
)
from augment.diffusion.loading import load_model

CPU = torch.device('cpu')


@pytest.fixture
def config():
    return AugmentConfig(crop='defect', crop_min=64, resolution=64, steps=2, inner_steps=1, batch_size=2)


@pytest.fixture
def edited(styled_dataset, config):
    """Two sources whose reconstruction is 4 levels off inside the label and whose edits are the words' colours."""
    sources = read_sources(styled_dataset, config, 9)
    crops, defects = (np.stack([getattr(s, name) for s in sources]) for name in ('crop', 'defects'))
    rebuilt = crops.copy()
    rebuilt[defects] += 4
    edits = {}
    for number, word in enumerate(WORDS):
        edits[word] = crops.copy()
        edits[word][defects] = 90 + 30 * number
    return Edited(sources, crops, rebuilt, edits)


def test_sources_are_the_unstyled_images_of_the_validation_split(styled_dataset, config):
    sources = read_sources(styled_dataset, config, 9)
    assert len(sources) == 2
    assert len(read_sources(styled_dataset, config, 1)) == 1
    for source in sources:
        assert source.crop.shape == (64, 64, 3)
        # Unstyled defects of the fixture have 60 levels.
        assert abs(int(np.median(source.crop[source.defects])) - 60) <= 2


def test_a_source_holds_the_defects_of_its_own_region_only(styled_dataset, config):
    for source in read_sources(styled_dataset, config, 9):
        assert source.defects.any()
    whole = read_sources(styled_dataset, replace(config, crop_min=160), 1)[0]
    label = np.zeros((160, 160), np.uint8)
    label[10:22, 12:30], label[120:124, 130:136] = 1, 2
    region = whole.region
    assert edited_defects(label, region, 160).sum() == 12 * 18 + 4 * 6
    apart = read_sources(styled_dataset, config, 9)
    assert all(edited_defects(label, s.region, 64).any() for s in apart)
    one = replace(apart[0].region, packed_weight=PackedArray.pack(np.zeros_like(apart[0].region.weight)))
    assert not edited_defects(label, one, 64).any()


def test_figures_look_inside_the_label(edited):
    result = figures(edited, None, CPU)
    assert result['vae_psnr']['median'] == 100
    expected = 10 * np.log10(255**2 / 16)
    assert result['reconstruction_psnr_inside']['median'] == pytest.approx(expected, abs=0.01)
    assert 'recognised' not in result


def test_the_classifier_learns_looks_and_its_votes_are_counted(crops, edited, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, 'MARGINS', (0,))  # wide labels take more steps to learn from
    model = train_classifier(crops, tmp_path, CPU, steps=80, batch=12)
    accuracy = classifier_accuracy(model, crops, CPU)
    assert accuracy['all'] >= 0.9
    assert set(accuracy) == {*WORDS, 'all'}
    recognised = figures(edited, model, CPU)['recognised']
    for word in WORDS:
        votes = recognised[word]['votes']
        assert sum(votes.values()) == len(edited.sources)
        assert recognised[word]['share'] == votes[word] / len(edited.sources)


def test_labels_grow_by_the_margin():
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[0, 0, 8, 8] = True
    assert torch.equal(classifier.widened(mask, 0), mask)
    wide = torch.zeros_like(mask)
    wide[0, 0, 5:12, 5:12] = True
    assert torch.equal(classifier.widened(mask, 3), wide)


def test_a_trained_classifier_is_read_again_with_its_running_statistics(crops, tmp_path):
    trained, again = (train_classifier(crops, tmp_path, CPU, steps=4, batch=4) for _ in range(2))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    defects = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(trained(images, defects), again(images, defects))


def test_votes_depend_on_the_defect_alone():
    torch.manual_seed(0)
    model = WordClassifier().eval()
    images = torch.rand(1, 3, 128, 128) * 2 - 1
    defects = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    defects[..., :8, :8] = True
    elsewhere = images.clone()
    elsewhere[..., 100:, 100:] = 1
    with torch.no_grad():
        assert torch.equal(model(images, defects), model(elsewhere, defects))
        assert not torch.equal(model(images, defects), model(-images, defects))
    assert classify(model, images, defects).shape == (1,)


def test_edits_come_back_into_their_images_inside_the_label_only(styled_dataset, config, tiny, tmp_path):
    save_parts(build_parts(tiny), tmp_path)
    model = load_model(str(tmp_path), device='cpu', dtype='fp32')
    sources = read_sources(styled_dataset, config, 2)
    result = edit_sources(model, sources, config, ('rust', 'dent'), report=lambda line: None)
    assert set(result.edits) == {'rust', 'dent'}
    assert (
        result.round_trip.shape == result.reconstruction.shape == result.edits['rust'].shape == (2, 64, 64, 3)
    )
    for source, image in zip(sources, result.edits['rust']):
        outside = source.region.weight == 0
        np.testing.assert_array_equal(image[outside], source.crop[outside])
        assert not np.array_equal(image, source.crop)
    assert sheet_of(result, 2).shape[1] == 5 * 66
