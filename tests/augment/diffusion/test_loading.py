"""Loading from directories, files and the hub, and what identifies the weights."""

import shutil

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import load_file, save_file

from augment import shipped
from augment.diffusion import loading
from augment.diffusion.loading import choose_dtype, content_hash, load_model, weight_variant


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('the network was used')

    monkeypatch.setattr('socket.socket.connect', refuse)
    monkeypatch.setattr('socket.getaddrinfo', refuse)


@pytest.fixture(scope='module')
def pipeline(tiny_sdxl_dir):
    return StableDiffusionXLPipeline.from_pretrained(tiny_sdxl_dir, local_files_only=True)


@pytest.mark.parametrize(
    'name', ['./nowhere', '/no/where', 'file.safetensors', 'nowhere', 'a/b/c', 'dir/x.ckpt']
)
def test_a_missing_path_says_how_to_get_the_model(name, no_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r'no such file or directory.*hf download stabilityai.*--model demo'
    ):
        load_model(name, device='cpu')


def test_demo_is_the_model_in_the_package(tiny_sdxl_dir, no_network, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, 'WEIGHTS', tiny_sdxl_dir)
    model = load_model('demo', device='cpu')
    assert (
        model.id == 'demo'
        and model.fingerprint() == load_model(str(tiny_sdxl_dir), device='cpu').fingerprint()
    )
    monkeypatch.setattr(shipped, 'WEIGHTS', tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model 'demo': .* holds no model.*demo_model/README\.md"):
        load_model('demo', device='cpu')


def test_a_hub_model_that_cannot_be_loaded_is_the_same_error(monkeypatch):
    calls = []

    def unreachable(name, **options):
        calls.append(options.get('local_files_only', False))
        raise OSError('We could not connect to the hub\nsecond line')

    monkeypatch.setattr('huggingface_hub.snapshot_download', unreachable)
    monkeypatch.setattr('huggingface_hub.list_repo_files', unreachable)
    with pytest.raises(
        FileNotFoundError, match=r"'owner/name-1\.0'.*could not connect to the hub\. .*hf download"
    ):
        load_model('owner/name-1.0', device='cpu')
    assert calls == [True, False]  # the cache first


@pytest.fixture(scope='module')
def half_only(tiny_sdxl_dir, tmp_path_factory):
    """The tiny model with half-precision files only, as the download command of the error fetches them."""
    folder = shutil.copytree(tiny_sdxl_dir, tmp_path_factory.mktemp('half') / 'sdxl')
    for file in folder.rglob('*.safetensors'):
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in load_file(file).items()}
        save_file(tensors, file.with_name(f'{file.stem}.fp16.safetensors'), metadata={'format': 'pt'})
        file.unlink()
    return folder


def test_half_precision_files_are_read_where_there_are_no_others(half_only, tiny_model, no_network):
    model = load_model(str(half_only), device='cpu', dtype='fp32')
    assert model.unet.dtype == torch.float32
    for name, weight in tiny_model.unet.state_dict().items():
        assert torch.equal(model.unet.state_dict()[name], weight.half().float()), name


@pytest.mark.parametrize(
    ('names', 'prefer_half', 'variant'),
    [
        (['unet/a.safetensors', 'vae/a.safetensors'], True, None),
        (['unet/a.safetensors', 'unet/a.fp16.safetensors'], False, None),
        (['unet/a.safetensors', 'unet/a.fp16.safetensors'], True, 'fp16'),
        (['unet/a-00001-of-00002.fp16.safetensors', 'vae/a.safetensors'], False, 'fp16'),
        (['sd_xl_base.fp16.safetensors', 'unet/a.safetensors', 'unet/a.fp16.bin'], True, None),
    ],
)
def test_variant_of_the_weights(names, prefer_half, variant):
    assert weight_variant(names, prefer_half=prefer_half) == variant


@pytest.mark.parametrize(('dtype', 'kind'), [('fp32', 'plain'), ('bf16', 'fp16')])
def test_only_what_is_needed_is_downloaded_from_the_hub(
    tiny_sdxl_dir, half_only, tmp_path, monkeypatch, dtype, kind
):
    files = {
        path.relative_to(root).as_posix(): path
        for root in (tiny_sdxl_dir, half_only)
        for path in root.rglob('*')
    }
    files = {name: path for name, path in files.items() if path.is_file()}
    others = [
        'sd_xl_base_1.0.safetensors',
        'unet/model.bin',
        'unet/flax.msgpack',
        'unet/model.onnx',
        'vae_1_0/a.safetensors',
    ]
    snapshot = tmp_path / 'snapshots' / 'abc'

    def download(name, *, local_files_only=False, allow_patterns=None, ignore_patterns=None):
        if local_files_only:
            raise FileNotFoundError('not in the cache')
        fetched = filter_repo_objects(
            [*files, *others], allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        )
        for file in fetched:
            (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files[file], snapshot / file)  # KeyError for one of the others
        return str(snapshot)

    monkeypatch.setattr('huggingface_hub.snapshot_download', download)
    monkeypatch.setattr('huggingface_hub.list_repo_files', lambda name: [*files, *others])
    model = load_model('owner/sdxl', device='cpu', dtype=dtype)
    weights = [path.name for path in snapshot.rglob('*.safetensors')]
    assert len(weights) == 4 and all(('.fp16.' in name) == (kind == 'fp16') for name in weights)
    assert model.revision == 'abc' and model.fingerprint().startswith('owner/sdxl@abc')


def test_directory_without_a_pipeline_and_broken_weights(tiny_sdxl_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'model_index\.json'):
        load_model(str(tmp_path), device='cpu')
    broken = tmp_path / 'broken'
    shutil.copytree(tiny_sdxl_dir, broken)
    next((broken / 'unet').glob('*.safetensors')).unlink()
    with pytest.raises(FileNotFoundError, match=r'broken.*cannot be loaded'):
        load_model(str(broken), device='cpu')
    # Pickled weights in their place are not read.
    torch.save({'conv_in.weight': torch.zeros(1)}, broken / 'unet' / 'diffusion_pytorch_model.bin')
    with pytest.raises(FileNotFoundError, match=r'cannot be loaded: .*\.safetensors'):
        load_model(str(broken), device='cpu')


def test_a_single_file_takes_its_configuration_from_the_folder_beside_it(tmp_path, monkeypatch, pipeline):
    file = tmp_path / 'sdxl.safetensors'
    file.write_bytes(b'weights')
    calls = []

    def from_single_file(path, **options):
        calls.append((path, options))
        return pipeline

    monkeypatch.setattr(StableDiffusionXLPipeline, 'from_single_file', from_single_file)
    model = load_model(str(file), device='cpu', dtype='fp32')
    assert 'config' not in calls[0][1] and calls[0][0] == str(file)
    assert model.identity == content_hash(file)
    (tmp_path / 'sdxl').mkdir()
    (tmp_path / 'sdxl' / 'model_index.json').write_text('{}')
    load_model(str(file), device='cpu', dtype='fp32')
    assert calls[1][1]['config'] == str(tmp_path / 'sdxl') and calls[1][1]['local_files_only']


def test_other_weight_files_are_refused(tmp_path):
    file = tmp_path / 'model.ckpt'
    file.write_bytes(b'')
    with pytest.raises(ValueError, match=r'expected a \.safetensors file'):
        load_model(str(file), device='cpu')


def test_dtype_follows_the_device_unless_it_is_given(tiny_sdxl_dir):
    assert (choose_dtype('auto', 'cuda:1'), choose_dtype('auto', 'cpu')) == ('fp16', 'fp32')
    assert choose_dtype('bf16', 'cpu') == 'bf16'
    assert load_model(str(tiny_sdxl_dir), device='cpu').dtype == torch.float32


def test_unknown_dtype_and_missing_gpu(tiny_sdxl_dir):
    with pytest.raises(ValueError, match="'int4' is unknown; expected one of fp16, bf16, fp32"):
        load_model(str(tiny_sdxl_dir), device='cpu', dtype='int4')
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='use device cpu'):
            load_model(str(tiny_sdxl_dir))


def test_fingerprint_depends_on_content_and_dtype_not_on_the_path(tiny_sdxl_dir, tiny_model, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(tiny_sdxl_dir, copy)
    moved = load_model(str(copy), device='cpu', dtype='fp32')
    assert moved.fingerprint() == tiny_model.fingerprint()
    assert load_model(str(copy), device='cpu', dtype='bf16').fingerprint() != moved.fingerprint()
    weights = next((copy / 'unet').glob('*.safetensors'))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert content_hash(copy) != content_hash(tiny_sdxl_dir)


def test_large_files_are_sampled_to_their_very_end(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, 'SAMPLES', 4)
    monkeypatch.setattr(loading, 'SAMPLE_BYTES', 8)
    file = tmp_path / 'weights.safetensors'
    hashes = set()
    for changed in (None, 0, 999):
        content = bytearray(1000)
        if changed is not None:
            content[changed] = 1
        file.write_bytes(content)
        hashes.add(content_hash(file))
    assert len(hashes) == 3


class TestLora:
    @pytest.fixture(scope='class')
    def lora(self, tiny_sdxl_dir, tmp_path_factory):
        peft = pytest.importorskip('peft')
        unet = StableDiffusionXLPipeline.from_pretrained(tiny_sdxl_dir, local_files_only=True).unet
        unet.add_adapter(peft.LoraConfig(r=2, target_modules=['to_q'], init_lora_weights=False))
        layers = peft.utils.get_peft_model_state_dict(unet)
        directory = tmp_path_factory.mktemp('lora')
        StableDiffusionXLPipeline.save_lora_weights(
            directory, unet_lora_layers=layers, weight_name='my.safetensors'
        )
        return directory / 'my.safetensors'

    def test_is_fused_and_part_of_the_fingerprint(self, lora, tiny_sdxl_dir, tiny_model, no_network):
        model = load_model(str(tiny_sdxl_dir), device='cpu', dtype='fp32', lora=str(lora))
        assert set(model.unet.state_dict()) == set(tiny_model.unet.state_dict())
        moved = {
            name.rsplit('.', 2)[-2]
            for name, weight in model.unet.state_dict().items()
            if not torch.equal(weight, tiny_model.unet.state_dict()[name])
        }
        assert moved == {'to_q'}
        assert model.fingerprint() != tiny_model.fingerprint()

    def test_missing_or_unfit(self, tiny_sdxl_dir, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'none\.safetensors: no such file'):
            load_model(str(tiny_sdxl_dir), device='cpu', lora=str(tmp_path / 'none.safetensors'))
        unfit = tmp_path / 'unfit.safetensors'
        unfit.write_bytes(b'nothing')
        with pytest.raises(ValueError, match=r'unfit\.safetensors does not fit'):
            load_model(str(tiny_sdxl_dir), device='cpu', lora=str(unfit))
