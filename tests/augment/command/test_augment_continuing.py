"""Stopping, continuing and adding to an augmented dataset."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
from augment_command import ROOT, WORDS, edits_of, pixels, rows_of, tree
from PIL import Image

from augment.run import main


class TestContinuing:
    KILLED = """
import sys
sys.path.append('tests/helpers')
from killed_at_rename import kill_at_rename
kill_at_rename(int(sys.argv[1]))
from augment.run import main
sys.exit(main(sys.argv[2:]))
"""

    def test_killed_and_restarted_ends_with_the_same_bytes(self, reference, blades, arguments, tmp_path):
        # 24 copies, then per batch 3 inversions and per edit image, label and row: the first kill comes before the
        # rename of the second batch's image, the second with all edits done before the manifest is written.
        out, cache = tmp_path / 'out', tmp_path / 'cache'
        argv = arguments(blades, '--out', str(out), '--cache', str(cache), '--word', *WORDS, '--summary')
        for renames in (60, 14):
            child = [sys.executable, '-c', self.KILLED, str(renames), *argv]
            assert subprocess.run(child, cwd=ROOT, capture_output=True).returncode == -9
            assert list(out.rglob('.partial-*')) and not (out / 'manifest.jsonl').exists()
            for path in (*out.rglob('*.png'), *out.rglob('*.json')):
                if not path.name.startswith('.partial-'):
                    Image.open(path).load() if path.suffix == '.png' else json.loads(path.read_text())
        assert main(argv) == 0
        assert tree(out) == tree(reference)
        assert tree(cache) == tree(reference.parent / 'cache')

    def test_a_finished_run_does_nothing_and_needs_no_model(
        self, reference, blades, arguments, tmp_path, capsys
    ):
        out = shutil.copytree(reference, tmp_path / 'out')
        argv = arguments(blades, '--out', str(out), '--word', *WORDS, '--summary', '--cache', 'none')
        times = {p: p.stat().st_mtime_ns for p in out.rglob('*__*.png')}
        before = tree(out)
        unloadable = tmp_path / 'gone'
        argv[argv.index('--model') + 1] = str(unloadable)
        assert main(argv) == 2  # another model is another augmentation
        assert f"model='{unloadable}'" in capsys.readouterr().err.replace('now ', '')
        argv = arguments(blades, '--out', str(out), '--word', *WORDS, '--summary', '--cache', 'none')
        assert main(argv) == 0
        assert '0 made now' in capsys.readouterr().out
        assert tree(out) == before and times == {p: p.stat().st_mtime_ns for p in out.rglob('*__*.png')}

    def test_two_processes_make_the_same_dataset(self, reference, blades, arguments, tmp_path):
        out, cache = tmp_path / 'out', tmp_path / 'cache'
        argv = arguments(blades, '--out', str(out), '--cache', str(cache), '--word', *WORDS, '--summary')
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        launch = [sys.executable, '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2']
        launch += ['--num_machines', '1', '--mixed_precision', 'no', '--dynamo_backend', 'no']
        launch += ['--main_process_port', str(port), 'augment/run.py']
        done = subprocess.run([*launch, *argv], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        # The main process made only a part of the twelve edits, and it alone reported.
        assert 'of 12 edits' not in done.stderr and done.stdout.count('edits accepted') == 1
        assert tree(out) == tree(reference)

    def test_another_word_costs_no_inversion(self, reference, blades, arguments, tmp_path):
        cache = reference.parent / 'cache'
        files = {p: p.stat().st_mtime_ns for p in cache.rglob('*.safetensors')}
        assert len(files) == 6
        argv = arguments(blades, '--out', str(tmp_path / 'out'), '--cache', str(cache), '--word', 'dent')
        assert main(argv) == 0
        assert {p: p.stat().st_mtime_ns for p in cache.rglob('*') if p.is_file()} == files
        # The same word from the cache and from a new inversion: the same bytes.
        argv = arguments(blades, '--out', str(tmp_path / 'again'), '--cache', 'none', '--word', 'dent')
        assert main(argv) == 0
        assert tree(tmp_path / 'out') == tree(tmp_path / 'again')

    def test_words_can_be_added(self, reference, blades, arguments, tmp_path):
        """The words of a command are sampled in one batch, so words of several commands round differently."""
        out, cache = tmp_path / 'out', reference.parent / 'cache'
        for word in WORDS[::-1]:
            assert (
                main(arguments(blades, '--out', str(out), '--cache', str(cache), '--word', word, '--summary'))
                == 0
            )
        assert tree(out).keys() == tree(reference).keys()
        for row, expected in zip(rows_of(out), rows_of(reference), strict=True):
            measured = {'file_sha256', 'metrics', 'regions', 'reconstruction_psnr'}
            assert {k: v for k, v in row.items() if k not in measured} == {
                k: v for k, v in expected.items() if k not in measured
            }
            if row['accepted']:
                difference = pixels(out / row['file']).astype(int) - pixels(reference / row['file'])
                assert abs(difference).max() <= 1, row['file']

    def test_labels_drawn_by_hand_are_kept(self, reference, blades, arguments, tmp_path, capsys):
        out = shutil.copytree(reference, tmp_path / 'out')
        row = next(r for r in edits_of(out) if r['accepted'])
        drawn = pixels(out / row['label'])
        drawn[:10, :10] = 2
        Image.fromarray(drawn).save(out / row['label'])
        argv = arguments(blades, '--out', str(out), '--word', *WORDS)
        assert main(argv) == 0
        assert np.array_equal(pixels(out / row['label']), drawn)
        again = {r['file']: r for r in edits_of(out) if r['accepted']}
        assert [file for file, r in again.items() if r['relabelled']] == [row['file']]
        Image.fromarray(drawn[:20]).save(out / row['label'])
        assert main(argv) == 2
        assert f'redrawn for {row["file"]}' in capsys.readouterr().err

    def test_a_changed_source_is_edited_again_and_nothing_else(self, reference, data, arguments, tmp_path):
        out = shutil.copytree(reference, tmp_path / 'out')
        row = next(r for r in edits_of(out) if r['accepted'])
        changed = 255 - pixels(data / row['source'])
        Image.fromarray(changed).save(data / row['source'])
        before = tree(out)
        assert main(arguments(data, '--out', str(out), '--word', *WORDS)) == 0
        after = tree(out)
        stem = Path(row['source']).stem
        differ = {name for name in before if before[name] != after[name]}
        images = {f'img_dir/train/{stem}{tail}.png' for tail in ('', '__peeling', '__rust')}
        assert differ == images | {f'review/reconstruction/train/{stem}.png', 'manifest.jsonl'}
        assert np.array_equal(pixels(out / row['source']), changed)

    def test_a_truncated_edit_is_made_again(self, reference, blades, arguments, tmp_path):
        out = shutil.copytree(reference, tmp_path / 'out')
        edit = next(out.glob('img_dir/train/*__rust.png'))
        edit.write_bytes(edit.read_bytes()[:-40])
        assert main(arguments(blades, '--out', str(out), '--word', *WORDS, '--summary')) == 0
        assert tree(out) == tree(reference)

    def test_temporary_files_are_no_data(self, reference, data, arguments, tmp_path):
        """What killed runs of this and other programs leave."""
        for name in ('.partial-7-a.png', '.a.png.7-0123abcd.part', '.a.png.7.tmp'):
            for folder in ('img_dir/train', 'img_dir/val', 'ann_dir/train', 'ann_dir/val'):
                (data / folder / name).write_bytes(b'half')
        out = tmp_path / 'out'
        (out / 'img_dir/train').mkdir(parents=True)
        (out / 'img_dir/train/.partial-7-b.png').write_bytes(b'half')
        assert main(arguments(data, '--out', str(out), '--word', *WORDS, '--summary')) == 0
        assert tree(out) == tree(reference)
