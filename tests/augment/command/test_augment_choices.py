"""Options of the command."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from augment_command import ROOT, WORDS, edits_of, pixels, tree

from augment.run import main


class TestChoices:
    def test_dry_run_writes_nothing(self, data, arguments, capsys):
        before = tree(data.parent)
        assert main(arguments(data, '--dry-run')) == 0
        assert (
            '6 images to edit (6 regions in 3 batches), 6 edits, 6 still to make' in capsys.readouterr().out
        )
        assert tree(data.parent) == before

    def test_the_dtype_that_auto_chose_is_recorded(self, reference, blades, arguments, tmp_path):
        out, argv = shutil.copytree(reference, tmp_path / 'out'), arguments(blades)
        argv[argv.index('--dtype') + 1] = 'auto'
        # The reference was made with --dtype fp32, which auto is on the CPU: nothing is left to do.
        assert main([*argv, '--out', str(out), '--cache', 'none', '--word', *WORDS, '--summary']) == 0
        assert tree(out) == tree(reference)

    def test_limit_grows(self, reference, blades, arguments, tmp_path):
        common = ['--out', str(tmp_path / 'out'), '--cache', str(reference.parent / 'cache'), '--seed', '3']
        sources = []
        for limit in ('2', '4'):
            assert main(arguments(blades, *common, '--limit', limit)) == 0
            sources.append({r['source'] for r in edits_of(tmp_path / 'out') if r['regions']})
        assert [len(edited) for edited in sources] == [2, 4] and sources[0] < sources[1]

    def test_crops_are_pasted_back(self, blades, arguments, tmp_path):
        out = tmp_path / 'out'
        more = ['--crop', 'defect', '--crop-min', '32', '--mask-dilate', '2', '--mask-feather', '2']
        assert (
            main(
                arguments(blades, '--out', str(out), *more, '--inversion', 'negative-prompt', '--no-summary')
            )
            == 0
        )
        rows = [r for r in edits_of(out) if r['accepted']]
        assert max(len(r['regions']) for r in rows) > 1
        for row in rows:
            source, edited = pixels(blades / row['source']), pixels(out / row['file'])
            allowed = np.zeros(source.shape[:2], bool)
            for region in row['regions']:
                left, top, right, bottom = region['box']
                allowed[top:bottom, left:right] = True
            assert np.array_equal(source[~allowed], edited[~allowed]) and not np.array_equal(source, edited)

    @pytest.mark.parametrize(('blend', 'inversion'), [('attention', 'direct'), ('none', 'ddim')])
    def test_changes_outside_the_mask_are_refused(self, blades, arguments, tmp_path, blend, inversion):
        out = tmp_path / 'out'
        more = ['--blend', blend, '--inversion', inversion, '--max-outside', '0', '--summary']
        assert main(arguments(blades, '--out', str(out), *more)) == 0
        for row in edits_of(out):
            written = (out / row['file']).exists()
            if not (pixels(blades / row['source'].replace('img_dir', 'ann_dir')) > 0).any():
                assert row['accepted'] and written  # without a defect everything may change
                continue
            (reason,) = row['reasons']
            assert reason.startswith('changed outside the mask') and reason.endswith('max_outside 0')
            assert not written and not (out / row['label']).exists()
            assert (out / 'review' / 'rejected' / 'train' / Path(row['file']).name).is_file()

    def test_quality_gate(self, blades, arguments, tmp_path, capsys):
        out = tmp_path / 'out'
        assert main(arguments(blades, '--out', str(out), '--limit', '1', '--min-psnr', '99')) == 1
        (row,) = (r for r in edits_of(out) if r['regions'])
        assert row['reasons'][0].startswith('reconstruction PSNR') and row['reasons'][0].endswith(
            'min_psnr 99'
        )
        assert '1 x reconstruction PSNR too low' in capsys.readouterr().out


def test_script_and_module_print_the_same_help():
    results = [
        subprocess.run([sys.executable, *how, '--help'], cwd=ROOT, capture_output=True, text=True)
        for how in (['augment/run.py'], ['-m', 'augment.run'])
    ]
    assert results[0].returncode == 0 and '--rli-alpha' in results[0].stdout
    assert results[0].stdout == results[1].stdout
