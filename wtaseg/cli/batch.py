"""The loop of ``run_main.sh``: every candidate in turn, a summary at the end.

Exit status: 0 when every candidate is finished, 1 when one failed or an argument cannot be right, 130 when
interrupted. Results are in ``<work-dir>/<project>/exp``, what the job notes for itself in ``…/job``.
"""

import argparse
import difflib
import json
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from wtaseg.io import write
from wtaseg.runs.execute import Candidate, CandidateError, Job, Run
from wtaseg.runs.layout import ROOT
from wtaseg.runs.settings import parse_options


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='run_main.sh',
        description='Train, pick the best checkpoint of and test every candidate. Run again, it skips what is '
        'finished and goes on with what broke off.',
    )
    parser.add_argument('--project', required=True, metavar='NAME', help='results go to work_dirs/NAME')
    parser.add_argument('--gpus', required=True, type=int, metavar='N', help='GPUs for each training')
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        '--candidates',
        nargs='+',
        metavar='DIR/MODEL',
        help='configs below configs/, without .py (default: TEST_CANDI in run_main.sh)',
    )
    which.add_argument(
        '--candidates-file',
        type=Path,
        metavar='FILE',
        help='one candidate a line: DIR/MODEL [--as DIR/NAME] [KEY=VALUE …]; with --as one config can stand '
        'several times under names of its own; # begins a comment',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='for every candidate',
    )
    parser.add_argument(
        '--restart', action='store_true', help='set results of changed settings aside and train anew'
    )
    for flag, text in (
        ('--smoke', 'a trial of a few iterations'),
        ('--from-scratch', 'do not load pretrained weights'),
        ('--amp', 'train in mixed precision'),
    ):
        parser.add_argument(
            flag, dest='train_flags', action='append_const', const=flag, help=f'train: {text}'
        )
    parser.add_argument(
        '--tta', dest='test_flags', action='append_const', const='--tta', help='test: with augmented views'
    )
    parser.add_argument('--config-root', default='configs', metavar='DIR', help='MODEL_CONFIG_PATH')
    parser.add_argument('--work-dir', default='work_dirs', metavar='DIR', help='WORK_DIR')
    parser.add_argument('--find-best-dir', default='bash', metavar='DIR', help='FIND_BEST_DIR')
    return parser


def parse_candidate(words: Sequence[str], where: str) -> Candidate:
    """``['dir/model', '--as', 'dir/name', 'key=value', …]`` as a candidate.

    Raises:
        ValueError: the words are not of this form.
    """
    words = list(words)
    # as a list copied from an older run_main.sh may spell it: blanks, configs/ in front, .py behind
    config = words.pop(0).strip().removeprefix('./').removeprefix('configs/').removesuffix('.py')
    name = config
    if words[:1] == ['--as']:
        if len(words) < 2:
            raise ValueError(f'{where}: --as needs a name, DIR/NAME')
        name, words = words[1], words[2:]
    for path in (config, name):
        if not path or Path(path).is_absolute() or '..' in Path(path).parts:
            raise ValueError(f'{where}: {path!r} is not a candidate; expected DIR/MODEL below the configs')
    try:
        parse_options(words)
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from None
    return Candidate(config, name, tuple(words))


def read_candidates(args: argparse.Namespace) -> list[Candidate]:
    """The candidates of the command line, each name once.

    Raises:
        FileNotFoundError, ValueError: there is no such file, it is empty, or a name stands for two things.
    """
    if args.candidates_file is None:
        lines = [([word], '--candidates') for word in args.candidates if word.strip()]
    elif not args.candidates_file.is_file():
        raise FileNotFoundError(f'--candidates-file: {args.candidates_file} does not exist')
    else:
        text = args.candidates_file.read_text(encoding='utf-8')
        lines = [
            (words, f'{args.candidates_file}:{number}')
            for number, line in enumerate(text.splitlines(), start=1)
            if (words := shlex.split(line, comments=True))
        ]
    found = {}
    for words, where in lines:
        candidate = parse_candidate(words, where)
        if found.setdefault(candidate.name, candidate) != candidate:
            raise ValueError(
                f'{where}: {candidate.name} stands for two different candidates; name one of them with --as'
            )
    if not found:
        raise ValueError('no candidate given; expected at least one DIR/MODEL')
    return list(found.values())


def check_project(name: str) -> str:
    """The project's name, if it can be a folder's."""
    name = name.strip()
    if name in ('', '.', '..') or '/' in name or '\\' in name:
        raise ValueError(f'--project: {name!r} cannot be the name of a folder below the work directory')
    return name


def usable_gpus(wanted: int) -> int:
    """How many GPUs each training gets; says so where there is none.

    Raises:
        ValueError: fewer than wanted are visible, or none is wanted.
    """
    import torch

    if wanted <= 0:
        raise ValueError('0 or Negative number of Gpu is not acceptable.')
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if visible == 0:
        print('No CUDA device found: running on the CPU, in one process.', flush=True)
        return 1
    if wanted > visible:
        raise ValueError(
            f'--gpus: {wanted} asked for, but {visible} visible; give --gpus {visible} or set CUDA_VISIBLE_DEVICES'
        )
    return wanted


def run_one(job: Job, candidate: Candidate) -> dict:
    """One candidate, its failure caught: a row of the summary."""
    began = time.monotonic()
    row = {'candidate': candidate.name, 'status': 'failed', 'why': None, 'log': None}
    run = Run(job, candidate)
    try:
        if not run.config_file.is_file():
            raise CandidateError(missing_config(job, candidate))
        row['status'] = run.run()
    except Exception as error:
        # whatever befalls one candidate, the others are to have their turn
        row['why'] = str(error) if isinstance(error, CandidateError) else f'{type(error).__name__}: {error}'
        row['log'] = str(log) if (log := getattr(error, 'log', None)) else None
        run.fail(row['why'])
    row['seconds'] = round(time.monotonic() - began, 1)
    if row['status'] == 'done':
        row['checkpoint'] = run.state['checkpoint']
    return row


def missing_config(job: Job, candidate: Candidate) -> str:
    """That there is no such config, and which are near."""
    names = [
        path.relative_to(job.config_root).with_suffix('').as_posix()
        for path in job.config_root.glob('*/*.py')
    ]
    near = difflib.get_close_matches(candidate.config, names, n=3)
    return f'{job.config_root}/{candidate.config}.py does not exist' + (
        f'; near: {", ".join(near)}' if near else ''
    )


def run_all(job: Job, candidates: Sequence[Candidate]) -> int:
    """Every candidate in turn; prints and writes the summary, returns the exit status."""
    rows = []
    interrupted = False
    for number, candidate in enumerate(candidates, start=1):
        print(f'\n[{number}/{len(candidates)}] {candidate.name}', flush=True)
        try:
            row = run_one(job, candidate)
        except KeyboardInterrupt:
            interrupted = True
            print('\nInterrupted; run the same command again to go on.', flush=True)
            break
        rows.append(row)
        print(f'[{number}/{len(candidates)}] {describe_row(row)}', flush=True)
    print_summary(rows, len(candidates), job.project_dir)
    write(job.project_dir / 'job/summary.json', json.dumps(rows, indent=1))
    if interrupted:
        return 130
    return 1 if any(row['status'] == 'failed' for row in rows) else 0


def describe_row(row: dict) -> str:
    if row['status'] == 'failed':
        return f'FAILED {row["candidate"]}: {row["why"]}' + (f'\n    log: {row["log"]}' if row['log'] else '')
    if row['status'] == 'skipped':
        return f'skipped {row["candidate"]}: finished before'
    return f'done {row["candidate"]} in {row["seconds"]:.0f} s'


def print_summary(rows: Sequence[dict], total: int, project_dir: Path) -> None:
    counts = {name: sum(row['status'] == name for row in rows) for name in ('done', 'skipped', 'failed')}
    waiting = total - len(rows)
    print(
        f'\nSummary: {total} candidates, {counts["done"]} done, {counts["skipped"]} skipped, '
        f'{counts["failed"]} failed' + (f', {waiting} not begun or broken off' if waiting else '')
    )
    for row in rows:
        print(f'  {describe_row(row)}')
    print(f'Results: {project_dir / "exp"}', flush=True)


def main() -> int:
    args = build_parser().parse_args()
    try:
        parse_options(args.cfg_options)
        candidates = read_candidates(args)
        # paths count from the project's root, wherever the job is started; absolute ones stay
        job = Job(
            root=ROOT,
            project_dir=(ROOT / args.work_dir).resolve() / check_project(args.project),
            config_root=(ROOT / args.config_root).resolve(),
            find_best=(ROOT / args.find_best_dir).resolve() / 'find_best.py',
            gpus=usable_gpus(args.gpus),
            options=tuple(args.cfg_options),
            train_flags=tuple(sorted(args.train_flags or ())),
            test_flags=tuple(args.test_flags or ()),
            restart=args.restart,
        )
    except (FileNotFoundError, ValueError) as error:
        print(f'run_main.sh: {error}', file=sys.stderr)
        return 1
    if not job.find_best.is_file():
        print(f'run_main.sh: {job.find_best} does not exist; set FIND_BEST_DIR', file=sys.stderr)
        return 1
    # a job that is told to end takes its training with it, as with Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run_all(job, candidates)


if __name__ == '__main__':
    sys.exit(main())
