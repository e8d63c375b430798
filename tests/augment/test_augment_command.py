"""The whole command on a rendered dataset of eight training images and a tiny SDXL of real components."""

import fcntl
import hashlib
import json
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from augment.run import main

ROOT = Path(__file__).parents[2]
WORDS = ('peeling', 'rust')
SMALL = [
    '--resolution',
    '64',
    '--steps',
    '3',
    '--inner-steps',
    '2',
    '--batch-size',
    '3',
    '--dtype',
    'fp32',
    '--device',
    'cpu',
]
LENIENT = ['--min-psnr', '0', '--min-ssim', '-1', '--min-change', '0.01']


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()
    }


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / 'manifest.jsonl').read_text().splitlines()]


def edits_of(out: Path) -> list[dict]:
    return [row for row in rows_of(out) if row['kind'] == 'edit']


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Runs here and in child processes sum in the same order: bytes are compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def blades(tmp_path_factory) -> Path:
    """Eight training images of 96², one made 64x192; six of them have defects. Two of validation and two of test."""
    from wtaseg.blades.dataset import render_dataset

    folder = tmp_path_factory.mktemp('data') / 'blades'
    list(render_dataset(folder, {'train': 8, 'val': 2, 'test': 2}, size=96, seed=5))
    for kind, method in (('img_dir', Image.Resampling.BICUBIC), ('ann_dir', Image.Resampling.NEAREST)):
        path = sorted((folder / kind / 'train').iterdir())[1]
        Image.open(path).resize((192, 64), method).save(path)
    for number, path in enumerate(sorted((folder / 'ann_dir' / 'train').iterdir())):
        # Independent of how many defects the renderer draws on so few pixels: six labels have some, two have none.
        label = pixels(path)
        label[30:33, 40:43] = 1
        Image.fromarray(label * (number not in (2, 6))).save(path)
    return folder


@pytest.fixture
def data(blades, tmp_path) -> Path:
    return shutil.copytree(blades, tmp_path / 'blades')


@pytest.fixture
def arguments(tiny_sdxl_dir, monkeypatch):
    """The command line for a dataset: few steps, thresholds that random weights can meet."""
    monkeypatch.setenv('OMP_NUM_THREADS', '1')

    def build(data: Path, *more: str) -> list[str]:
        where = ['--data', str(data), '--model', str(tiny_sdxl_dir)]
        return [*where, *SMALL, *LENIENT, *more]

    return build


@pytest.fixture(scope='module')
def reference(blades, tiny_sdxl_dir, tmp_path_factory) -> Path:
    """An uninterrupted run with two words; tests must not write into it."""
    folder = tmp_path_factory.mktemp('reference')
    where = [
        '--data',
        str(blades),
        '--model',
        str(tiny_sdxl_dir),
        '--device',
        'cpu',
        '--out',
        str(folder / 'out'),
    ]
    assert (
        main([*where, *SMALL, *LENIENT, '--word', *WORDS, '--summary', '--cache', str(folder / 'cache')]) == 0
    )
    return folder / 'out'


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


class TestContinuing:
    KILLED = """
import os, pathlib, signal, sys
left, replace = int(sys.argv[1]), pathlib.Path.replace
def counted(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = counted
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
        argv = arguments(blades, '--out', str(tmp_path / 'anew'), '--cache', 'none', '--word', 'dent')
        assert main(argv) == 0
        assert tree(tmp_path / 'out') == tree(tmp_path / 'anew')

    def test_words_can_be_added(self, reference, blades, arguments, tmp_path):
        out, cache = tmp_path / 'out', reference.parent / 'cache'
        for word in WORDS[::-1]:
            assert (
                main(arguments(blades, '--out', str(out), '--cache', str(cache), '--word', word, '--summary'))
                == 0
            )
        assert tree(out) == tree(reference)

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
        assert f'drawn anew for {row["file"]}' in capsys.readouterr().err

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


class TestChoices:
    def test_dry_run_writes_nothing(self, data, arguments, capsys):
        before = tree(data.parent)
        assert main(arguments(data, '--dry-run')) == 0
        assert (
            '6 images to edit (6 regions in 3 batches), 6 edits, 6 still to make' in capsys.readouterr().out
        )
        assert tree(data.parent) == before

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


class TestBadInput:
    @pytest.fixture
    def refused(self, data, arguments, capsys):
        """Runs the command, which must fail with one line and write nothing; returns that line."""

        def run(*more: str) -> str:
            before = tree(data.parent)
            assert main(arguments(data, *more)) == 2
            lines = capsys.readouterr().err.strip().splitlines()
            assert tree(data.parent) == before
            return next(line for line in lines if line.startswith('error: '))

        return run

    def test_missing_split_and_images(self, data, refused):
        assert 'holds test, train, val' in refused('--split', 'training')
        for path in (data / 'img_dir' / 'train').iterdir():
            path.rename(path.with_suffix('.jpg'))
        assert 'no images' in (message := refused()) and 'only .jpg files' in message

    def test_words_and_prompts(self, refused):
        assert "'wedges' is not in the prompt" in refused(
            '--word', 'wedges', '--target-prompt', 'a crack with{word}'
        )
        assert 'does not contain the word' in refused('--target-prompt', 'photo of a crack')
        assert '77' in refused('--target-prompt', 'photo {word}' + ' crack' * 80)

    def test_model_that_does_not_exist(self, refused, tmp_path):
        assert 'To get SDXL' in refused('--model', str(tmp_path / 'sdxl'))

    def test_augmented_dataset_is_not_augmented_again(self, data, refused):
        source = sorted((data / 'img_dir' / 'train').iterdir())[0]
        shutil.copy(source, source.with_name(f'{source.stem}__peeling.png'))
        assert 'has the name that the edit' in refused()

    def test_files_that_cannot_be_used_get_a_row(self, data, arguments, tmp_path, capsys):
        images, labels = (sorted((data / kind / 'train').iterdir()) for kind in ('img_dir', 'ann_dir'))
        images[0].write_bytes(images[0].read_bytes()[:200])
        labels[3].unlink()
        Image.open(labels[4]).resize((50, 50)).save(labels[4])
        Image.open(labels[6]).convert('RGB').save(labels[6])
        Image.fromarray(np.zeros((96, 96), np.uint16)).save(images[7])
        out = tmp_path / 'out'
        assert main(arguments(data, '--out', str(out), '--limit', '1')) == 0
        refused = [r for r in rows_of(out) if r['kind'] == 'original' and not r['accepted']]
        expected = [
            'cannot be decoded',
            'label missing',
            'is 50x50 pixels, the image 96x96',
            'has mode RGB',
            'I;16',
        ]
        assert len(refused) == len(expected)
        for row, text in zip(refused, expected):
            assert text in row['reasons'][0] and str(tmp_path) not in row['reasons'][0]
            assert not (out / row['file']).exists() and not (out / row['label']).exists()
        assert capsys.readouterr().out.count('cannot be used') == 5

    def test_only_unusable_files(self, data, refused):
        for path in (data / 'ann_dir' / 'train').iterdir():
            path.unlink()
        assert 'no usable image' in (message := refused()) and 'label missing' in message

    def test_values_that_are_not_finite(self, blades, arguments, tiny_sdxl_dir, tmp_path):
        model = shutil.copytree(tiny_sdxl_dir, tmp_path / 'broken')
        weights = next((model / 'unet').glob('*.safetensors'))
        tensors = load_file(weights)
        tensors['conv_out.bias'][0] = float('nan')
        save_file(tensors, weights, metadata={'format': 'pt'})
        argv = arguments(blades, '--out', str(tmp_path / 'out'), '--limit', '2')
        argv[argv.index('--model') + 1] = str(model)
        assert main(argv) == 1
        reasons = [r['reasons'] for r in edits_of(tmp_path / 'out') if r['regions']]
        assert len(reasons) == 2 and all('non-finite values after' in reason for (reason,) in reasons)
        assert not list((tmp_path / 'out').rglob('*__*.png'))
        assert not list((tmp_path / '.cache').rglob('*.safetensors'))

    def test_full_disk(self, reference, blades, arguments, tmp_path, capsys):
        out, cache = tmp_path / 'out', tmp_path / 'cache'
        argv = arguments(blades, '--out', str(out), '--cache', str(cache), '--word', *WORDS, '--summary')
        # A limit on the size of files replaces the full disk: images and labels fit, an inversion does not.
        largest = max(len(content) for content in tree(blades).values())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 1000, hard))
        try:
            code = main(argv)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        message = capsys.readouterr().err
        assert code == 2 and f'disk full while writing {cache}' in message and 'Free some space' in message
        assert not list(tmp_path.rglob('.partial-*')) and not (out / 'manifest.jsonl').exists()
        assert main(argv) == 0
        assert tree(out) == tree(reference)

    def test_other_parameters_or_weights_for_the_same_folder(
        self, reference, blades, arguments, tmp_path, capsys
    ):
        out = shutil.copytree(reference, tmp_path / 'out')
        assert main(arguments(blades, '--out', str(out), '--eq', '3')) == 2
        assert 'made with eq=2.0, now eq=3.0' in capsys.readouterr().err
        next(out.glob('img_dir/train/*__rust.png')).unlink()
        rows = [
            json.dumps(
                r | {'model': r['model'] and r['model'] | {'fingerprint': 'x'}} if r['kind'] == 'edit' else r
            )
            for r in rows_of(out)
        ]
        (out / 'manifest.jsonl').write_text('\n'.join(rows) + '\n')
        assert main(arguments(blades, '--out', str(out), '--word', *WORDS)) == 2
        assert "made with fingerprint='x'" in capsys.readouterr().err

    def test_one_writer_at_a_time(self, blades, arguments, tmp_path, capsys):
        (tmp_path / 'out' / '.augment').mkdir(parents=True)
        with (tmp_path / 'out' / '.augment' / 'lock').open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert main(arguments(blades, '--out', str(tmp_path / 'out'))) == 2
        assert 'being written by another run' in capsys.readouterr().err
        assert not (tmp_path / 'out' / 'img_dir').exists()


def test_script_and_module_print_the_same_help():
    results = [
        subprocess.run([sys.executable, *how, '--help'], cwd=ROOT, capture_output=True, text=True)
        for how in (['augment/run.py'], ['-m', 'augment.run'])
    ]
    assert results[0].returncode == 0 and '--rli-alpha' in results[0].stdout
    assert results[0].stdout == results[1].stdout
