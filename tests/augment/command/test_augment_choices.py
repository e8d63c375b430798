"""Options of the command."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from augment_command import ROOT, WORDS, edits_of, pixels, tree
from tiny_judge import export_judge

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

    def test_defects_that_random_weights_do_not_reconstruct_are_refused(
        self, reference, blades, arguments, tmp_path, capsys
    ):
        common = ['--out', str(tmp_path / 'out'), '--cache', str(reference.parent / 'cache')]
        main(arguments(blades, *common, '--min-kept', '0.35'))
        edited = [row for row in edits_of(tmp_path / 'out') if row['regions']]
        for row in edited:
            lost = False
            for component in (c for region in row['regions'] for c in region['components']):
                figures = [component.get(name, 1) for name in ('vae_kept', 'reconstruction_kept')]
                lost |= min(figures) < 0.35
                assert row['metrics']['defect_psnr'] <= component['psnr']
            assert lost != row['accepted']
            assert row['accepted'] or row['reasons'][0].startswith('defect ')
        assert sum(not row['accepted'] for row in edited) >= 3
        assert 'x defect lost by the VAE' in capsys.readouterr().out

    def test_a_judge_gives_figures_and_gates_only_if_asked(self, reference, blades, arguments, tmp_path):
        pytest.importorskip('onnxruntime')
        # Class 1 in every pixel of the sources: red is above -3.
        path = export_judge(tmp_path / 'judge.onnx', limit=-3.0)
        common = ['--cache', str(reference.parent / 'cache'), '--judge', str(path)]
        assert main(arguments(blades, '--out', str(tmp_path / 'out'), *common)) == 0
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        for row in (r for r in edits_of(tmp_path / 'out') if r['regions']):
            assert row['accepted'] and row['judge_sha256'] == digest
            for component in (c for region in row['regions'] for c in region['components']):
                assert component['judge_found_before'] is True
                assert 0 <= component['judge_class'] <= component['judge_defect'] <= 1


def test_script_and_module_print_the_same_help():
    results = [
        subprocess.run([sys.executable, *how, '--help'], cwd=ROOT, capture_output=True, text=True)
        for how in (['augment/run.py'], ['-m', 'augment.run'])
    ]
    assert results[0].returncode == 0 and '--rli-alpha' in results[0].stdout
    assert results[0].stdout == results[1].stdout
