"""Rows of the manifest as dataclasses and as JSON."""

from pathlib import Path

import pytest

from augment.dataset.manifest import Manifest
from augment.dataset.quality import Metrics
from augment.dataset.rows import (
    EditRow,
    FileRow,
    ModelIdentity,
    PlantedDefect,
    Planting,
    RegionRecord,
    read_rows,
    to_json,
)
from augment.files import json_line


def example_row(**changes) -> EditRow:
    metrics = Metrics(
        vae_psnr=30.0,
        reconstruction_psnr=29.0,
        reconstruction_ssim=0.9,
        change_inside=4.0,
        change_outside=0.5,
    )
    box, size = [0, 0, 8, 8], [64, 64]
    regions = [
        RegionRecord(box=box, size=size, accepted=True, reasons=[], metrics=metrics, inner_steps=3),
        RegionRecord(box=box, size=size, accepted=False, reasons=['non-finite values']),
    ]
    values = {
        'file': 'img_dir/train/a__rust.png',
        'kind': 'edit',
        'split': 'train',
        'source': 'img_dir/train/a.png',
        'source_sha256': 's',
        'label': 'ann_dir/train/a__rust.png',
        'label_sha256': 'l',
        'accepted': True,
        'reasons': [],
        'word': 'rust',
        'target_prompt': 'photo of a crack with rust',
        'regions': regions,
        'seed': 0,
        'parameters': {'steps': 50},
        'model': ModelIdentity(id='m', revision=None, fingerprint='f'),
        'reconstruction_psnr': 29.0,
        'metrics': metrics,
        'file_sha256': 'x',
    }
    return EditRow(**values | changes)


class TestRows:
    def write(self, path: Path, *rows: dict) -> Path:
        path.write_text(''.join(map(json_line, rows)))
        return path

    def test_rows_are_read_as_they_were_written(self, tmp_path):
        refused = example_row(accepted=False, regions=[], model=None, metrics=None, file_sha256=None)
        copy = FileRow(
            **{k: getattr(refused, k) for k in ('file', 'split', 'source', 'source_sha256', 'reasons')},
            kind='copy',
            label=None,
            label_sha256=None,
            accepted=True,
        )
        defect = PlantedDefect(
            defect='broken',
            area=5,
            donor='img_dir/train/b.png',
            donor_sha256='s',
            donor_label_sha256='l',
            donor_box=[0, 0, 16, 16],
            turn=3,
            position=[7, 9],
        )
        planting = Planting(
            image='review/planted/train/a.png',
            label='review/planted_labels/train/a.png',
            label_sha256='p',
            defects=[defect],
        )
        rows = [example_row(), refused, copy, example_row(mode='plant', planting=planting)]
        path = self.write(tmp_path / 'manifest.jsonl', *map(to_json, rows))
        assert list(read_rows(path)) == rows

    def test_optional_keys_are_left_out_and_the_others_written_as_null(self):
        row = to_json(example_row(metrics=None, file_sha256=None))
        assert (
            row['metrics'] is None and not {'file_sha256', 'relabelled', 'written_label_sha256'} & row.keys()
        )
        assert set(row['regions'][1]) == {'box', 'size', 'accepted', 'reasons'}
        assert 'lpips' not in row['regions'][0]['metrics']

    def test_a_manifest_of_an_earlier_release_is_read(self, tmp_path):
        """Written by the release before rows were dataclasses."""
        metrics = (
            '{"change_inside": 1.5, "change_outside": 0.2, "reconstruction_psnr": 28.1, '
            '"reconstruction_ssim": 0.91, "vae_psnr": 33.0}'
        )
        line = (
            '{"accepted": true, "file": "img_dir/train/a__rust.png", "file_sha256": "x", "kind": "edit", '
            '"label": "ann_dir/train/a__rust.png", "label_sha256": "l", "metrics": ' + metrics + ', '
            '"model": {"fingerprint": "f", "id": "m", "revision": null}, "parameters": {"steps": 3}, "reasons": [], '
            '"reconstruction_psnr": 28.1, "regions": [{"accepted": true, "box": [0, 0, 8, 8], "inner_steps": 6, '
            '"metrics": ' + metrics + ', "reasons": [], "size": [64, 64]}], "relabelled": false, "seed": 0, '
            '"source": "img_dir/train/a.png", "source_sha256": "s", "split": "train", '
            '"target_prompt": "photo of a crack with rust", "word": "rust", "written_label_sha256": "l"}\n'
        )
        (tmp_path / 'manifest.jsonl').write_text(line)
        (row,) = Manifest(tmp_path).rows.values()
        assert (row.word, row.regions[0].metrics.vae_psnr, row.relabelled) == ('rust', 33.0, False)
        assert json_line(to_json(row)) == line

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (lambda row: row | {'colour': 1}, r"line 2: unknown key 'colour' in EditRow"),
            (lambda row: {k: v for k, v in row.items() if k != 'word'}, r"line 2: missing key 'word'"),
            (lambda row: row | {'kind': 'foto'}, "line 2: kind is 'foto'; expected one of original, copy"),
            (
                lambda row: row | {'model': {'id': 'm'}},
                r"line 2, model: missing key 'fingerprint', 'revision'",
            ),
            (lambda row: row | {'regions': [7]}, r'line 2, regions: expected an object .* found 7'),
            (lambda row: [row], 'line 2: kind is None'),
            (lambda row: row | {'regions': None}, 'line 2: regions is None; expected a list'),
            (lambda row: row | {'planting': [{}]}, r'line 2: planting is \[{}\]; expected an object'),
            (
                lambda row: (
                    row | {'planting': {'image': 'a', 'label': 'b', 'label_sha256': 'c', 'defects': {}}}
                ),
                r'line 2, planting: defects is {}; expected a list',
            ),
        ],
    )
    def test_unknown_and_missing_keys_are_refused_with_file_and_line(self, tmp_path, change, message):
        row = to_json(example_row())
        self.write(tmp_path / 'manifest.jsonl', row, change(row))
        with pytest.raises(ValueError, match=r'manifest\.jsonl, ' + message):
            Manifest(tmp_path)
