"""From the options of ``wta-seg study`` to trained runs and written reports."""

import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from wtaseg.io import remove_abandoned_drafts
from wtaseg.report.overlays import write_pairs
from wtaseg.runs import pool
from wtaseg.runs.execute import run_experiment
from wtaseg.runs.job import Experiment, Job
from wtaseg.runs.layout import relative_to_base
from wtaseg.studies.catalogue import STUDIES, define
from wtaseg.studies.collecting import collect, compare_rows
from wtaseg.studies.configs import CommonSettings, write_configs
from wtaseg.studies.cost import cost_of_pays
from wtaseg.studies.pays import PAYS, SEEDS
from wtaseg.studies.provenance import describe
from wtaseg.studies.report import write_bundle, write_report
from wtaseg.studies.results import RowRecord, StudyRecord, StudyResults, StudySettings, load, save
from wtaseg.studies.spec import Study, StudyOptions

# while runs go on, reports are written again after this many seconds at the earliest
REPORT_INTERVAL = 60
INTERRUPTED = 130
# of each job, where several run side by side and --workers is not given
MAX_WORKERS = 4


def run_name(experiment: str, seed: int) -> str:
    """The name of an experiment's run, below ``exp``."""
    return f'{experiment}-seed{seed}'


@dataclass
class StudyCommand:
    """The studies of one command.

    Attributes:
        options: of the command.
        studies: what to train; empty with ``--report-only``.
        results: of all studies of the project.
        job: what the runs share; None with ``--report-only``.
        reported: when the reports were last written, of ``time.monotonic``.
        common: what all experiments share; None with ``--report-only``.
    """

    options: StudyOptions
    studies: list[Study] = field(default_factory=list)
    results: StudyResults = field(default_factory=StudyResults)
    job: Job | None = None
    reported: float = field(default_factory=time.monotonic)
    common: CommonSettings | None = None

    # ------------------------------------------------------------------ before the training

    @classmethod
    def prepare(cls, options: StudyOptions) -> 'StudyCommand':
        """Check the options, write the configs, load earlier results.

        Raises:
            FileNotFoundError, ValueError: options do not go together, or data, a config, a result or a GPU
                is missing.
        """
        options.check(STUDIES)
        if PAYS in options.studies and options.seeds < SEEDS and not options.smoke:
            print(f'The study {PAYS} has {SEEDS} seeds at least: --seeds {SEEDS}')
            options = replace(options, seeds=SEEDS)
        command = cls(options)
        if options.report_only:
            command.results = command.load_results()
            return command
        data = options.data_folder
        if not (data / 'img_dir/train').is_dir():
            raise FileNotFoundError(
                f'{data}/img_dir/train does not exist; name the original images with --data'
            )
        command.studies = [define(name, options) for name in dict.fromkeys(options.studies)]
        common = CommonSettings(
            relative_to_base(data, options.base),
            options.iters,
            options.validations,
            command.workers(),
            options.intervals,
        )
        command.common = common
        records = write_configs(command.studies, options.configs, options.layout.study_configs, common)
        file = options.layout.report / 'results.json'
        results = load(file) if file.is_file() else StudyResults()
        results.experiments |= records
        results.studies |= command.describe_studies()
        command.results = results
        command.follow_up()  # of an earlier call
        command.job = command.make_job()
        return command

    def load_results(self) -> StudyResults:
        """For ``--report-only``: the results of the file, or of the project.

        Raises:
            FileNotFoundError, ValueError: there are none, or none of these studies.
        """
        options = self.options
        file = options.source or options.layout.report / 'results.json'
        results = load(file)
        if missing := [name for name in options.studies if name not in results.studies]:
            raise ValueError(f'{file} has no study {missing[0]}; it has {", ".join(results.studies)}')
        return results

    def workers(self) -> int | None:
        """Processes of a data loader: as asked for; side by side, what the cores leave for each job."""
        options = self.options
        if options.workers is None and options.smoke:
            return 0
        if options.workers is not None or options.jobs == 1:
            return options.workers
        return max(0, min(MAX_WORKERS, (os.cpu_count() or 1) // options.jobs - 1))

    def describe_studies(self) -> dict[str, StudyRecord]:
        """The studies as they are recorded, by name."""
        options = self.options
        provenance = describe(options.data_folder, options.arguments(), options.commit)
        settings = StudySettings(options.project, options.smoke, options.iters, options.cfg_options)
        records = {}
        for study in self.studies:
            rows = []
            for row in study.rows:
                name = row.experiment.name
                runs = tuple(run_name(name, seed) for seed in range(options.seeds))
                rows.append(RowRecord(row.group, row.label, name, runs))
            records[study.name] = StudyRecord(
                study.title, study.question, study.columns, study.marking, tuple(rows), settings, provenance
            )
        return records

    # ------------------------------------------------------------------ training

    def make_job(self) -> Job:
        """What all runs share.

        Raises:
            ValueError: fewer GPUs are visible than asked for.
        """
        options = self.options
        flags = {'--amp': options.amp, '--from-scratch': options.from_scratch, '--smoke': options.smoke}
        return Job(
            options.layout,
            options.layout.study_configs,
            pool.usable_gpus(options.gpus),
            overrides=options.cfg_options,
            train_flags=(*(flag for flag, given in flags.items() if given), *options.words(Path.cwd())),
            test_flags=('--tta',) if options.tta else (),
            restart=options.restart,
            draw=write_pairs,
            base=options.base.resolve(),
        )

    def runs(self) -> list[Experiment]:
        """Every run once, seed by seed, so that an interrupted command leaves complete seeds; or study by study."""
        parts = [[study] for study in self.studies] if self.options.by_study else [self.studies]
        pairs = [
            (row.experiment.name, seed)
            for part in parts
            for seed in range(self.options.seeds)
            for study in part
            for row in study.rows
        ]
        return [
            Experiment(name, run_name(name, seed), (f'randomness.seed={seed}',))
            for name, seed in dict.fromkeys(pairs)
        ]

    def train(self, deadline: float | None, known: Collection[Experiment] = ()) -> pool.PoolResult:
        """Run what is not done, until ``deadline`` (of ``time.monotonic``); ``known`` runs are left out."""
        several = self.options.jobs > 1 and self.options.gpus == 1
        return pool.run_pool(
            [run for run in self.runs() if run not in known],
            partial(run_experiment, self.job),
            self.job.project,
            self.options.jobs,
            pool.visible_devices() if several else (),
            deadline,
            lambda outcome: self.report(last=False),
        )

    def follow_up(self) -> bool:
        """Add the rows that depend on results; returns whether there are any."""
        if not any(study.follow_up for study in self.studies):
            return False
        collect(self.results, self.options.layout)
        added = []
        for study in self.studies:
            rows = study.follow_up(self.results, self.results.studies[study.name]) if study.follow_up else ()
            added.append(replace(study, rows=rows))
        if not any(study.rows for study in added):
            return False
        assert self.common is not None
        folder = self.options.layout.study_configs
        self.results.experiments |= write_configs(added, self.options.configs, folder, self.common)
        self.studies = [
            replace(study, rows=(*study.rows, *more.rows)) for study, more in zip(self.studies, added)
        ]
        self.results.studies |= self.describe_studies()
        collect(self.results, self.options.layout)
        return True

    # ------------------------------------------------------------------ reporting

    @property
    def names(self) -> list[str]:
        """The studies to report: those named, or all of the results."""
        return list(dict.fromkeys(self.options.studies)) or list(self.results.studies)

    def report(self, last: bool) -> None:
        """Collect the results and write the reports; before the last time not more often than once a minute."""
        options = self.options
        folder = options.report_folder
        remove_abandoned_drafts(folder)
        write_now = last or time.monotonic() - self.reported >= REPORT_INTERVAL
        if options.source is None:
            collect(self.results, options.layout)
            if write_now:
                compare_rows(self.results, options.layout)
            save(self.results, folder / 'results.json')
        if not write_now:
            return
        for name in self.names:
            write_report(self.results, name, folder)
        if options.bundle:
            if options.source is not None:
                save(self.results, folder / 'results.json')
            project = options.layout if options.project else None
            write_bundle(self.results, self.names, folder, project, options.bundle)
        self.reported = time.monotonic()


def run_studies(command: StudyCommand, started: float) -> int:
    """Train what is to be trained, write the reports, print the tables.

    Args:
        command: as :meth:`StudyCommand.prepare` made it.
        started: what the time limit counts from, of ``time.monotonic``.

    Returns:
        The exit status: 0, 1 where a run failed or is not done, 130 when interrupted.
    """
    interrupted = False
    if command.job is not None:
        limit = command.options.time_limit
        deadline = None if limit is None else started + limit
        if cost := cost_of_pays(command.options, command.studies, command.results):
            print(cost, flush=True)
        known = command.runs()
        interrupted = command.train(deadline).interrupted
        if not interrupted and command.follow_up():
            interrupted = command.train(deadline, known).interrupted
    command.report(last=True)
    if interrupted:
        return INTERRUPTED
    return print_tables(command.results, command.names, command.options.report_folder)


def print_tables(results: StudyResults, names: Sequence[str], folder: Path) -> int:
    """Print every table, and on stderr every run without results; returns 1 where there are such runs, or else 0."""
    for name in names:
        print('\n' + (folder / f'{name}.md').read_text(encoding='utf-8'))
    runs = dict.fromkeys(run for name in names for run in results.studies[name].run_names)
    unfinished = results.unfinished(runs)
    for name in unfinished:
        run = results.runs[name]
        print(f'{run.status}: {name}' + (f': {run.error}' if run.error else ''), file=sys.stderr)
    print(f'Reports: {", ".join(str(folder / f"{name}.html") for name in names)}', flush=True)
    return 1 if unfinished else 0
