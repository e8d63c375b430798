"""From config and checkpoint to a label map."""

import warnings

import mmcv
import numpy as np
import pytest
import torch

from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot
from mmseg.structures import SegDataSample


@pytest.fixture
def trained(experiment, tmp_path):
    """A config with SyncBN and a checkpoint of its model, as training writes one."""
    norm = dict(_delete_=True, type='SyncBN')
    cfg = experiment(**{'model.backbone.norm_cfg': norm, 'model.decode_head.norm_cfg': norm})
    model = init_model(cfg, device='cpu')
    path = str(tmp_path / 'model.pth')
    meta = dict(dataset_meta=dict(classes=('ok', 'spot', 'crack'), palette=[[0, 0, 0], [9, 9, 9], [7, 7, 7]]))
    torch.save(dict(meta=meta | dict(cfg=cfg.pretty_text), state_dict=model.state_dict()), path)
    return cfg, path, model


@pytest.fixture
def image(blades) -> str:
    return str(blades / 'img_dir/val/0.png')


def test_init_model(trained, tmp_path):
    cfg, path, source = trained
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='absent.pth'
    )  # the checkpoint replaces it
    model = init_model(cfg, path, device='cuda:0', cfg_options={'model.test_cfg.mode': 'whole'})
    assert cfg.model.backbone.init_cfg.checkpoint == 'absent.pth'
    assert not model.training
    assert model.dataset_meta['classes'] == ('ok', 'spot', 'crack')
    assert not any(isinstance(module, torch.nn.SyncBatchNorm) for module in model.modules())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in source.state_dict().items())
    assert init_model(cfg, device='cpu', cfg_options={'model.backbone.init_cfg': None}).dataset_meta[
        'classes'
    ] == [
        'defect',
        'attached',
        'broken',
    ]
    with pytest.raises(TypeError, match='got list'):
        init_model([])
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        init_model(cfg, str(tmp_path / 'absent.pth'))


def test_inference_model(trained, image):
    cfg, path, _ = trained
    model = init_model(cfg, path, device='cpu')
    result = inference_model(model, image)
    assert isinstance(result, SegDataSample)
    assert result.pred_sem_seg.data.shape == (1, 64, 64)
    assert result.seg_logits.data.shape == (3, 64, 64)
    from_array, other = inference_model(model, [mmcv.imread(image), np.zeros((64, 64, 3), np.uint8)])
    # a batch of two is summed in another order than one image
    torch.testing.assert_close(from_array.seg_logits.data, result.seg_logits.data)
    assert (other.seg_logits.data - result.seg_logits.data).abs().max() > 1e-4
    with pytest.raises(TypeError, match='got int'):
        inference_model(model, 3)


def test_show_result_pyplot(trained, image, tmp_path):
    cfg, path, _ = trained
    model = init_model(cfg, path, device='cpu')
    result = inference_model(model, image)
    out_file = str(tmp_path / 'out.png')
    drawn = show_result_pyplot(
        model, image, result, show=False, out_file=out_file, opacity=0.0, with_labels=False
    )
    assert (mmcv.bgr2rgb(mmcv.imread(out_file)) == drawn).all()
    from_array = show_result_pyplot(
        model,
        mmcv.imread(image),
        result,
        show=False,
        save_dir=str(tmp_path / 'vis'),
        opacity=0.0,
        with_labels=False,
    )
    assert (from_array == drawn).all()
    assert len(list((tmp_path / 'vis/vis_data/vis_image').iterdir())) == 1


def test_inferencer(trained, image, tmp_path):
    cfg, path, _ = trained
    inferencer = MMSegInferencer(cfg, path, device='cpu')
    expected = inference_model(init_model(cfg, path, device='cpu'), image).pred_sem_seg.data[0].numpy()
    one = inferencer(image, out_dir=str(tmp_path / 'out'))
    assert (one['predictions'] == expected).all()
    assert one['visualization'] == []
    assert (mmcv.imread(str(tmp_path / 'out/pred/00000000_pred.png'), 'unchanged') == expected).all()
    assert (tmp_path / 'out/vis/0.png').is_file()
    images = [mmcv.imread(image), image]
    both = inferencer(images, batch_size=2, return_vis=True)
    assert [ids.shape for ids in both['predictions']] == [(64, 64)] * 2
    assert [drawing.shape for drawing in both['visualization']] == [(64, 64, 3)] * 2
    # samples come without drawings, as in mmsegmentation 1.2.2
    samples = inferencer(images, batch_size=2, return_vis=True, return_datasamples=True)
    assert [sample.pred_sem_seg.data.shape for sample in samples] == [(1, 64, 64)] * 2
    assert isinstance(inferencer(image, return_datasamples=True), SegDataSample)


@pytest.mark.parametrize('dtype', [np.int64, np.float32, np.float64])
def test_inferencer_draws_arrays_of_other_types(trained, image, tmp_path, dtype):
    cfg, path, _ = trained
    inferencer = MMSegInferencer(cfg, path, device='cpu')
    array = mmcv.imread(image)
    expected = inferencer(array, return_vis=True)['visualization']
    drawn = inferencer(array.astype(dtype), return_vis=True, out_dir=str(tmp_path))['visualization']
    assert (drawn == expected).all()
    assert len(list((tmp_path / 'vis').iterdir())) == len(list((tmp_path / 'pred').iterdir())) == 1


def test_list_models():
    names = MMSegInferencer.list_models('mmseg')
    assert 'fast_scnn_4xb4-40k_wta-512x512' in names and len(names) > 20
    assert MMSegInferencer.list_models(patterns='fast_scnn_4xb4-40k_wta-512') == [
        'fast_scnn_4xb4-40k_wta-512x512'
    ]


@pytest.mark.parametrize(
    ('meta', 'classes', 'palette'),
    [
        (dict(CLASSES=('a', 'b'), PALETTE=[[1, 2, 3], [4, 5, 6]]), ('a', 'b'), [[1, 2, 3], [4, 5, 6]]),
        (dict(CLASSES=('a', 'b')), ('a', 'b'), [[0, 0, 0], [128, 0, 0]]),
        (dict(CLASSES=('a',), dataset_meta=dict(classes=('x',), palette=[[9, 9, 9]])), ('x',), [[9, 9, 9]]),
        (dict(CLASSES=('defect', 'attached', 'broken')), ('defect', 'attached', 'broken'), None),
        (dict(CLASSES=None), ['defect', 'attached', 'broken'], None),
    ],
)
@pytest.mark.filterwarnings('ignore:neither checkpoint nor config has palette')
def test_names_of_checkpoints_of_mmsegmentation_0(trained, tmp_path, meta, classes, palette):
    cfg, path, model = trained
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    loaded = init_model(cfg, path, device='cpu').dataset_meta
    assert loaded['classes'] == classes
    assert loaded['palette'] == ([[0, 0, 0], [255, 0, 0], [0, 255, 0]] if palette is None else palette)


def test_without_a_checkpoint_nothing_pretrained_is_loaded(trained):
    cfg, _, _ = trained
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='absent.pth')
    cfg.model.pretrained = 'open-mmlab://absent'
    assert not init_model(cfg, device='cpu').training
    assert cfg.model.pretrained == 'open-mmlab://absent'


def test_inferencer_reads_names_and_configs_from_checkpoints(trained, image):
    _, path, source = trained
    inferencer = MMSegInferencer(None, path, device='cpu', classes='wta', palette='wta')
    assert inferencer.visualizer.dataset_meta['classes'] == ['defect', 'attached', 'broken']
    assert inferencer.visualizer.dataset_meta['palette'][1] == [255, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of random weights
        named = MMSegInferencer('fast_scnn_4xb4-40k_wta-512x512', device='cpu')
    assert type(named.model) is type(source)
    with pytest.raises(ValueError, match='neither a file nor the name'):
        MMSegInferencer('fastest_scnn', device='cpu')


def test_initial_weights_are_not_listed_on_the_screen(trained, capfd):
    init_model(trained[0], device='cpu')
    assert 'torch.Size' not in ''.join(capfd.readouterr())
