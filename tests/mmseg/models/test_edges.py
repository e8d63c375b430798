"""Edge maps on their way to PIDNet's head: of the transform, or computed from the labels."""

import pytest
import torch
from contract import ARCHITECTURES
from mmengine.structures import PixelData

from mmseg.datasets.transforms import GenerateEdge
from mmseg.models import MODELS
from mmseg.models.utils.edges import label_edges
from mmseg.models.utils.targets import stack_edges, stack_gt, stack_targets
from mmseg.structures import SegDataSample

NORM = dict(type='BN')
CE = dict(type='CrossEntropyLoss')


def labels(n=3, height=23, width=31):
    """Blocks of three classes and ignored pixels."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 4, (n, height // 4 + 1, width // 4 + 1), generator=draw)
    fine = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, :height, :width]
    return torch.where(fine == 3, 255, fine)


def sample(label, edge=None):
    result = SegDataSample(gt_sem_seg=PixelData(data=label[None]))
    if edge is not None:
        result.gt_edge_map = PixelData(data=edge[None])
    return result


def head(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='PIDHead', in_channels=8, channels=4, num_classes=3, norm_cfg=NORM, **kwargs)
    )


def losses_of(built, inputs, gt):
    return {name: value.item() for name, value in built.loss(inputs, gt, {}).items()}


@pytest.fixture(scope='module')
def branches():
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(3, width, 6, 8, generator=draw) for width in (4, 8, 4)]


@pytest.mark.parametrize('width', [1, 2, 3, 4, 7])
def test_edges_are_those_of_the_transform(width):
    transform = GenerateEdge(edge_width=width)
    expected = [transform(dict(gt_seg_map=label.numpy()))['gt_edge_map'] for label in labels()]
    edges = label_edges(labels(), width)
    assert edges.dtype == torch.long and 0 < edges.float().mean() < 1
    assert (edges.numpy() == expected).all()


def test_labels_and_edges_travel_as_one_tensor():
    label = labels()
    with_edges = [sample(one, one % 2) for one in label]
    assert stack_targets([sample(one) for one in label]).shape == label.shape
    assert stack_edges(label) is stack_edges(label[:, None]) is None
    for batch in (with_edges, stack_targets(with_edges)):
        assert torch.equal(stack_gt(batch), label) and torch.equal(stack_edges(batch), label % 2)
    preprocessor = MODELS.build(dict(type='SegDataPreProcessor', size=(32, 32), seg_pad_val=255))
    images = [torch.zeros(3, *label.shape[1:]) for _ in label]
    gt = preprocessor(dict(inputs=images, data_samples=with_edges), training=True)['gt']
    assert gt.shape == (3, 2, 32, 32) and torch.equal(gt[:, 1, :23, :31], label % 2)
    assert (gt[:, :, 23:] == 255).all()


def test_a_training_step_uses_the_edge_maps_of_the_pipeline():
    model = next(one for one in ARCHITECTURES if one.name == 'pidnet-s').build(training=True)
    label = labels(2, 64, 64)
    images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in label]
    values = []
    for edges in (None, label_edges(label, 4), label_edges(label, 9)):
        samples = [sample(one, None if edges is None else edges[i]) for i, one in enumerate(label)]
        batch = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
        values.append(model(**batch, mode='loss')['decode.loss_bd'].item())
        torch.testing.assert_close(
            model.loss(batch['inputs'], samples)['decode.loss_bd'].item(), values[-1], rtol=1e-5, atol=0
        )
    assert values[0] == pytest.approx(values[1])
    assert values[0] != pytest.approx(values[2], rel=1e-2)


def test_without_an_edge_map_the_head_computes_it(branches):
    label, built = labels(), head(loss_decode=CE, branch_weights=(0.4, 20.0, 1.0), edge_width=3)
    losses = losses_of(built, branches, label)
    same = losses_of(built, branches, torch.stack([label, label_edges(label, 3)], 1))
    other = losses_of(built, branches, torch.stack([label, label_edges(label, 5)], 1))
    assert losses['loss_bd'] == same['loss_bd'] != other['loss_bd']


def test_one_loss_for_all_branches_is_the_same_as_four_of_it(branches):
    built = head(loss_decode=CE, branch_weights=(0.4, 20.0, 0.5)).eval()
    torch.nn.init.constant_(built.d_cls_seg.bias, 30.0)  # edges everywhere
    boundary = dict(type='BoundaryLoss', loss_weight=20.0)
    losses = [dict(CE, loss_weight=0.4), CE, boundary, dict(CE, loss_weight=0.5)]
    four = head(loss_decode=losses).eval()
    four.load_state_dict(built.state_dict())
    expected = losses_of(four, branches, labels())
    assert losses_of(built, branches, labels()) == pytest.approx(expected)
    assert expected['loss_sem_bd'] == pytest.approx(expected['loss_sem_i'] * 0.5)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(loss_decode=CE), 'list of four'),
        (dict(loss_decode=[CE] * 3), 'list of four'),
        (dict(loss_decode=CE, branch_weights=(1.0, 2.0)), 'branch_weights'),
    ],
)
def test_another_number_of_losses_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        head(**arguments)


def test_ddr_head_takes_one_loss_for_both_branches_or_two(branches):
    common = dict(type='DDRHead', in_channels=8, channels=4, num_classes=3, norm_cfg=NORM, dropout_ratio=0.0)
    with pytest.raises(ValueError, match='list of two'):
        MODELS.build(dict(common, loss_decode=CE))
    one = MODELS.build(dict(common, loss_decode=[CE, CE], spatial_weight=0.25))
    two = MODELS.build(dict(common, loss_decode=[CE, CE]))
    two.load_state_dict(one.state_dict())
    inputs = (branches[0], branches[1])
    summed, apart = losses_of(one, inputs, labels()), losses_of(two, inputs, labels())
    assert summed['loss_context'] == pytest.approx(2 * apart['loss_context'])
    assert summed['loss_spatial'] == pytest.approx(0.5 * apart['loss_spatial'])
