"""The command line of ``tools/study.py``: trains, collects, reports."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wtaseg.report.overlays import write_pairs
from wtaseg.runs.execute import run_experiment
from wtaseg.runs.job import Experiment, Job
from wtaseg.runs.layout import ROOT, ProjectLayout
from wtaseg.runs.pool import PoolResult, run_pool, usable_gpus, visible_devices
from wtaseg.studies.definitions import FAST_SCNN, STUDIES, Options, Study, define
from wtaseg.studies.experiments import Common, write_configs
from wtaseg.studies.provenance import describe
from wtaseg.studies.report import write_bundle, write_report
from wtaseg.studies.results import FORMAT, collect_run, describe_study, load, run_name, save

# while runs go on, reports are made again no more often than this many seconds
REPORT_EVERY = 60


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='study.py',
        description='Train, test, tabulate and draw what a study compares. Run again, it skips what is done and '
        'goes on with what broke off. Reports: work_dirs/<project>/report.',
    )
    add = parser.add_argument
    add('studies', nargs='*', metavar='STUDY', help=', '.join(STUDIES))
    add('--data', type=Path, default=Path('data/wta_512'), metavar='DIR', help='original images and labels')
    add(
        '--project',
        metavar='NAME',
        help='results go to work_dirs/NAME; studies of a project share their runs',
    )
    add('--seeds', type=int, default=1, metavar='N', help='runs of each row, with seeds 0 to N-1')
    add('--iters', type=int, metavar='N', help='train so long, schedule scaled (default: as the configs say)')
    add('--validations', type=int, default=10, metavar='N', help='with --iters, validations of each run')
    add('--smoke', action='store_true', help='a trial of a few iterations')
    add('--gpus', type=int, default=1, metavar='N', help='GPUs for each run')
    add('--jobs', type=int, default=1, metavar='N', help='runs side by side')
    add(
        '--workers',
        type=int,
        metavar='N',
        help='processes of each data loader (side by side: what cores allow)',
    )
    add('--time-limit', type=float, metavar='SECONDS', help='end what still runs then, and report')
    add('--model', default=FAST_SCNN, metavar='DIR/MODEL', help='for losses, gamma, words, ratio, imbalance')
    add('--word', default='peeling', help='whose edited images loss_aug, ratio and final take')
    add('--relabelled', type=Path, metavar='DIR', help='relabel: edited images with labels drawn anew')
    add('--not-relabelled', type=Path, metavar='DIR', help='relabel: edited images with the old labels')
    add('--only', nargs='+', default=[], metavar='TEXT', help='only rows of these labels or groups')
    add('--cfg-options', nargs='+', default=[], action='extend', metavar='KEY=VALUE', help='for every run')
    for flag, text in (
        ('--from-scratch', 'do not load pretrained weights'),
        ('--amp', 'train in mixed precision'),
        ('--tta', 'test with augmented views'),
        ('--restart', 'set results of changed settings aside and train anew'),
    ):
        add(flag, action='store_true', help=text)
    add('--report-only', action='store_true', help='train nothing, write the reports')
    add(
        '--from',
        dest='source',
        type=Path,
        metavar='FILE',
        help='with --report-only: results.json of any project',
    )
    add('--out', type=Path, metavar='DIR', help='folder of the reports (default: work_dirs/<project>/report)')
    add('--bundle', type=Path, metavar='DIR', help='also put results.json, pages, tables and log tails there')
    add('--commit', metavar='HASH', help='of the code, where it is no git checkout')
    add('--work-dir', type=Path, default=ROOT / 'work_dirs', metavar='DIR')
    add('--config-root', type=Path, default=ROOT / 'configs', metavar='DIR')
    return parser


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, checked.

    Raises:
        ValueError: arguments that do not go together.
    """
    args = build_parser().parse_args(argv)
    if args.source and not args.report_only:
        raise ValueError('--from goes with --report-only')
    if not args.project and not args.source:
        raise ValueError('--project is missing: the folder below work_dirs for the results')
    if args.source and not args.out and not args.project:
        raise ValueError('--from needs --out DIR or --project NAME, where the reports are to go')
    if not args.studies and not args.report_only:
        raise ValueError(f'no study given; expected one or more of {", ".join(STUDIES)}')
    if unknown := [name for name in args.studies if name not in STUDIES]:
        raise ValueError(f'{unknown[0]!r} is no study; expected one or more of {", ".join(STUDIES)}')
    for name in ('seeds', 'gpus', 'jobs', 'validations'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name}: {getattr(args, name)}; expected at least 1')
    if args.iters is not None and (args.iters < 1 or args.smoke):
        raise ValueError('--iters: expected at least 1, and not with --smoke, which sets a length of its own')
    args.work_dir = args.work_dir.resolve()
    args.config_root = args.config_root.resolve()
    for name in ('data', 'relabelled', 'not_relabelled'):
        setattr(args, name, getattr(args, name) and from_root(getattr(args, name)))
    return args


def from_root(path: Path) -> Path:
    """A path as configs have it: from the project's root where it is inside, so that both can be moved."""
    path = path.resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class StudyCommand:
    """The studies of a command line, from configs to reports."""

    def __init__(self, args: argparse.Namespace, argv: Sequence[str]):
        self.args = args
        self.argv = list(argv)
        self.project = args.work_dir / (args.project or '')
        self.report = args.out or self.project / 'report'
        self.job: Job | None = None
        self.reported = time.monotonic()

    # ------------------------------------------------------------------ training

    def prepare(self) -> tuple[list[Study], dict]:
        """The studies, their configs written; the results as far as there are any.

        Raises:
            FileNotFoundError, ValueError: data or a config is missing.
        """
        args = self.args
        data = ROOT / args.data
        if not (data / 'img_dir/train').is_dir():
            raise FileNotFoundError(
                f'{data}/img_dir/train does not exist; name the original images with --data'
            )
        options = Options(
            data=data,
            lists=self.project / 'study/lists',
            config_root=args.config_root,
            model=args.model.removeprefix('configs/').removesuffix('.py'),
            word=args.word,
            relabelled=args.relabelled and ROOT / args.relabelled,
            not_relabelled=args.not_relabelled and ROOT / args.not_relabelled,
            only=tuple(args.only),
        )
        studies = [define(name, options) for name in dict.fromkeys(args.studies)]
        common = Common(args.data, args.iters, args.validations, self.workers())
        variants = write_configs(studies, args.config_root, self.project / 'study/configs', common)
        file = self.project / 'report/results.json'
        results = (
            load(file) if file.is_file() else {'format': FORMAT, 'studies': {}, 'variants': {}, 'runs': {}}
        )
        results['variants'] |= variants
        provenance = describe(data, self.argv, args.commit)
        settings = {
            'project': args.project,
            'smoke': args.smoke,
            'iters': args.iters,
            'cfg_options': args.cfg_options,
        }
        for study in studies:
            results['studies'][study.name] = describe_study(study, range(args.seeds), provenance, settings)
        return studies, results

    def workers(self) -> int | None:
        """Processes of a data loader: as asked for; side by side, what the cores leave for each job."""
        if self.args.workers is None and self.args.smoke:
            return 0
        if self.args.workers is not None or self.args.jobs == 1:
            return self.args.workers
        return max(0, min(4, (os.cpu_count() or 1) // self.args.jobs - 1))

    def experiments(self, studies: Sequence[Study]) -> list[Experiment]:
        """Every run once, seed by seed: interrupted, whole seeds are complete."""
        variants = list(dict.fromkeys(row.variant.name for study in studies for row in study.rows))
        return [
            Experiment(variant, run_name(variant, seed), (f'randomness.seed={seed}',))
            for seed in range(self.args.seeds)
            for variant in variants
        ]

    def make_job(self) -> Job:
        """What all runs share.

        Raises:
            ValueError: fewer GPUs are visible than asked for.
        """
        args = self.args
        flags = {'--amp': args.amp, '--from-scratch': args.from_scratch, '--smoke': args.smoke}
        return Job(
            ProjectLayout(self.project),
            self.project / 'study/configs',
            usable_gpus(args.gpus),
            overrides=tuple(args.cfg_options),
            train_flags=tuple(flag for flag, given in flags.items() if given),
            test_flags=('--tta',) if args.tta else (),
            restart=args.restart,
            draw=write_pairs,
        )

    def train(self, studies: Sequence[Study], results: dict) -> PoolResult:
        """Run what is left to run."""
        args = self.args
        return run_pool(
            self.experiments(studies),
            partial(run_experiment, self.job),
            self.job.project,
            args.jobs,
            visible_devices() if args.jobs > 1 and args.gpus == 1 else (),
            None if args.time_limit is None else STARTED + args.time_limit,
            lambda outcome: self.report_now(results, False),
        )

    # ------------------------------------------------------------------ reporting

    def collect(self, results: dict) -> None:
        """Read every run of every study of the project anew."""
        runs = {}
        for study in results['studies'].values():
            for row in study['rows']:
                for seed, name in enumerate(row['runs']):
                    if name not in runs:
                        runs[name] = collect_run(self.project, name, seed, results['runs'].get(name))
        results['runs'] = runs

    def report_now(self, results: dict, last: bool) -> None:
        """Collect and write; before the last time the pages only now and then."""
        if self.args.source is None:
            self.collect(results)
            save(results, self.report / 'results.json')
        if not last and time.monotonic() - self.reported < REPORT_EVERY:
            return
        names = self.args.studies or list(results['studies'])
        for name in names:
            write_report(results, name, self.report)
        if self.args.bundle:
            if self.args.source is not None:
                save(results, self.report / 'results.json')
            write_bundle(results, names, self.report, self.project, self.args.bundle)
        self.reported = time.monotonic()

    def known_results(self) -> dict:
        """For ``--report-only``: of the file, or of the project.

        Raises:
            FileNotFoundError, ValueError: there are none, or not of these studies.
        """
        file = self.args.source or self.project / 'report/results.json'
        results = load(file)
        if missing := [name for name in self.args.studies if name not in results['studies']]:
            raise ValueError(f'{file} has no study {missing[0]}; it has {", ".join(results["studies"])}')
        return results


STARTED = time.monotonic()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 where a run failed or is left, 2 for bad input, 130 when stopped by hand."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse_args(argv)
        command = StudyCommand(args, argv)
        if args.report_only:
            results = command.known_results()
        else:
            studies, results = command.prepare()
            command.job = command.make_job()
    except (FileNotFoundError, ValueError) as error:
        print(f'study.py: {error}', file=sys.stderr)
        return 2
    interrupted = False
    if not args.report_only:
        interrupted = command.train(studies, results).interrupted
    command.report_now(results, last=True)
    return 130 if interrupted else show(results, args.studies or list(results['studies']), command.report)


def show(results: dict, names: Sequence[str], folder: Path) -> int:
    """Print every table and what is left; returns the exit status."""
    status = 0
    for name in names:
        print('\n' + (folder / f'{name}.md').read_text(encoding='utf-8'))
    wanted = dict.fromkeys(
        run for name in names for row in results['studies'][name]['rows'] for run in row['runs']
    )
    for name in wanted:
        run = results['runs'][name]
        if run['status'] != 'done':
            status = 1
            print(f'{run["status"]}: {name}' + (f': {run["error"]}' if run['error'] else ''), file=sys.stderr)
    print(f'Reports: {", ".join(str(folder / f"{name}.html") for name in names)}', flush=True)
    return status
