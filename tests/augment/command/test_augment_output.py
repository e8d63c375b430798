"""The files of an augmented dataset."""

import hashlib

import numpy as np
from augment_command import WORDS, edits_of, pixels, rows_of, tree


class TestOutput:
    def test_layout(self, reference, blades):
        sources = sorted(p.stem for p in (blades / 'img_dir' / 'train').iterdir())
        edited = {row['source'] for row in edits_of(reference) if row['accepted']}
        assert len(edited) == 6
        expected = set()
        for stem in sources:
            words = WORDS if f'img_dir/train/{stem}.png' in edited else ()
            expected |= {f'{stem}.png', *(f'{stem}__{word}.png' for word in words)}
        for kind in ('img_dir', 'ann_dir'):
            assert {p.name for p in (reference / kind / 'train').iterdir()} == expected
        top = {'img_dir', 'ann_dir', 'manifest.jsonl', 'review', 'summary.png', 'summary.csv'}
        assert {p.name for p in reference.iterdir()} == top

    def test_originals_and_other_splits_are_copied_byte_for_byte(self, reference, blades):
        made = tree(reference)
        for kind in ('img_dir', 'ann_dir'):
            for name, content in tree(blades / kind).items():
                assert made[f'{kind}/{name}'] == content
            for split in ('val', 'test'):
                assert len(list((reference / kind / split).iterdir())) == 2

    def test_background_is_bit_identical_and_the_defect_is_not(self, reference, blades):
        for row in edits_of(reference):
            if not row['accepted']:
                continue
            source, edited = pixels(blades / row['source']), pixels(reference / row['file'])
            label = pixels(reference / row['label'])
            assert np.array_equal(label, pixels(blades / row['source'].replace('img_dir', 'ann_dir')))
            assert edited.shape == source.shape
            points = np.argwhere(label > 0)
            grid = np.stack(np.mgrid[: label.shape[0], : label.shape[1]], -1)
            distance = np.sqrt(((grid[:, :, None] - points) ** 2).sum(-1)).min(-1)
            assert np.array_equal(edited[distance >= 8], source[distance >= 8])  # 4 dilated, 4 feathered
            assert (edited[distance <= 4] != source[distance <= 4]).any()

    def test_manifest_names_the_source_of_each_file(self, reference, blades, tiny_sdxl_dir):
        rows = rows_of(reference)
        assert [r['kind'] for r in rows].count('original') == 8
        assert [r['kind'] for r in rows].count('copy') == 4
        listed = {r['file'] for r in rows if r['accepted']}
        assert listed == {f'img_dir/{name}' for name in tree(reference / 'img_dir')}
        for row in rows:
            assert row['source_sha256'] == hashlib.sha256((blades / row['source']).read_bytes()).hexdigest()
            if row['accepted']:
                label = hashlib.sha256((reference / row['label']).read_bytes()).hexdigest()
                assert row['label_sha256'] == label
        row = next(r for r in rows if r['kind'] == 'edit' and r['accepted'])
        assert row['file_sha256'] == hashlib.sha256((reference / row['file']).read_bytes()).hexdigest()
        assert (row['word'], row['target_prompt']) == ('peeling', 'photo of a crack with peeling')
        assert (
            row['model']['id'] == str(tiny_sdxl_dir) and row['model']['revision'] is None and row['seed'] == 0
        )
        assert row['parameters']['steps'] == 3 and row['parameters']['self_replace'] == 0.3
        assert row['reconstruction_psnr'] == row['metrics']['reconstruction_psnr'] > 5
        assert row['metrics']['change_inside'] >= 0.01 and row['regions'][0]['inner_steps'] > 0
        refused = [r for r in rows if not r['accepted']]
        assert len(refused) == 4 and all('no defect in the label' in r['reasons'][0] for r in refused)

    def test_an_image_is_edited_at_its_own_shape(self, reference):
        wide = [r for r in edits_of(reference) if r['accepted'] and r['regions'][0]['box'] == [0, 0, 192, 64]]
        assert [r['regions'][0]['size'] for r in wide] == [[64, 128]] * 2

    def test_summary(self, reference):
        lines = (reference / 'summary.csv').read_text().splitlines()
        assert lines[0].startswith('file,source,word,accepted,reasons') and len(lines) == 1 + 8 * 2
        sheet = pixels(reference / 'summary.png')
        # Six images; source, reconstruction, and edit and difference of two words in cells of 192 and a gap of 6.
        assert sheet.shape == (28 + 6 * 226, 6 * 198, 3)
        assert len(list((reference / 'review' / 'reconstruction' / 'train').iterdir())) == 6
