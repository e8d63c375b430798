"""Input that is refused, and files that cannot be written."""

import fcntl
import json
import resource
import shutil

import numpy as np
import pytest
import tifffile
from augment_command import WORDS, edits_of, rows_of, tree
from PIL import Image
from safetensors.torch import load_file, save_file

from augment.files import sha256
from augment.run import main


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
            path.rename(path.with_suffix('.gif'))
        assert 'no images' in (message := refused()) and 'only .gif files' in message

    def test_two_images_of_one_stem(self, data, refused):
        source = sorted((data / 'img_dir' / 'train').iterdir())[0]
        shutil.copy(source, source.with_suffix('.JPG'))
        message = refused()
        assert source.name in message and source.with_suffix('.JPG').name in message

    def test_words_and_prompts(self, refused):
        assert "'wedges' is not in the prompt" in refused(
            '--word', 'wedges', '--target-prompt', 'a crack with{word}'
        )
        assert 'does not contain the word' in refused('--target-prompt', 'photo of a crack')
        assert '77' in refused('--target-prompt', 'photo {word}' + ' crack' * 80)

    def test_model_that_does_not_exist(self, refused, tmp_path):
        assert 'To get SDXL' in refused('--model', str(tmp_path / 'sdxl'))

    def test_judge_that_does_not_exist(self, refused, tmp_path):
        assert 'absent.onnx does not exist; give an ONNX file' in refused(
            '--judge', str(tmp_path / 'absent.onnx')
        )

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
        tifffile.imwrite(
            images[7].with_suffix('.tif'), np.zeros((96, 96, 5), np.uint8), planarconfig='contig'
        )
        images[7].unlink()
        out = tmp_path / 'out'
        assert main(arguments(data, '--out', str(out), '--limit', '1')) == 0
        refused = [r for r in rows_of(out) if r['kind'] == 'original' and not r['accepted']]
        expected = [
            'cannot be decoded',
            'label missing',
            'is 50x50 pixels, the image 96x96',
            'has mode RGB',
            'has 5 channels',
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

    def test_two_images_of_one_name(self, data, refused):
        source = sorted((data / 'img_dir' / 'train').iterdir())[0]
        shutil.copy(source, source.with_suffix('.PNG'))
        message = refused()
        assert f'{source.with_suffix(".PNG")} and {source} have the same stem' in message

    def test_more_steps_than_the_model_has(self, refused):
        assert 'steps: 2000 found, expected between 1 and 1000' in refused('--steps', '2000')

    @pytest.mark.parametrize('key', ['file', 'label', 'source'])
    @pytest.mark.parametrize('part', [False, True])
    @pytest.mark.parametrize(
        'name', ['../victim.png', '{victim}', 'img_dir/train/../../../victim.png', 'manifest.jsonl']
    )
    def test_rows_that_point_outside_delete_nothing(
        self, reference, blades, arguments, tmp_path, capsys, key, part, name
    ):
        out = shutil.copytree(reference, tmp_path / 'out')
        victim = tmp_path / 'victim.png'
        victim.write_text('precious')
        rows = rows_of(out)
        row = next(row for row in rows if row['kind'] == 'edit')
        row |= {key: name.format(victim=victim), 'source_sha256': 'changed', 'label_sha256': sha256(victim)}
        if part:
            (out / '.augment').mkdir(exist_ok=True)
            (out / '.augment/x.json').write_text(json.dumps(row))
        else:
            (out / 'manifest.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
        assert main(arguments(blades, '--out', str(out), '--word', *WORDS)) == 2
        message = capsys.readouterr().err
        assert ('x.json, line 1' if part else 'manifest.jsonl, line ') in message and repr(
            row[key]
        ) in message
        assert victim.read_text() == 'precious' and (out / 'manifest.jsonl').is_file()

    def test_a_link_in_the_output_is_not_followed_to_the_outside(
        self, reference, blades, arguments, tmp_path, capsys
    ):
        out = shutil.copytree(reference, tmp_path / 'out')
        shutil.move(out / 'img_dir/train', tmp_path / 'elsewhere')
        (out / 'img_dir/train').symlink_to(tmp_path / 'elsewhere')
        assert main(arguments(blades, '--out', str(out), '--word', *WORDS)) == 2
        assert 'is a link to the outside' in capsys.readouterr().err
