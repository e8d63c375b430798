"""The benchmark on the tiny model: all parts are measured."""

import json

import pytest
import torch

from augment.bench import command, measures, random_model, reference
from augment.diffusion.attention import AttentionProcessors, EditAttention


def test_all_parts_are_measured(tmp_path, capsys):
    out = tmp_path / 'figures.json'
    arguments = '--size tiny --resolution 64 --batch 2 --steps 2 --reference-steps 1 --repeats 1 --device cpu'
    assert command.main([*arguments.split(), '--out', str(out)]) == 0
    report = json.loads(out.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ['figures.json']
    rows = report['ablation']
    assert len(rows) == 6 and all(row['inner_step_ms_per_image'] > 0 for row in rows), rows
    published, ours = report['reference'], report['ours']
    assert (published['measured_ddim_steps'], published['extrapolated_to_ddim_steps']) == (1, 2)
    assert ours['inner_steps_taken'] == 2 * reference.INNER_STEPS  # the stop rule is off
    for part in (published, ours):
        assert part['seconds_per_image'] == pytest.approx(sum(part['parts'].values()))
    assert report['times_faster'] == pytest.approx(published['seconds_per_image'] / ours['seconds_per_image'])


def test_batches_with_and_without_deterministic_kernels(tmp_path, capsys, monkeypatch):
    seen, plain = [], measures.measure_ours

    def measure(model, images, steps):
        seen.append((len(images), torch.are_deterministic_algorithms_enabled()))
        return plain(model, images, steps)

    monkeypatch.setattr(measures, 'measure_ours', measure)
    arguments = (
        '--size tiny --resolution 64 --batch 1 2 --steps 2 --reference-steps 1 --device cpu --no-ablation'
    )
    out = tmp_path / 'figures.json'
    assert command.main([*arguments.split(), '--deterministic', 'both', '--out', str(out)]) == 0
    report = json.loads(out.read_text())
    assert seen == [(run['batch'], run['deterministic']) for run in report['runs']]
    assert seen == [(1, True), (2, True), (1, False), (2, False)] and 'ablation' not in report
    assert report['ours'] == min(report['runs'], key=lambda run: run['seconds_per_image'])
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"')]
    assert [line for line in printed if 'deterministic' in line] == report[
        'runs'
    ]  # each as soon as it is measured


def test_batch_is_halved_until_it_fits(monkeypatch, capsys):
    tried = []

    def measure(model, images, steps):
        tried.append(len(images))
        if len(images) > fits:
            raise torch.OutOfMemoryError
        return {'batch': len(images)}

    monkeypatch.setattr(measures, 'measure_ours', measure)
    arguments = random_model.build_parts('tiny', 'cpu'), 'cpu', 'fp32', torch.zeros(8, 3, 64, 64), 2, {}
    fits = 2
    assert measures.measure_largest_batch(*arguments) == {'batch': 2}
    assert tried == [8, 4, 2]
    assert 'batch 8 does not fit, trying 4' in capsys.readouterr().out
    fits = 0
    with pytest.raises(torch.OutOfMemoryError):
        measures.measure_largest_batch(*arguments)


def test_explicit_attention_is_attention(tiny_model, tiny_latents):
    prompt = tiny_model.encode_prompt(['photo of a crack'])
    tokens, pooled = prompt.tokens.expand(3, -1, -1), prompt.pooled.expand(3, -1)
    predictions = []
    for processor in (EditAttention, reference.ExplicitAttention):
        with AttentionProcessors(tiny_model.unet, 0.1, processor=processor).installed(), torch.no_grad():
            predictions.append(tiny_model.predict(tiny_latents, torch.tensor([500]), tokens, pooled))
    torch.testing.assert_close(*predictions, atol=1e-4, rtol=1e-4)
    assert not torch.equal(*predictions)


def test_bad_arguments_are_one_line_and_status_2(capsys):
    assert command.main(['--size', 'huge']) == 2
    assert command.main(['--batch', '0']) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and all(line.startswith('error: ') for line in lines)


def test_full_size_is_that_of_sdxl():
    with torch.device('meta'):
        unet, vae, _ = random_model.build_parts('sdxl', 'meta')
    assert unet.config.sample_size * 8 == 1024  # what size_condition=native conditions on
    # The published parameter counts: 2.57 billion (Podell et al. 2023, table 1) and 83.7 million.
    assert sum(p.numel() for p in unet.parameters()) == 2_567_463_684
    assert sum(p.numel() for p in vae.parameters()) == 83_653_863
