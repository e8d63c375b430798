"""One experiment: train, select the best checkpoint, test; each stage once.

What is done is read from ``job/<name>/state.json`` and from the results themselves, so that a run that was killed at
any point can continue:

===========================================  =========================================================
state                                        what happens
===========================================  =========================================================
nothing                                      train, select, test
training started, not ended                  ``--resume`` from the last checkpoint, test
training ended, no metrics of a test         test
both ended                                   skipped
settings of the training have changed        refused, unless ``--restart`` (or no checkpoint exists yet)
settings of the test have changed            test
===========================================  =========================================================

Training and test are processes of their own: ``tools/train.py`` and ``tools/test.py`` of the clone, or else
``python -m wtaseg train`` and ``test``.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from wtaseg import torchrun
from wtaseg.runs import settings
from wtaseg.runs.checkpoints import last_checkpoint, select_checkpoint, tidy
from wtaseg.runs.data import set_data_root
from wtaseg.runs.describe import describe_run
from wtaseg.runs.job import Experiment, Job, Outcome
from wtaseg.runs.layout import find_config
from wtaseg.runs.processes import Context, Stopped, reason, run_logged
from wtaseg.runs.records import read_run
from wtaseg.runs.spec import write_spec
from wtaseg.runs.state import ExperimentError, RunState

# settings that differ are listed up to this number
MOST_LISTED = 5


def run_experiment(job: Job, experiment: Experiment, context: Context | None = None) -> Outcome:
    """Run what is left of an experiment; its failure is part of the outcome.

    Raises:
        Stopped: the job was stopped; the same call continues the run.
    """
    start = time.monotonic()
    run = ExperimentRun(job, experiment, context or Context())
    try:
        status = run.run()
    except Stopped:
        raise
    except Exception as error:  # one failure must not keep the other experiments from running
        why = str(error) if isinstance(error, ExperimentError) else f'{type(error).__name__}: {error}'
        run.fail(why)
        return Outcome(experiment, 'failed', time.monotonic() - start, why, getattr(error, 'log', None))
    return Outcome(experiment, status, time.monotonic() - start, checkpoint=run.state['checkpoint'])


class ExperimentRun:
    """The stages of one experiment."""

    def __init__(self, job: Job, experiment: Experiment, context: Context | None = None):
        self.job = job
        self.experiment = experiment
        self.context = context or Context()
        self.layout = job.project.run(experiment.name)
        self.state = RunState(self.layout)
        self.overrides = (*job.overrides, *experiment.overrides)
        self.lock = -1

    def run(self) -> str:
        """Run what is left.

        Returns:
            ``'done'``, or ``'skipped'`` where nothing was left.

        Raises:
            ExperimentError: a stage failed, or the settings have changed.
            Stopped: the job was stopped.
        """
        config = self._load_config()
        now = settings.describe(config, self.job.train_flags, self.job.test_flags)
        with self.state.locked() as self.lock:
            self.state.load()
            self._accept(now)
            if self.state.trained and self._tested(now):
                if self.state['error']:
                    self.state.save(error=None)
                if not self.layout.spec.is_file():
                    self._write_spec(config)
                return 'skipped'
            self._write_spec(config)
            self._run_stages(config, now)
        return 'done'

    def fail(self, message: str) -> None:
        """Record why the run failed; its stages stay as they are."""
        if self.state.content:
            self.state.save(error=message)

    def _load_config(self) -> Config:
        """The experiment's config with the overrides and the data of the job.

        Raises:
            ExperimentError: there is no such config, or the data can't be used with it.
        """
        try:
            self.config_file = find_config(self.experiment.config, self.job.config_root)
            config = settings.load_config(self.config_file, self.overrides)
            if self.job.data is not None:
                set_data_root(config, self.job.data, base=self.job.base)
        except (FileNotFoundError, ValueError) as error:
            raise ExperimentError(str(error)) from None
        return config

    def _run_stages(self, config: Config, now: dict) -> None:
        start, before = time.monotonic(), self._seconds_before()
        repeats_test = self.state.trained and bool(self.state['metrics'])
        self.state.save(config=self.experiment.config, error=None, started=time.time())
        try:
            if not self.state.trained:
                self._train(config, now)
            self._test(now)
        finally:
            seconds = before if repeats_test else round(before + time.monotonic() - start, 1)
            self.state.save(seconds=seconds, started=None)

    def _seconds_before(self) -> float:
        """Duration of the earlier parts; one that was killed ended with its last output."""
        seconds = self.state['seconds'] or 0.0
        if self.state['started']:
            logs = (self.layout.train_log, self.layout.test_log)
            ends = [log.stat().st_mtime for log in logs if log.is_file()]
            seconds += max(0.0, *(end - self.state['started'] for end in ends)) if ends else 0.0
        return seconds

    def _write_spec(self, config: Config) -> None:
        base, project = self.job.base, self.layout.project
        inside = project.is_relative_to(base)
        spec = describe_run(
            config.to_dict(), self.experiment.name, self.experiment.config, self.overrides, base
        )
        write_spec(
            replace(spec, base=os.path.relpath(base, project) if inside else str(base)), self.layout.spec
        )

    def _print(self, text: str) -> None:
        self.context.output.print(f'  {text}')

    # ------------------------------------------------------------------ what is there

    def _accept(self, now: dict) -> None:
        """Refuse results that belong to other settings, or set them aside where the job restarts."""
        if not self.state.trained and not any(self.layout.checkpoints.glob('*.pth')):
            self.state.reset()
            return
        before = self.state['settings']
        if before is None:
            problem = 'it holds results that this job did not make'
        elif changed := settings.changes(before['train'], now['train']):
            listed = '; '.join(changed[:MOST_LISTED])
            if len(changed) > MOST_LISTED:
                listed += f'; and {len(changed) - MOST_LISTED} more'
            problem = f'its settings have changed since it was trained: {listed}'
        else:
            return
        if not self.job.restart:
            raise ExperimentError(
                f'{problem}. Give --restart to set {self.layout.exp} aside and train again, '
                'or another project name to keep both'
            )
        aside = self.job.project.replaced / f'{self.experiment.name}-{time.strftime("%Y%m%d_%H%M%S")}'
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.layout.exp, aside)
        self._print(f'{problem}; the old results are now in {aside}')
        self.state.reset()

    def _tested(self, now: dict) -> bool:
        if not self.state.tested:
            return False
        changed = settings.changes(self.state['settings']['test'], now['test'])
        if changed:
            self._print(
                f'settings of the test have changed, testing again: {"; ".join(changed[:MOST_LISTED])}'
            )
        return not changed

    # ------------------------------------------------------------------ stages

    def _train(self, config: Config, now: dict) -> None:
        """Train to the end, from the last checkpoint where there is one, and select the best."""
        options, notes, keep = settings.checkpoint_options(config, '--smoke' in self.job.train_flags)
        for note in notes:
            self._print(f'note: {note}')
        self.state.save(settings=now)
        arguments = [str(self.config_file), '--work-dir', str(self.layout.train), *self.job.train_flags]
        resumes = last_checkpoint(self.layout) is not None
        if resumes:
            arguments.append('--resume')
        self._print('resuming the training' if resumes else 'training')
        self._launch('train', arguments, [*self.overrides, *options], self.layout.train_log)
        best = select_checkpoint(self.layout, self.job.find_best, self.layout.train_log)
        self._print(f'best checkpoint: {best.relative_to(self.layout.exp)}')
        tidy(self.layout, best, keep)
        self.state.save(checkpoint=str(best.relative_to(self.layout.exp)))

    def _test(self, now: dict) -> None:
        """Test the best checkpoint; the log with the table, the metrics and an image of each result stay."""
        checkpoint = self.layout.exp / self.state['checkpoint']
        if not checkpoint.is_file():
            raise ExperimentError(f'{checkpoint} is gone, and with it what was trained; give --restart')
        self._print(f'testing {self.state["checkpoint"]}')
        self.state.save(metrics=None)
        before = set(self.layout.test.glob('*/*.json'))
        arguments = [str(self.config_file), str(checkpoint), '--work-dir', str(self.layout.test)]
        arguments += ['--out', str(self.layout.predictions), *self.job.test_flags]
        self._launch('test', arguments, self.overrides, self.layout.test_log)
        written = sorted(set(self.layout.test.glob('*/*.json')) - before)
        if not written:
            raise ExperimentError('the test ended, but wrote no metrics', self.layout.test_log)
        self._draw()
        self.state.save(
            metrics=str(written[-1].relative_to(self.layout.exp)),
            settings=self.state['settings'] | {'test': now['test']},
        )

    def _draw(self) -> None:
        """An image of each test result; a dataset of another layout has results without them."""
        if self.job.draw is None:
            return
        try:
            count = self.job.draw(read_run(self.layout.exp))
        except (OSError, ValueError) as error:
            self._print(f'no images of the test results: {error}')
        else:
            self._print(f'{count} images in {self.layout.test}: ground truth left, prediction right')

    def _launch(self, tool: str, arguments: list[str], options: Sequence[str], log: Path) -> None:
        """Run ``train`` or ``test`` as a process of its own."""
        if self.job.data is not None:
            arguments = [*arguments, '--data', str(self.job.data)]
        command = tool_command(tool, arguments, self.job.root, self.job.gpus)
        if options:
            command += ['--cfg-options', *options]
        env = self.context.env
        # this interpreter in dist_*.sh too, and this project's packages, installed or not
        search = os.pathsep.join(filter(None, [str(self.job.root or ''), env.get('PYTHONPATH')]))
        context = replace(self.context, env=env | {'PYTHON': sys.executable, 'PYTHONPATH': search})
        status = run_logged(command, log, self.job.base, context, keep_open=[self.lock])
        if status:
            raise ExperimentError(f'{tool}: {reason(status, log)}', log)


def tool_command(tool: str, arguments: list[str], root: Path | None, gpus: int) -> list[str]:
    """The command that runs ``train`` or ``test``, through torchrun where there is more than one GPU."""
    if root is None:
        module = ['-m', 'wtaseg', tool, *arguments]
        if gpus == 1:
            return [sys.executable, *module]
        return [*torchrun.command_line(gpus), *module, '--launcher', 'pytorch']
    if gpus == 1:
        return [sys.executable, str(root / 'tools' / f'{tool}.py'), *arguments]
    # the shell script takes the count after the positional arguments: config, and checkpoint for a test
    place = 1 if tool == 'train' else 2
    script = str(root / 'tools' / f'dist_{tool}.sh')
    return ['bash', script, *arguments[:place], str(gpus), *arguments[place:]]
