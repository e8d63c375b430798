"""The contract of all architectures; ``contract.py`` lists them."""

import copy

import pytest
import torch
from contract import ARCHITECTURES, image, samples
from torch.export import Dim


def first(output):
    """The logits that count, of a head with several outputs."""
    return output[0] if isinstance(output, (tuple, list)) else output


def relative(value, reference):
    """Largest difference in standard deviations of the reference."""
    return ((value.float() - reference).abs().max() / reference.std()).item()


@pytest.fixture(scope='module', params=ARCHITECTURES, ids=lambda architecture: architecture.name)
def architecture(request):
    return request.param


@pytest.fixture(scope='module')
def built(architecture):
    return architecture.build()


@pytest.fixture
def model(built):
    return built.eval()


@pytest.fixture(scope='module')
def logits(architecture, built):
    with torch.no_grad():
        return first(built.eval()(image(2, architecture.size)))


class TestArchitecture:
    def test_prediction_has_the_images_size_and_known_classes(self, architecture, model):
        for size in (architecture.size, *architecture.other_sizes):
            with torch.no_grad():
                predicted = model.predict(image(2, size), samples(2, size))
            for sample in predicted:
                assert sample.seg_logits.data.shape == (3, *size)
                assert sample.seg_logits.data.isfinite().all()
                assert sample.pred_sem_seg.data.shape == (1, *size)
                assert set(sample.pred_sem_seg.data.unique().tolist()) <= {0, 1, 2}

    def test_every_parameter_gets_a_gradient(self, architecture):
        for size in (architecture.size, *architecture.other_sizes):
            model = architecture.build(training=True)
            losses = model.loss(image(2, size), samples(2, size))
            assert all(
                name.startswith(('decode', 'aux')) and value.isfinite() for name, value in losses.items()
            )
            sum(value for name, value in losses.items() if 'loss' in name).backward()
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
                # a following norm or softmax can cancel shifts, but not weights
                assert parameter.ndim < 2 or parameter.grad.any(), f'{name} does not influence the loss'

    def test_one_image_trains_or_the_error_has_a_remedy(self, architecture):
        model = architecture.build(training=True)
        try:
            losses = model.loss(image(1, architecture.size), samples(1, architecture.size))
        except ValueError as error:
            assert 'train_dataloader.batch_size' in str(error) and 'norm_cfg' in str(error)
        else:
            assert all(value.isfinite() for value in losses.values())

    def test_a_saved_state_dict_restores_the_logits(self, architecture, model, logits, tmp_path):
        torch.save(model.state_dict(), tmp_path / 'model.pth')
        torch.manual_seed(1)
        fresh = architecture.build().apply(_forget)
        assert relative(first(fresh(image(2, architecture.size))), logits) > 0.01
        fresh.load_state_dict(torch.load(tmp_path / 'model.pth', weights_only=True), strict=True)
        with torch.no_grad():
            assert torch.equal(first(fresh(image(2, architecture.size))), logits)

    def test_channels_last_gives_the_same_logits(self, architecture, model, logits):
        channels_last = copy.deepcopy(model).to(memory_format=torch.channels_last)
        with torch.no_grad():
            output = first(
                channels_last(image(2, architecture.size).contiguous(memory_format=torch.channels_last))
            )
        # Only the order of summation differs.
        assert relative(output, logits) < 1e-4

    def test_bfloat16_autocast_stays_close(self, architecture, model, logits):
        with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
            output = first(model(image(2, architecture.size))).float()
        error = (output - logits).square().mean().sqrt() / logits.std()
        assert error < architecture.bf16_tolerance

    def test_bfloat16_losses_are_float32(self, architecture):
        model = architecture.build(training=True)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            losses = model.loss(image(2, architecture.size), samples(2, architecture.size))
        assert {value.dtype for name, value in losses.items() if 'loss' in name} == {torch.float32}

    def test_export_gives_the_same_logits_at_other_sizes(self, architecture, model):
        dynamic, sizes = None, (architecture.size,)
        if architecture.other_sizes and architecture.sides:
            sizes = (architecture.size, *architecture.other_sizes)
            # The batch too: merged with a size, as in CCNet, a fixed one makes guards that torch can't prove.
            low, high = architecture.sides
            height, width = Dim('height', min=low, max=high), Dim('width', min=low, max=high)
            dynamic = dict(inputs={0: Dim('batch', max=64), 2: height, 3: width})
        program = torch.export.export(model, (image(2, architecture.size),), dynamic_shapes=dynamic).module()
        for size in sizes:
            with torch.no_grad():
                assert relative(first(program(image(2, size))), first(model(image(2, size)))) < 1e-5


def _forget(module):
    """Replace the fixed weights by others, so that only loading can bring them back."""
    for parameter in module.parameters(recurse=False):
        torch.nn.init.normal_(parameter, std=0.2)
