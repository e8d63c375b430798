"""Planted and pasted defects, and the dose of edits."""

import shutil

import numpy as np
import pytest
from augment_command import edits_of, pixels, tree

from augment.dataset.donors import count_defects
from augment.run import main


@pytest.fixture(scope='module')
def pasted(blades, tmp_path_factory):
    """A dataset with six images with pasted defects, made without a model."""
    out = tmp_path_factory.mktemp('paste') / 'out'
    assert main([*paste(blades), '--out', str(out)]) == 0
    return out


def paste(data, ratio='0.7', *more):
    return ['--data', str(data), '--mode', 'paste', '--ratio', ratio, '--plant-difference', '40', *more]


class TestPaste:
    def test_images_and_labels_are_planted_and_recorded(self, pasted, blades):
        rows = [row for row in edits_of(pasted) if row['accepted']]
        assert len(edits_of(pasted)) == 6 and len(rows) > 3
        for row in rows:
            assert row['mode'] == row['word'] == 'paste' and row['model'] is None and row['regions'] == []
            source, image = pixels(blades / row['source']), pixels(pasted / row['file'])
            label = pixels(pasted / row['label'])
            changed = (source != image).any(-1)
            assert changed[label > 0].mean() > 0.5 and changed.sum() < 0.2 * changed.size
            assert sum(count_defects(label).values()) > 0
            for defect in row['planting']['defects']:
                assert {'donor', 'position', 'defect', 'turn', 'donor_box'} <= defect.keys()
                assert (blades / defect['donor']).is_file()
            assert np.array_equal(pixels(pasted / row['planting']['image']), image)
            assert np.array_equal(pixels(pasted / row['planting']['label']), label)
            assert (
                row['relabelled'] is False
                and not pixels(blades / row['source'].replace('img_dir', 'ann_dir')).any()
            )

    def test_a_second_run_changes_nothing(self, pasted, blades):
        before = tree(pasted)
        assert main([*paste(blades), '--out', str(pasted)]) == 0
        assert tree(pasted) == before

    def test_an_interrupted_run_ends_with_the_same_bytes(self, pasted, blades, tmp_path, monkeypatch):
        from augment.dataset.writing import EditWriter

        real, made = EditWriter.paste, []

        def stop(self, sample):
            if len(made) == 2:
                raise KeyboardInterrupt
            made.append(sample)
            return real(self, sample)

        argv = [*paste(blades), '--out', str(tmp_path / 'out')]
        with monkeypatch.context() as patch:
            patch.setattr(EditWriter, 'paste', stop)
            assert main(argv) == 130
        assert main(argv) == 0 and tree(tmp_path / 'out') == tree(pasted)

    def test_a_changed_donor_is_planted_again(self, pasted, data, tmp_path):
        out = shutil.copytree(pasted, tmp_path / 'out')
        first = next(row for row in edits_of(out) if row['planting']['defects'])
        donor = data / first['planting']['defects'][0]['donor']
        image = pixels(donor)
        image[0, 0] = 255 - image[0, 0]
        from PIL import Image

        Image.fromarray(image).save(donor)
        assert main([*paste(data), '--out', str(out)]) == 0
        again = next(row for row in edits_of(out) if row['file'] == first['file'])
        assert again['planting'] != first['planting']
        for row in edits_of(out):
            assert not row['accepted'] or row['relabelled'] is False

    def test_edits_do_not_mix_with_it(self, pasted, blades, arguments, capsys):
        assert main(arguments(blades, '--out', str(pasted))) == 2
        assert "edits made with mode='paste', now mode='edit'" in capsys.readouterr().err

    def test_the_default_folder_is_named_by_the_mode(self, data, capsys):
        assert main([*paste(data), '--dry-run']) == 0
        assert f'{data}_paste: ' in capsys.readouterr().out

    def test_the_contact_sheet_shows_what_was_planted(self, pasted, blades, tmp_path):
        out = shutil.copytree(pasted, tmp_path / 'out')
        assert main([*paste(blades), '--out', str(out), '--summary']) == 0
        accepted = sum(row['accepted'] for row in edits_of(out))
        assert pixels(out / 'summary.png').shape[0] > 200 * accepted


def test_planted_defects_are_edited(blades, arguments, tmp_path):
    out = tmp_path / 'out'
    argv = arguments(blades, '--mode', 'plant', '--limit', '2', '--plant-difference', '40', '--out', str(out))
    argv += ['--inversion', 'direct', '--crop', 'none']
    assert main(argv) == 0
    rows = [row for row in edits_of(out) if row['accepted']]
    assert rows
    for row in rows:
        assert (row['mode'], row['word']) == ('plant', 'peeling') and row['regions'][0]['metrics']
        planted, edited = pixels(out / row['planting']['image']), pixels(out / row['file'])
        label = pixels(out / row['label'])
        assert np.array_equal(label, pixels(out / row['planting']['label']))
        changed = (planted != edited).any(-1)
        assert changed[label > 0].any() and not changed[label == 0].all()
        name = row['planting']['image'].removeprefix('review/planted/')
        assert (out / 'review/reconstruction' / name).is_file()
    before = tree(out)
    assert main(argv) == 0 and tree(out) == before


@pytest.mark.parametrize(
    ('more', 'images'), [(['--ratio', '0.3'], 3), (['--ratio', '9'], 6), (['--per-class', '1=1'], 1)]
)
def test_the_dose_of_edits(data, arguments, capsys, more, images):
    assert main(arguments(data, '--dry-run', *more)) == 0
    assert f'{images} images to edit' in capsys.readouterr().out
