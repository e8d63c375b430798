"""Wrong command lines, folders and models for every subcommand but ``convert``, ``train`` and ``test``."""

import numpy as np
from bad_cases import Case
from cases_annotations import COCO, GREY, LABELME, folder, loop, pipe
from hostile import png_bomb


def command_lines(*rows: tuple[str, ...], files: dict | None = None) -> list[Case]:
    """Cases of ``(argv, names…)``."""
    return [Case(argv, names, files or {}) for argv, *names in rows]


PIXELS = np.random.default_rng(1).integers(0, 255, (40, 40, 3)).astype(np.uint8)
RENDER = command_lines(
    ('render --out o --train -1', '--train', '-1'),
    ('render --out o --val -2', '--val', '-2'),
    ('render --out o --test -3', '--test', '-3'),
    ('render --out o --train x', '--train', 'x'),
    ('render --out o --train 2.5', '--train', '2.5'),
    ('render --out o --train 0 --val 0 --test 0', '--train'),
    ('render --out o --size 1', '--size', '1'),
    ('render --out o --size -64', '--size', '-64'),
    ('render --out o --size x', '--size', 'x'),
    ('render --out o --workers 0', '--workers', '0'),
    ('render --out o --workers -1', '--workers', '-1'),
    ('render --out o --seed -1', '--seed', '-1'),
    ('render --out o --seed x', '--seed', 'x'),
    ('render --out o --style nosuch', 'nosuch'),
    ('render --out o --style rust=x', 'rust=x'),
    ('render --out o --style rust=-1', 'rust=-1'),
    ('render --out o --style rust=2', 'rust'),
    ('render --out o --nosuch 1', '--nosuch'),
    ('render --out', '--out'),
)
RENDER += [
    Case('render --out o --train 1 --val 0 --test 0 --size 64', names, files)
    for files, *names in [
        ({'o/render.json': '{'}, 'render.json'),
        ({'o/render.json': '[]'}, 'render.json', '[]'),
        ({'o/render.json': '{"renderer": 0}'}, 'render.json', "{'renderer': 0}"),
        ({'o/img_dir/train/a.png': GREY}, 'o'),
        ({'o/render.json': folder}, 'render.json'),
        ({'o': 'a file'}, 'o'),
    ]
]
CHECK = command_lines(
    ('check nowhere', 'nowhere'),
    ('check /dev/null', '/dev/null'),
    ('check .', 'img_dir'),
    ('check . --workers x', '--workers', 'x'),
    ('check . --workers 2.5', '--workers', '2.5'),
    ('check . --nosuch', '--nosuch'),
    ('check', 'ROOT'),
)
SPLIT = command_lines(
    ('split nowhere --out o', 'nowhere'),
    ('split {blades}', '--out', '--folds'),
    ('split {blades} --out o --folds 2', '--out', '--folds'),
    ('split {blades} --out o --split 70/30', '--split', '70/30'),
    ('split {blades} --out o --split a/b/c', '--split', 'a/b/c'),
    ('split {blades} --out o --split 0/50/50', '--split', '0/50/50'),
    ('split {blades} --out o --split 70/-1/31', '--split', '70/-1/31'),
    ('split {blades} --out o --split nan/1/1', '--split', 'nan/1/1'),
    ('split {blades} --out o --split inf/1/1', '--split', 'inf/1/1'),
    ('split {blades} --out o --group-by (', '--group-by', '('),
    ('split {blades} --out o --group-by zzz', '--group-by', 'zzz'),
    ('split {blades} --folds 1', '--folds', '1'),
    ('split {blades} --folds 1000', '1000'),
    ('split {blades} --folds x', '--folds', 'x'),
    ('split {blades} --out {blades}', 'blades'),
    ('split {blades} --out o --seed x', '--seed', 'x'),
)
OWN = {
    'p/a.png': PIXELS,
    'p/b.png': PIXELS,
    'p/c.png': PIXELS,
    'l/a.png': PIXELS[..., 0] % 2,
    'l/b.png': PIXELS[..., 0] % 2,
}
OWN |= {'l/c.png': PIXELS[..., 1] % 2}
NEW_ARGV = 'new d --configs cfg --images p --labels l --classes ok bad'
NEW = [
    Case(argv, names, OWN)
    for argv, *names in [
        ('new d --images nowhere --labels l --classes ok bad', 'nowhere'),
        ('new d --images p --labels nowhere --classes ok bad', 'nowhere'),
        ('new d --images p --labels l --classes ok', '--classes', 'ok'),
        ('new d --images p --labels l --classes ok ok', '--classes', 'ok'),
        ('new d --images p --labels l', '--classes'),
        ('new d --labels l --classes ok bad', '--images'),
        ('new d --images p --classes ok bad', '--labels'),
        ('new --images p --labels l --classes ok bad', 'NAME'),
        (f'{NEW_ARGV} --map 1', '--map', "'1'"),
        (f'{NEW_ARGV} --map 1=rust', 'rust'),
        (f'{NEW_ARGV} --colour bad', '--colour', 'bad'),
        (f'{NEW_ARGV} --colour bad=1,2,300', '--colour', '1,2,300'),
        (f'{NEW_ARGV} --split 1/2', '--split', '1/2'),
        (f'{NEW_ARGV} --group-by [', '--group-by', '['),
        (f'{NEW_ARGV} --empty-label x', '--empty-label', 'x'),
        (f'{NEW_ARGV} --value-range 5', '--value-range'),
        (f'{NEW_ARGV} --value-range a b', '--value-range', 'a'),
        (f'{NEW_ARGV} --line-width x', '--line-width', 'x'),
        (f'{NEW_ARGV} --nosuch', '--nosuch'),
    ]
]
NEW += [
    Case(NEW_ARGV, names, OWN | files)
    for files, *names in [
        ({'l/a.png': b'no image'}, 'a.png'),
        ({'l/a.png': np.full((40, 40), 9, np.uint8)}, 'l', '9', '--map'),
        ({'l/a.png': PIXELS[:20, :, 0] % 2}, 'a.png', '40 x 20', '40 x 40'),
        ({'p/a.png': b'no image'}, 'a.png'),
        ({'p/a.png': b''}, 'a.png'),
        ({'p/a.png': png_bomb(60_000, 60_000)}, 'a.png'),
        ({'p/d.png': PIXELS}, 'd.png', '--empty-label'),
        ({'p/a.jpg': PIXELS}, 'a.jpg', 'a.png'),
        ({'l/a.bmp': GREY}, 'a.bmp', 'a.png'),
        ({'data/d/x.txt': 'mine'}, 'data/d'),
        ({'data/d/dataset.json': '{'}, 'dataset.json'),
        ({'data/d/dataset.json': '[]'}, 'dataset.json'),
        ({'data/d/dataset.json': '{"settings": 5}'}, 'dataset.json'),
        ({'data/d/dataset.json': '{"settings": {"classes": ["x"]}}'}, 'all_channels', 'None', 'False'),
        ({'cfg/_base_/datasets/d.py': 'x = 1\n'}, 'd.py'),
        ({'p/a.png': pipe}, '2 images', '3 splits'),
        ({'p/a.png': loop}, '2 images', '3 splits'),
    ]
]
NEW += [
    Case(
        'new d --configs cfg --images p --labels l --classes defect attached',
        names,
        {'p/a.png': PIXELS, **files},
    )
    for files, *names in [
        ({'l/a.json': {**LABELME, 'imagePath': 'a.png'}}, 'a.png', '8 x 8', '40 x 40'),
        ({'l/c.json': COCO}, 'broken'),
        ({'l/c.json': {'x': 1}}, 'c.json', 'LabelMe'),
        ({'l/c.json': '{'}, 'c.json'),
        ({'l/c.json': '[' * 100_000}, 'c.json'),
        ({'l/other.png': GREY}, 'a'),
    ]
]
PREDICT = [
    Case(
        argv,
        names,
        {'p/a.png': PIXELS, 'm.pth': b'x', 'm.onnx': b'x', 'e.pth': b'', 'f/x.txt': 'x', 'm.txt': 'x'},
    )
    for argv, *names in [
        ('predict nowhere.pth p --out o', 'nowhere.pth'),
        ('predict m.pth p --out o', 'm.pth'),
        ('predict e.pth p --out o', 'e.pth'),
        ('predict m.onnx p --out o', 'm.onnx'),
        ('predict m.txt p --out o', 'm.txt'),
        ('predict p p --out o', 'p'),
        ('predict m.pth --out o', 'images'),
        ('predict m.pth p', '--out'),
        ('predict {checkpoint} nowhere --out o', 'nowhere'),
        ('predict {checkpoint} f --out o', 'f'),
        ('predict {checkpoint} no*.png --out o', 'no*.png'),
        ('predict {checkpoint} f/x.txt --out o', 'x.txt'),
        ('predict {checkpoint} p --out o --window 0', '--window', '0'),
        ('predict {checkpoint} p --out o --window -5', '--window', '-5'),
        ('predict {checkpoint} p --out o --window 32 --overlap 1', '--overlap', '1'),
        ('predict {checkpoint} p --out o --window 32 --overlap -0.1', '--overlap', '-0.1'),
        ('predict {checkpoint} p --out o --window 32 --overlap nan', '--overlap', 'nan'),
        ('predict {checkpoint} p --out o --batch-size 0', '--batch-size', '0'),
        ('predict {checkpoint} p --out o --batch-size x', '--batch-size', 'x'),
        ('predict {checkpoint} p --out o --device tpu', 'tpu'),
        ('predict {checkpoint} p --out o --device cuda:99', 'cuda:99'),
        ('predict {checkpoint} p --out o --config nowhere', 'nowhere'),
        ('predict m.onnx p --out o --config {config}', '--config'),
    ]
]
PREDICT += [
    Case('predict {checkpoint} p --out o --device cpu', ('p/a.png', *names), {'p/a.png': content})
    for content, *names in [
        (b'no image',),
        (b'',),
        (png_bomb(60_000, 60_000),),
        (np.zeros((2, 3, 4), np.uint8)[:0].tobytes() + b'\x89PNG\r\n\x1a\n',),
    ]
]
EXPORT = command_lines(
    ('export nowhere {checkpoint}', 'nowhere'),
    ('export {config} nowhere.pth', 'nowhere.pth'),
    ('export {config} m.pth', 'm.pth'),
    ('export {config} {checkpoint} --shape 0', '--shape', '0'),
    ('export {config} {checkpoint} --shape 1 2 3', '--shape', '1 2 3'),
    ('export {config} {checkpoint} --shape x', '--shape', 'x'),
    ('export {config} {checkpoint} --shape -5 -5', '--shape', '-5'),
    ('export {config}', 'CHECKPOINT'),
    files={'m.pth': b'x'},
)
FIND_BEST = [
    Case('find-best --json_log_path s.json', ('s.json', *names), {'s.json': content})
    for content, *names in [('',), ('x',), ('{}',), ('[1]',), ('{"loss": 1}\n',), ('[' * 100_000,), (folder,)]
]
FIND_BEST += command_lines(
    ('find-best --json_log_path nowhere.json', 'nowhere.json'),
    ('find-best', '--json_log_path'),
)
REPORT = command_lines(
    ('report nowhere', 'nowhere'),
    ('report .', '.'),
    ('report a.txt', 'a.txt'),
    ('report . --parts x', '--parts', 'x'),
    ('report . --count x', '--count', 'x'),
    ('report . --images a --count 2', '--images', '--count'),
    files={'a.txt': 'x'},
)
BATCH_ARGV = 'batch --project p --gpus 1 --config-root {configs} --candidates net/tiny'
BATCH = command_lines(
    ('batch --gpus 1 --candidates a/b', '--project'),
    ('batch --project p --candidates a/b', '--gpus'),
    ('batch --project p --gpus 1', '--candidates'),
    ('batch --project p --gpus 1 --candidates a/b --candidates-file c.txt', '--candidates-file'),
    ('batch --project a/b --gpus 1 --candidates a/b', '--project', 'a/b'),
    ('batch --project .. --gpus 1 --candidates a/b', '--project', '..'),
    ('batch --project p --gpus 0 --candidates a/b', '0'),
    ('batch --project p --gpus -1 --candidates a/b', '-1'),
    ('batch --project p --gpus x --candidates a/b', '--gpus', 'x'),
    ('batch --project p --gpus 1 --candidates ../x', '../x'),
    ('batch --project p --gpus 1 --candidates /x', '/x'),
    ('batch --project p --gpus 1 --candidates-file nowhere.txt', 'nowhere.txt'),
    ('batch --project p --gpus 1 --candidates-file e.txt', 'candidate'),
    ('batch --project p --gpus 1 --candidates-file as.txt', 'as.txt:1', '--as'),
    ('batch --project p --gpus 1 --candidates-file kv.txt', 'kv.txt:1', 'x'),
    ('batch --project p --gpus 1 --candidates-file two.txt', 'two.txt:2', 'a/b', '--as'),
    (f'{BATCH_ARGV} --jobs 0', '--jobs', '0'),
    (f'{BATCH_ARGV} --data nowhere', '--data', 'nowhere'),
    (f'{BATCH_ARGV} --cfg-options x', "'x'"),
    (f'{BATCH_ARGV} --find-best-dir nowhere', 'nowhere'),
    (f'{BATCH_ARGV} --nosuch', '--nosuch'),
    files={'e.txt': '# nothing\n', 'as.txt': 'a/b --as\n', 'kv.txt': 'a/b x\n', 'two.txt': 'a/b\na/b c=1\n'},
)
STUDY = command_lines(
    ('study losses', '--project'),
    ('study nosuch --project p --data {blades}', 'nosuch'),
    ('study --project p --data {blades}', 'study'),
    ('study losses --project p --data nowhere', 'nowhere'),
    ('study losses --project p --data {blades} --seeds 0', '--seeds', '0'),
    ('study losses --project p --data {blades} --jobs 0', '--jobs', '0'),
    ('study losses --project p --data {blades} --gpus 0', '--gpus', '0'),
    ('study losses --project p --data {blades} --validations 0', '--validations', '0'),
    ('study losses --project p --data {blades} --iters 0', '--iters'),
    ('study losses --project p --data {blades} --iters 9 --smoke', '--iters', '--smoke'),
    ('study losses --project p --data {blades} --model no/such', 'no/such'),
    ('study losses --project p --data {blades} --only Nothing', '--only', 'Nothing'),
    ('study losses --project a/b --data {blades}', '--project', 'a/b'),
    ('study --report-only --from nowhere.json --out o', 'nowhere.json'),
    ('study --report-only --from r.json --out o', 'r.json'),
    ('study losses --from r.json', '--from', '--report-only'),
    ('study words --project p --data {blades}', '_aug_'),
    files={'r.json': '{'},
)
AUGMENT_ARGV = 'augment --data {blades}'
AUGMENT = command_lines(
    ('augment --data nowhere', 'nowhere'),
    *[
        (f'{AUGMENT_ARGV} {option} {value}', option.removeprefix('--'), value)
        for option, value in [
            ('--steps', '0'),
            ('--steps', '2000'),
            ('--guidance', 'nan'),
            ('--guidance', '-1'),
            ('--cross', '1.5'),
            ('--self', '-0.1'),
            ('--rli-alpha', '2'),
            ('--resolution', '100'),
            ('--batch-size', '0'),
            ('--limit', '-1'),
            ('--blend', 'x'),
            ('--inversion', 'x'),
            ('--dtype', 'x'),
            ('--split', 'nosuch'),
        ]
    ],
    (f'{AUGMENT_ARGV} --steps x', '--steps', 'x'),
    (f'{AUGMENT_ARGV} --steps 2.5', '--steps', '2.5'),
    (f'{AUGMENT_ARGV} --word !!', 'word', '!!'),
    (f'{AUGMENT_ARGV} --word a A a', 'word', "'a'"),
    (f'{AUGMENT_ARGV} --target-prompt x', 'target_prompt', 'x'),
    (f'{AUGMENT_ARGV} --config nowhere.yaml', 'nowhere.yaml'),
    (f'{AUGMENT_ARGV} --config /dev/null', '/dev/null'),
    (f'{AUGMENT_ARGV} --config a.txt', 'a.txt'),
    (f'{AUGMENT_ARGV} --config list.yaml', 'list.yaml'),
    (f'{AUGMENT_ARGV} --config broken.yaml', 'broken.yaml'),
    (f'{AUGMENT_ARGV} --config tag.yaml', 'tag.yaml'),
    (f'{AUGMENT_ARGV} --config deep.yaml', 'deep.yaml'),
    (f'{AUGMENT_ARGV} --config unknown.yaml', 'unknown.yaml', 'nosuch'),
    (f'{AUGMENT_ARGV} --config type.yaml', 'steps', 'many'),
    (f'{AUGMENT_ARGV} --config no.yaml', 'no.yaml', 'False'),
    (f'{AUGMENT_ARGV} --config syntax.py', 'syntax.py'),
    (f'{AUGMENT_ARGV} --config fails.py', 'fails.py'),
    (f'{AUGMENT_ARGV} --nosuch 1', '--nosuch'),
    (f'{AUGMENT_ARGV} --out {{blades}}', 'out', 'blades'),
    (f'{AUGMENT_ARGV} --model nowhere', 'nowhere'),
    (f'{AUGMENT_ARGV} --judge nowhere.onnx --model nowhere', 'nowhere.onnx'),
    (f'{AUGMENT_ARGV} --judge j.onnx --model nowhere', 'j.onnx'),
    (f'{AUGMENT_ARGV} --device tpu', 'device', 'tpu'),
    files={
        'a.txt': 'x',
        'list.yaml': '- 1\n',
        'broken.yaml': 'a: [1\n',
        'tag.yaml': 'steps: !!python/object/apply:os.system ["touch hacked"]\n',
        'deep.yaml': '[' * 5000,
        'unknown.yaml': 'nosuch: 1\n',
        'type.yaml': 'steps: many\n',
        'no.yaml': 'word: no\n',
        'syntax.py': 'steps = (\n',
        'fails.py': 'steps = 1 / 0\n',
        'j.onnx': b'x',
    },
)
OTHER = command_lines(
    ('nosuchcommand', 'nosuchcommand'),
    ('bench nosuch', 'nosuch'),
    ('demo --nosuch', '--nosuch'),
)
COMMANDS = (
    RENDER + CHECK + SPLIT + NEW + PREDICT + EXPORT + FIND_BEST + REPORT + BATCH + STUDY + AUGMENT + OTHER
)
