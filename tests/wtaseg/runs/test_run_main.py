"""The batch job on stand-ins for tools/train.py and test.py, which write what the real ones write, at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from recorded_project import ROOT

from wtaseg.cli import batch
from wtaseg.runs.checkpoints import user_find_best
from wtaseg.runs.execute import ExperimentRun, run_experiment, tool_command
from wtaseg.runs.job import Experiment, Job, parse_experiment
from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.pool import print_summary, run_pool
from wtaseg.runs.records import read_run
from wtaseg.runs.settings import changes, checkpoint_options, describe, load_config
from wtaseg.runs.spec import read_spec
from wtaseg.runs.state import ExperimentError

CONFIG = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=2)
default_hooks = dict(
    logger=dict(type='LoggerHook', log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2.0)))
test_dataloader = dict(batch_size=1)
"""

# Both stand-ins note their command line, and break where the file `break` says so.
COMMON = """
import argparse, json, os, pathlib, sys, time, zipfile
root = pathlib.Path(__file__).resolve().parents[1]
parser = argparse.ArgumentParser()
parser.add_argument('config', type=pathlib.Path)
if 'test' in pathlib.Path(__file__).name:
    parser.add_argument('checkpoint', type=pathlib.Path)
parser.add_argument('--work-dir', type=pathlib.Path)
parser.add_argument('--out', type=pathlib.Path)
parser.add_argument('--show-dir', type=pathlib.Path)
for flag in ('--resume', '--smoke', '--amp', '--tta'):
    parser.add_argument(flag, action='store_true')
parser.add_argument('--cfg-options', nargs='+', default=[])
args = parser.parse_args()
tool = pathlib.Path(__file__).stem
with (root / 'calls').open('a') as file:
    file.write(json.dumps([tool, args.config.stem, *sys.argv[2:]]) + chr(10))
broken = (root / 'break').read_text().split() if (root / 'break').exists() else []
breaks = broken[:2] == [tool, args.config.stem]
stamp = str(time.time_ns())
"""
TRAIN = """
subfolder = dict(option.split('=', 1) for option in args.cfg_options)['default_hooks.checkpoint.subfolder']
note = args.work_dir / 'last_checkpoint'
begin = int(pathlib.Path(note.read_text()).stem[5:]) if args.resume else 0
log = args.work_dir / stamp / 'vis_data' / f'{stamp}.json'
log.parent.mkdir(parents=True)
(args.work_dir / 'ckpt').mkdir(exist_ok=True)
for step in range(begin + 1, 7):
    if breaks and step == int(broken[2]):
        if broken[3:] == ['wait']:
            (root / 'waiting').touch()
            time.sleep(60)
        raise RuntimeError('broken on purpose')
    print('step', step, flush=True)
    if step % 2 == 0:
        checkpoint = args.work_dir / subfolder / f'iter_{step}.pth'
        zipfile.ZipFile(checkpoint, 'w').close()
        note.write_text(str(checkpoint))
        with log.open('a') as file:  # the best is the validation at step 4
            file.write(json.dumps({'aAcc': 90, 'mIoU': 50 - abs(step - 4), 'mAcc': 50, 'step': step}) + chr(10))
"""
TEST = """
if breaks:
    sys.exit('no image to be read')
folder = args.work_dir / stamp
folder.mkdir(parents=True)
(folder / f'{stamp}.json').write_text(json.dumps({'IoU.defect': 99, 'IoU.attached': 1, 'IoU.broken': 2}))
print('| broken | 2.0 | 2.0 |', args.checkpoint.is_file())
"""


@pytest.fixture
def root(tmp_path):
    """A copy of the project's bash folder beside stand-ins for the tools, in a folder with a blank."""
    root = tmp_path / 'pro ject'
    shutil.copytree(ROOT / 'bash', root / 'bash', ignore=shutil.ignore_patterns('__pycache__'))
    for folder in ('tools/analysis_tools', 'wtaseg'):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns('__pycache__'))
    (root / 'configs/net').mkdir(parents=True)
    for name in ('a', 'b'):
        (root / f'configs/net/{name}.py').write_text(CONFIG)
    (root / 'tools/train.py').write_text(COMMON + TRAIN)
    (root / 'tools/test.py').write_text(COMMON + TEST)
    return root


def make_job(root, project='my project', **changed) -> Job:
    settings = dict(
        root=root,
        base=root,
        project=ProjectLayout(root / 'work_dirs' / project),
        config_root=root / 'configs',
    )
    return Job(**settings | changed)


def run_all(job, experiments) -> int:
    """The job as the command runs it: the exit status."""
    result = run_pool(experiments, partial(run_experiment, job), job.project)
    print_summary(result, job.project)
    return result.exit_status


A, B = (Experiment(f'net/{name}', f'net/{name}') for name in 'ab')


def calls(root) -> list[list[str]]:
    """Command lines since the last call: tool, config, arguments."""
    file = root / 'calls'
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def tools_run(root) -> list[tuple]:
    return [
        (tool, config, *(['--resume'] if '--resume' in rest else [])) for tool, config, *rest in calls(root)
    ]


def main(root, *arguments, answers='', **env):
    command = ['bash', str(root / 'bash/run_main.sh'), *arguments]
    environment = os.environ | {'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': ''} | env
    return subprocess.run(
        command, input=answers, capture_output=True, text=True, cwd=root.parent, env=environment, timeout=60
    )


@pytest.mark.parametrize(
    'answers, message',
    [
        ('\n', 'Empty name is not acceptable.'),
        ('', 'Empty name is not acceptable.'),
        ('  \n1\n', 'Empty name is not acceptable.'),
        ('x\n0\n', '0 or Negative number of Gpu is not acceptable.'),
        ('x\n-1\n', '0 or Negative number of Gpu is not acceptable.'),
        ('x\ntwo\n', '0 or Negative number of Gpu is not acceptable.'),
        ('x\na[$(touch hacked)]\n', '0 or Negative number of Gpu is not acceptable.'),
        ('x\n18446744073709551617\n', '0 or Negative number of Gpu is not acceptable.'),
        ('x\n', '0 or Negative number of Gpu is not acceptable.'),
    ],
)
def test_wrong_answers_are_refused(root, answers, message):
    result = main(root, answers=answers)
    assert (result.returncode, result.stdout) == (1, message + '\n')
    assert result.stderr.startswith('Enter Project Name : ')
    assert not (root / 'work_dirs').exists() and not (root.parent / 'hacked').exists()


def test_after_the_prompts_the_list_in_the_script_is_run(root):
    script = root / 'bash/run_main.sh'
    text = script.read_text()
    head, tail = text.split('TEST_CANDI=(', 1)
    # the trailing backslashes are how the published list was written; they add a blank to the name
    script.write_text(head + 'TEST_CANDI=(\n    net/a\\ \n    configs/net/b.py\n)' + tail.split('\n)', 1)[1])
    result = main(root, answers='my project\n1\n')
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == 'Enter Project Name : Enter Gpu Count : '
    assert 'No CUDA device found: running on the CPU' in result.stdout
    assert '[1/2] net/a' in result.stdout and '[2/2] net/b' in result.stdout
    assert 'step 6\n' in result.stdout
    assert '2 done, 0 skipped, 0 failed' in result.stdout
    assert tools_run(root) == [('train', 'a'), ('test', 'a'), ('train', 'b'), ('test', 'b')]
    exp = root / 'work_dirs/my project/exp/net/a'
    assert sorted(path.name for path in exp.iterdir()) == ['run.json', 'test', 'train']
    assert sorted(path.name for path in exp.glob('train/ckpt/*')) == [
        'iter_2.pth',
        'iter_4.pth',
        'iter_6.pth',
    ]
    # tested with step 4, whose validation was the best
    assert (exp / 'test/test_log.txt').read_text() == '| broken | 2.0 | 2.0 | True\n'
    assert json.loads((root / 'work_dirs/my project/job/net/a/state.json').read_text())['checkpoint'] == (
        'train/ckpt/iter_4.pth'
    )


def test_with_flags_there_are_no_prompts_and_a_failure_does_not_stop_the_others(root):
    (root / 'break').write_text('train a 5')
    (root.parent / 'list.txt').write_text(
        '# the study\nnet/a\nnet/none\nnet/b --as net/b1 randomness.seed=1  # first\nnet/b --as net/b2\n'
    )
    flags = ['--project=p', '--gpus', '01', '--candidates-file', 'list.txt', '--smoke', '--tta']
    result = main(root, *flags, '--cfg-options', 'model.x=(1, 2)', 'y=2')
    assert result.returncode == 1
    assert 'Enter' not in result.stderr
    project = root / 'work_dirs/p'
    log = project / 'job/net/a/train_log.txt'
    assert (
        f'FAILED net/a: train: RuntimeError: broken on purpose (exit status 1)\n    log: {log}'
        in result.stdout
    )
    assert 'Traceback' in log.read_text()
    assert 'FAILED net/none' in result.stdout and 'configs/net/none.py does not exist' in result.stdout
    assert '4 candidates, 2 done, 0 skipped, 2 failed' in result.stdout
    rows = json.loads((project / 'job/summary.json').read_text())
    assert [row['status'] for row in rows] == ['failed', 'failed', 'done', 'done']
    assert rows[0]['log'] == str(log) and 'broken on purpose' in rows[0]['why']
    _, train_b1, test_b1, train_b2, _ = calls(root)
    assert '--smoke' in train_b1 and '--smoke' not in test_b1 and '--tta' in test_b1
    assert train_b1[train_b1.index('--cfg-options') + 1 :][:3] == [
        'model.x=(1, 2)',
        'y=2',
        'randomness.seed=1',
    ]
    assert 'randomness.seed=1' not in train_b2
    assert test_b1[-4:] == ['--cfg-options', 'model.x=(1, 2)', 'y=2', 'randomness.seed=1']


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--project', 'a/b', '--candidates', 'net/a'], "'a/b' cannot be the name of a folder"),
        (['--project', '..', '--candidates', 'net/a'], "'..' cannot be the name of a folder"),
        (['--project', 'p', '--candidates', '../x'], "'../x' is not a candidate"),
        (['--project', 'p', '--candidates-file', 'none'], 'none does not exist'),
        (['--project', 'p', '--cfg-options', 'gamma', '--candidates', 'net/a'], "'gamma' is not KEY=VALUE"),
        (
            ['--project', 'p', '--cfg-options', 'data_root=my data', '--candidates', 'net/a'],
            "'data_root=my data' has a blank",
        ),
    ],
)
def test_wrong_flags_are_refused(root, flags, message, capsys):
    assert batch.main(['--gpus', '1', *flags], base=root) == 1
    assert message in capsys.readouterr().err
    assert not (root / 'work_dirs').exists()


def test_a_finished_run_is_skipped_and_an_interrupted_training_resumes(root, capsys):
    (root / 'break').write_text('train a 5')
    assert run_all(make_job(root), [A, B]) == 1
    assert tools_run(root) == [('train', 'a'), ('train', 'b'), ('test', 'b')]
    (root / 'break').unlink()
    assert run_all(make_job(root), [A, B]) == 0
    assert tools_run(root) == [('train', 'a', '--resume'), ('test', 'a')]
    assert '1 done, 1 skipped, 0 failed' in capsys.readouterr().out
    # from step 4, so the best step is in the log of the first attempt
    assert read_run(root / 'work_dirs/my project/exp/net/a').checkpoint == 'train/ckpt/iter_4.pth'
    assert run_all(make_job(root), [A, B]) == 0
    assert tools_run(root) == []


def test_a_failed_test_runs_again_without_a_training(root):
    (root / 'break').write_text('test a')
    assert run_all(make_job(root), [A]) == 1
    row = json.loads((root / 'work_dirs/my project/job/summary.json').read_text())[0]
    assert row['why'] == 'test: no image to be read (exit status 1)'
    (root / 'break').unlink()
    calls(root)
    assert run_all(make_job(root), [A]) == 0
    assert tools_run(root) == [('test', 'a')]


def test_changed_settings_are_refused_or_trained_again(root, capsys):
    assert run_all(make_job(root), [A]) == 0
    calls(root)
    changed = make_job(root, overrides=('model.decode_head.loss_decode.gamma=5.0',))
    assert run_all(changed, [A]) == 1
    out = capsys.readouterr().out
    assert 'model.decode_head.loss_decode.gamma: 2.0 is now 5.0' in out and '--restart' in out
    assert tools_run(root) == []
    # the refusal has not touched what is there
    assert run_all(make_job(root), [A]) == 0
    assert tools_run(root) == []
    assert run_all(make_job(root, overrides=changed.overrides, restart=True), [A]) == 0
    assert tools_run(root) == [('train', 'a'), ('test', 'a')]
    assert len(list((root / 'work_dirs/my project/replaced/net').glob('a-*/train/ckpt/iter_4.pth'))) == 1


def test_changed_settings_of_the_test_need_a_test_alone(root, capsys):
    assert run_all(make_job(root), [A]) == 0
    calls(root)
    for _ in range(2):
        assert (
            run_all(make_job(root, overrides=('test_dataloader.batch_size=4',), test_flags=('--tta',)), [A])
            == 0
        )
    assert tools_run(root) == [('test', 'a')]
    assert 'test_dataloader.batch_size: 1 is now 4' in capsys.readouterr().out


def test_without_a_checkpoint_new_settings_are_taken(root):
    (root / 'break').write_text('train a 1')
    assert run_all(make_job(root), [A]) == 1
    (root / 'break').unlink()
    assert run_all(make_job(root, overrides=('y=3',)), [A]) == 0
    assert tools_run(root) == [('train', 'a'), ('train', 'a'), ('test', 'a')]


def test_a_project_that_was_moved_resumes(root):
    (root / 'break').write_text('train a 5')
    run_all(make_job(root), [A])
    (root / 'break').unlink()
    moved = root / 'work_dirs/moved'
    (root / 'work_dirs/my project').rename(moved)
    half = moved / 'exp/net/a/train/ckpt/iter_6.pth'
    half.write_bytes(b'PK half a checkpoint')
    calls(root)
    assert run_all(make_job(root, 'moved'), [A]) == 0
    assert tools_run(root) == [('train', 'a', '--resume'), ('test', 'a')]
    assert 'iter_6' in (moved / 'exp/net/a/train/last_checkpoint').read_text()
    assert 'step 5' in (moved / 'job/net/a/train_log.txt').read_text()
    assert 'step 4' not in (moved / 'job/net/a/train_log.txt').read_text()


def test_results_that_the_job_did_not_make_are_left_alone(root, capsys):
    checkpoint = root / 'work_dirs/my project/exp/net/a/train/ckpt/iter_2.pth'
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert run_all(make_job(root), [A]) == 1
    assert 'results that this job did not make' in capsys.readouterr().out
    assert tools_run(root) == []


def test_sigterm_ends_the_training_and_the_next_job_continues_it(root):
    (root / 'break').write_text('train a 5 wait')
    command = [
        'bash',
        root / 'bash/run_main.sh',
        '--project',
        'p',
        '--gpus',
        '1',
        '--candidates',
        'net/a',
        'net/b',
    ]
    environment = os.environ | {'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': ''}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not (root / 'waiting').exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    job = make_job(root, 'p')
    with pytest.raises(ExperimentError, match='another job is at work on it'):
        ExperimentRun(job, A).run()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and '2 not begun or broken off' in out
    (root / 'break').unlink()
    calls(root)
    # the lock, which the training holds too, is free: it has ended
    assert run_all(job, [A]) == 0
    assert tools_run(root) == [('train', 'a', '--resume'), ('test', 'a')]


def test_several_gpus_go_through_torchrun(root):
    for tool, place in (('train', 2), ('test', 3)):
        (root / f'tools/dist_{tool}.sh').write_text(
            f'[ "${{{place}}}" = 2 ] || exit 9\nset -- "${{@:1:{place - 1}}}" "${{@:{place + 1}}}"\n'
            f'"$PYTHON" {root.as_posix()!r}/tools/{tool}.py "$@"\n'
        )
    assert run_all(make_job(root, gpus=2), [A]) == 0
    assert tools_run(root) == [('train', 'a'), ('test', 'a')]


def test_checkpoints_follow_the_validations(root):
    path = root / 'configs/net/a.py'
    options, notes, keep = checkpoint_options(load_config(path))
    assert (options, notes, keep) == (['default_hooks.checkpoint.subfolder=ckpt'], [], -1)
    hook = 'default_hooks.checkpoint.'
    config = load_config(path, [f'{hook}interval=3', f'{hook}max_keep_ckpts=1', f'{hook}out_dir=/elsewhere'])
    options, notes, keep = checkpoint_options(config)
    assert options[1:] == [f'{hook}out_dir=None', f'{hook}max_keep_ckpts=-1', f'{hook}interval=2']
    assert keep == 1 and len(notes) == 2 and 'every 3, validation is every 2' in notes[1]
    by_epoch = load_config(path, ['train_cfg.type=EpochBasedTrainLoop', 'train_cfg.val_interval=1'])
    options = checkpoint_options(by_epoch)[0]
    assert options[:2] == [f'{hook}subfolder=ckpt', f'{hook}by_epoch=True']
    assert 'default_hooks.logger.log_metric_by_epoch=True' in options
    assert f'{hook}by_epoch=True' not in checkpoint_options(by_epoch, smoke=True)[0]


def test_max_keep_ckpts_is_applied_when_the_best_is_known(root):
    job = make_job(root, overrides=('default_hooks.checkpoint.max_keep_ckpts=1',))
    assert run_all(job, [A]) == 0
    checkpoints = (root / 'work_dirs/my project/exp/net/a/train/ckpt').iterdir()
    assert sorted(path.name for path in checkpoints) == ['iter_4.pth', 'iter_6.pth']


def test_settings_are_compared_by_key(root):
    before, now = (
        describe(load_config(root / 'configs/net/a.py', options), flags)
        for options, flags in (([], []), (['size=(2,3)', 'test_pipeline=[1]', 'work_dir=x'], ['--smoke']))
    )
    assert changes(before['train'], now['train']) == ['--smoke: True is new', 'size: [2, 3] is new']
    assert changes(before['test'], now['test']) == ['test_pipeline: [1] is new']


def test_an_experiment_may_share_its_config_but_not_its_name():
    assert parse_experiment(['net/a', '--as', 'study/a1', 'k=-1'], 'f:1') == Experiment(
        'net/a', 'study/a1', ('k=-1',)
    )
    for words in (['net/a', '--as'], ['net/a', 'k'], ['/net/a'], ['net/a', '--as', '../b']):
        with pytest.raises(ValueError, match='f:1'):
            parse_experiment(words, 'f:1')


def test_the_spec_of_a_run_is_written_when_it_starts(root):
    (root / 'break').write_text('train a 1')
    experiment = Experiment('net/a', 'study/a1', ('randomness.seed=1',))
    job = make_job(root, overrides=('model_name=MyNet', 'augmentation=rust'))
    assert run_all(job, [experiment]) == 1
    spec = read_spec(root / 'work_dirs/my project/exp/study/a1/run.json')
    assert (spec.name, spec.config, spec.model) == ('study/a1', 'net/a', 'MyNet')
    assert (spec.loss, spec.loss_parameters, spec.augmentation) == ('FocalLoss', {'gamma': 2.0}, 'rust')
    assert spec.seed == 1 and spec.overrides == (*job.overrides, 'randomness.seed=1')


def test_a_project_begun_by_an_older_version_continues(root):
    """It has no run.json, its settings hold names without an effect, save_best had the folder in its name."""
    (root / 'break').write_text('train a 5')
    run_all(make_job(root), [A])
    (root / 'break').unlink()
    exp, state = (root / 'work_dirs/my project' / part for part in ('exp/net/a', 'job/net/a/state.json'))
    (exp / 'run.json').unlink()
    (exp / 'train/best_IoU.broken_ckpt_iter_4.pth').touch()
    content = json.loads(state.read_text())
    content['settings']['train'] |= {'focal_loss.gamma': 2.0, 'crop_size': [512, 512]}
    del content['seconds'], content['started']
    state.write_text(json.dumps(content))
    calls(root)
    assert run_all(make_job(root), [A]) == 0
    assert tools_run(root) == [('train', 'a', '--resume'), ('test', 'a')]
    assert (exp / 'train/ckpt/best_IoU.broken_iter_4.pth').is_file() and not list(exp.glob('train/*.pth'))
    assert read_spec(exp / 'run.json').loss == 'FocalLoss'
    # a finished one is skipped, and from then on has its spec too
    (exp / 'run.json').unlink()
    assert run_all(make_job(root), [A]) == 0
    assert tools_run(root) == [] and (exp / 'run.json').is_file()


def test_a_run_takes_the_time_of_all_its_parts(root):
    (root / 'break').write_text('train a 5')
    run_all(make_job(root), [A])
    state = root / 'work_dirs/my project/job/net/a/state.json'
    content = json.loads(state.read_text())
    assert 'seconds' in content
    # as a job leaves it that was killed 50 seconds after its start
    log = state.with_name('train_log.txt')
    state.write_text(json.dumps(content | {'seconds': 1000.0, 'started': log.stat().st_mtime - 50}))
    (root / 'break').write_text('test a')
    run_all(make_job(root), [A])
    (root / 'break').unlink()
    assert run_all(make_job(root), [A]) == 0
    seconds = json.loads(state.read_text())['seconds']
    assert 1050 < seconds < 1110
    # neither a job that skips it nor another test adds to it
    assert run_all(make_job(root), [A]) == 0
    assert run_all(make_job(root, overrides=('test_dataloader.batch_size=4',)), [A]) == 0
    assert json.loads(state.read_text())['seconds'] == seconds
    assert read_run(root / 'work_dirs/my project/exp/net/a').seconds == seconds


def test_a_find_best_of_the_users_own_selects_the_checkpoint(root, capsys):
    folder = root / 'my rule'
    folder.mkdir()
    (folder / 'find_best.py').write_text('import sys\nprint("first" if len(sys.argv) < 3 else 2)\n')
    flags = ['--project', 'p', '--gpus', '1', '--candidates', 'net/a', '--find-best-dir']
    result = main(root, *flags, 'my rule')
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'testing train/ckpt/iter_2.pth' in result.stdout
    (folder / 'find_best.py').write_text('raise ValueError("no rule today")\n')
    assert run_all(make_job(root, find_best=user_find_best(folder)), [B]) == 1
    assert 'find_best.py: ValueError: no rule today' in capsys.readouterr().out
    assert batch.main([*flags, 'bash/none'], base=root) == 1
    assert 'bash/none/find_best.py does not exist; set FIND_BEST_DIR' in capsys.readouterr().err


def test_the_projects_find_best_is_known():
    assert user_find_best(ROOT / 'bash') is None


def test_without_a_clone_the_package_runs_the_stages(tmp_path):
    arguments = ['c.py', '--work-dir', 'w']
    assert tool_command('train', arguments, None, 1) == [sys.executable, '-m', 'wtaseg', 'train', *arguments]
    command = tool_command('test', ['c.py', 'x.pth'], None, 2)
    assert command[:4] == [sys.executable, '-m', 'wtaseg.torchrun', '--standalone']
    assert command[4:] == [
        '--nproc_per_node=2',
        '-m',
        'wtaseg',
        'test',
        'c.py',
        'x.pth',
        '--launcher',
        'pytorch',
    ]
