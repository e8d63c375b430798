"""DDIM steps of the scheduler, guided predictions, and the CUDA graph runner."""

import contextlib

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, EulerDiscreteScheduler

from augment.diffusion.attention import AttentionProcessors
from augment.diffusion.graphs import GraphRunner
from augment.diffusion.model import EditModel
from augment.diffusion.sampling import Sampler, ddim_schedule

OPTIONS = {'beta_schedule': 'scaled_linear', 'beta_start': 0.00085, 'beta_end': 0.012, 'clip_sample': False}
LATENTS, NOISE = torch.randn(2, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize('prediction', ['epsilon', 'v_prediction', 'sample'])
@pytest.mark.parametrize(
    ('spacing', 'offset', 'to_one'), [('leading', 1, False), ('leading', 0, False), ('trailing', 0, False)]
)
def test_steps_are_the_schedulers_own(prediction, spacing, offset, to_one):
    scheduler = DDIMScheduler(
        **OPTIONS,
        prediction_type=prediction,
        timestep_spacing=spacing,
        steps_offset=offset,
        set_alpha_to_one=to_one,
    )
    schedule = ddim_schedule(scheduler, 7)
    assert schedule.timesteps == scheduler.timesteps.tolist()
    for i, timestep in enumerate(schedule.timesteps):
        expected = scheduler.step(NOISE, timestep, LATENTS).prev_sample
        torch.testing.assert_close(schedule.denoise(i, LATENTS, NOISE), expected)
        torch.testing.assert_close(schedule.invert(i, expected, NOISE), LATENTS, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(('spacing', 'offset', 'to_one'), [('leading', 1, False), ('leading', 0, True)])
def test_inversion_is_the_inverse_scheduler_of_diffusers(spacing, offset, to_one):
    options = OPTIONS | {'timestep_spacing': spacing, 'steps_offset': offset, 'set_alpha_to_one': to_one}
    schedule = ddim_schedule(DDIMScheduler(**options), 10)
    inverse = DDIMInverseScheduler(**options)
    inverse.set_timesteps(10)
    for i, timestep in zip(reversed(range(10)), inverse.timesteps.tolist(), strict=True):
        assert schedule.timesteps[i] == timestep
        expected = inverse.step(NOISE, timestep, LATENTS).prev_sample
        torch.testing.assert_close(schedule.invert(i, LATENTS, NOISE), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize('steps', [0, 1001])
def test_number_of_steps_out_of_range(steps):
    with pytest.raises(ValueError, match=f'steps is {steps}; expected 1 to 1000'):
        ddim_schedule(DDIMScheduler(**OPTIONS), steps)


def test_the_last_step_may_end_at_the_clean_image():
    scheduler = DDIMScheduler(**OPTIONS, set_alpha_to_one=True)
    schedule = ddim_schedule(scheduler, 4)
    torch.testing.assert_close(
        schedule.denoise(3, LATENTS, NOISE), scheduler.step(NOISE, 0, LATENTS).prev_sample
    )


def test_schedule_without_signal_is_refused():
    scheduler = DDIMScheduler(**OPTIONS, rescale_betas_zero_snr=True, timestep_spacing='trailing')
    with pytest.raises(ValueError, match='zero signal'):
        ddim_schedule(scheduler, 5)


def test_another_scheduler_is_read_as_ddim_and_never_clips(tiny_model):
    euler = EulerDiscreteScheduler(beta_schedule='scaled_linear', timestep_spacing='leading', steps_offset=1)
    model = EditModel(tiny_model.unet, None, euler, id='tiny')
    assert isinstance(model.scheduler, DDIMScheduler)
    assert model.scheduler.config.clip_sample is False
    assert model.scheduler.config.timestep_spacing == 'leading'
    assert ddim_schedule(model.scheduler, 50).timesteps[0] == 981


def test_guidance_in_one_batch_or_two_passes(tiny_model, tiny_latents):
    schedule = ddim_schedule(tiny_model.scheduler, 10)
    rows = [row.expand(3) for row in tiny_model.encode_prompt(['photo of a crack', '']).split()]
    conditional, null = rows
    with Sampler(tiny_model, schedule, guidance=15.0, rli_alpha=0.0) as sampler:
        with_prompt, without = (sampler.predict(tiny_latents, 500, row) for row in rows)
    expected = without + 15 * (with_prompt - without)
    for low_resource in (False, True):
        options = {'guidance': 15.0, 'rli_alpha': 0.0, 'low_resource': low_resource}
        with Sampler(tiny_model, schedule, **options) as sampler:
            guided = sampler.guided(tiny_latents, 500, null, conditional)
        torch.testing.assert_close(guided, expected, atol=1e-4, rtol=1e-4)


@pytest.fixture
def replaced_cuda(tiny_model, monkeypatch):
    """``torch.cuda`` without a GPU: a graph's replay calls what was captured last."""

    class Graph:
        captured = None

        def replay(self):
            Graph.captured()

    class Stream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            pass

    for name in ('device', 'stream', 'graph'):
        monkeypatch.setattr(torch.cuda, name, lambda *args, **kwargs: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, 'Stream', Stream)
    monkeypatch.setattr(torch.cuda, 'current_stream', Stream)
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', Graph)
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: None)
    monkeypatch.setattr(tiny_model, 'use_graphs', True)
    return Graph


def test_warming_up_and_capturing_leave_the_state_unchanged(tiny_model, replaced_cuda):
    """The order of capture; test_cuda_graphs.py uses a real GPU."""
    counter = torch.zeros(1)

    def run():
        counter.add_(1)

    replaced_cuda.captured = run
    with (attention := AttentionProcessors(tiny_model.unet, 0.1)).installed():
        runner = GraphRunner(tiny_model, run, [counter], attention)
        for calls in (1, 2, 3):
            runner()
            assert counter == calls


def test_memory_that_runs_out_during_capture_is_named(tiny_model, replaced_cuda, monkeypatch):
    @contextlib.contextmanager
    def capture(*args, **kwargs):
        try:
            yield
        finally:
            raise RuntimeError('CUDA error: operation failed due to a previous error during capture')

    calls = []

    def run():
        calls.append(1)
        if len(calls) == 3:  # two runs warm up, the third is captured
            raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(torch.cuda, 'graph', capture)
    with (attention := AttentionProcessors(tiny_model.unet, 0.1)).installed():
        with pytest.raises(torch.OutOfMemoryError, match='out of memory'):
            GraphRunner(tiny_model, run, [], attention)()
        with pytest.raises(RuntimeError, match='during capture'):
            GraphRunner(tiny_model, run, [], attention)()


def test_a_runner_refuses_other_processors_than_its_own(tiny_model):
    """A graph contains the processors of its capture; run under others it would interpolate by a wrong alpha."""
    built = AttentionProcessors(tiny_model.unet, 0.1)
    calls = []
    runner = GraphRunner(tiny_model, lambda: calls.append(1), [], built)
    with built.installed():
        runner()
        with (
            AttentionProcessors(tiny_model.unet, 0.9).installed(),
            pytest.raises(RuntimeError, match='rli_alpha'),
        ):
            runner()
        runner()
    with pytest.raises(RuntimeError, match=r'built for rli_alpha=0\.1'):
        runner()
    assert len(calls) == 2


def test_prediction_without_its_processors_is_refused(tiny_model, tiny_latents):
    prompt = tiny_model.encode_prompt(['photo of a crack']).expand(3)
    schedule = ddim_schedule(tiny_model.scheduler, 10)
    strong, weak = (Sampler(tiny_model, schedule, guidance=15.0, rli_alpha=alpha) for alpha in (0.9, 0.1))
    with strong:
        expected = strong.predict(tiny_latents, 500, prompt)
        with pytest.raises(RuntimeError, match=r'rli_alpha=0\.1'):
            weak.predict(tiny_latents, 500, prompt)
    with weak:
        assert not torch.equal(weak.predict(tiny_latents, 500, prompt), expected)


def test_equal_settings_share_the_processors_and_so_the_graphs(tiny_model):
    schedule = ddim_schedule(tiny_model.scheduler, 10)
    first, again, other = (
        Sampler(tiny_model, schedule, guidance=g, rli_alpha=a)
        for g, a in ((15.0, 0.1), (7.5, 0.1), (15.0, 0.2))
    )
    assert first.attention is again.attention is not other.attention
