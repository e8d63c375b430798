"""Many experiments: one after the other or several side by side, with a time limit, stopped in order."""

import json
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mmseg.processes import CORES
from wtaseg.io import write
from wtaseg.runs.job import Experiment, Outcome
from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.processes import GRACE, Context, Output, Stop, Stopped, signals_interrupt

# seconds between two looks at the time limit
POLL = 0.2

Work = Callable[[Experiment, Context], Outcome]


@dataclass
class PoolResult:
    """What became of the experiments.

    Attributes:
        outcomes: of those that ended by themselves, in that order.
        total: how many experiments there were.
        interrupted: whether SIGINT or SIGTERM stopped the rest.
        timed_out: whether the time limit stopped the rest.
    """

    total: int
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    timed_out: bool = False

    @property
    def complete(self) -> bool:
        """Whether every experiment has ended by itself."""
        return len(self.outcomes) == self.total

    @property
    def exit_status(self) -> int:
        """0; 1 where an experiment failed or is left, 130 when interrupted."""
        if self.interrupted:
            return 130
        return 0 if self.complete and all(outcome.status != 'failed' for outcome in self.outcomes) else 1


def run_pool(
    experiments: Sequence[Experiment],
    work: Work,
    project: ProjectLayout,
    jobs: int = 1,
    devices: Sequence[str] = (),
    deadline: float | None = None,
    on_end: Callable[[Outcome], None] = lambda outcome: None,
) -> PoolResult:
    """Run experiments in their order, ``jobs`` at a time.

    At the deadline, on Ctrl-C, SIGTERM and SIGHUP the programs that still run receive SIGTERM, and SIGKILL after
    :data:`~wtaseg.runs.processes.GRACE` seconds; the same call continues them later.

    Args:
        experiments: what to run.
        work: runs one of them, with :func:`~wtaseg.runs.processes.run_logged` in its context; an
            ``execute.run_experiment`` bound to its job.
        project: where the output of each goes, ``job/<name>/job.log``, if several run side by side. A single one
            at a time writes to the terminal.
        jobs: how many run side by side.
        devices: values of CUDA_VISIBLE_DEVICES that they take in turn; empty: all see what this process sees.
        deadline: of ``time.monotonic``.
        on_end: called in this thread after each experiment that ended by itself, while others run.
    """
    pool = _Pool(experiments, work, project, jobs, devices)
    with signals_interrupt():
        try:
            pool.start()
            pool.collect(deadline, on_end)
        except KeyboardInterrupt:
            pool.result.interrupted = True
        finally:
            pool.end()
    if pool.result.interrupted:
        print('\nInterrupted; run the same command again to go on.', flush=True)
    elif pool.result.timed_out:
        print('The time is up; the same command goes on where this one ends.', flush=True)
    return pool.result


class _Pool:
    """Threads that take experiments from a list and wait for their programs."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        work: Work,
        project: ProjectLayout,
        jobs: int,
        devices: Sequence[str],
    ):
        self.work, self.project, self.jobs, self.devices = work, project, jobs, devices
        self.waiting = deque(enumerate(experiments, start=1))
        self.result = PoolResult(len(experiments))
        self.stop = Stop()
        self.ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.threads = [threading.Thread(target=self._serve, args=(slot,)) for slot in range(jobs)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self.threads:
            thread.start()

    def collect(self, deadline: float | None, on_end: Callable[[Outcome], None]) -> None:
        """Take the outcomes until all have ended or the time is up."""
        while not self.result.complete:
            alive = any(thread.is_alive() for thread in self.threads)
            try:
                outcome = self.ended.get(timeout=POLL)
            except queue.Empty:
                if not alive:
                    return
            else:
                self.result.outcomes.append(outcome)
                on_end(outcome)
            if deadline is not None and time.monotonic() > deadline and not self.result.complete:
                self.result.timed_out = True
                return

    def end(self) -> None:
        """Stop what runs, and wait for it."""
        self.stop.request()
        until = time.monotonic() + GRACE
        try:
            for thread in self.threads:
                if thread.ident is not None:
                    thread.join(max(0.0, until - time.monotonic()))
        except KeyboardInterrupt:
            self.result.interrupted = True
        self.stop.kill()
        for thread in self.threads:
            if thread.ident is not None:
                thread.join()
        while not self.ended.empty():
            self.result.outcomes.append(self.ended.get())

    def _serve(self, slot: int) -> None:
        """Run one experiment after the other, on one device."""
        while not self.stop.requested:
            try:
                number, experiment = self.waiting.popleft()
            except IndexError:
                return
            place = f'[{number}/{self.result.total}]'
            print(f'\n{place} {experiment.name}', flush=True)
            try:
                outcome = self._run(experiment, slot)
            except Stopped:
                return
            print(f'{place} {outcome}', flush=True)
            self.ended.put(outcome)

    def _run(self, experiment: Experiment, slot: int) -> Outcome:
        several = self.jobs > 1
        log = self.project.run(experiment.name).job_log if several else None
        env = os.environ.copy()
        if several:
            # each would use all cores
            share = str(max(1, (os.cpu_count() or 1) // self.jobs))
            env.setdefault('OMP_NUM_THREADS', share)
            env.setdefault(CORES, share)
        if self.devices:
            env['CUDA_VISIBLE_DEVICES'] = self.devices[slot % len(self.devices)]
        output = Output(log)
        try:
            # where several run, Ctrl-C reaches this process alone, which then ends them in order
            return self.work(experiment, Context(env, output, self.stop, own_group=several))
        finally:
            output.close()


def print_summary(result: PoolResult, project: ProjectLayout) -> None:
    """Print how every experiment ended, and write it to ``job/summary.json``."""
    outcomes = result.outcomes
    counts = {
        name: sum(outcome.status == name for outcome in outcomes) for name in ('done', 'skipped', 'failed')
    }
    waiting = result.total - len(outcomes)
    print(
        f'\nSummary: {result.total} candidates, {counts["done"]} done, {counts["skipped"]} skipped, '
        f'{counts["failed"]} failed' + (f', {waiting} not begun or broken off' if waiting else '')
    )
    for outcome in outcomes:
        print(f'  {outcome}')
    print(f'Results: {project.exp}', flush=True)
    write(project.summary, json.dumps([outcome.to_json() for outcome in outcomes], indent=1))


def usable_gpus(wanted: int) -> int:
    """How many GPUs each training gets; prints a line where there is none.

    Raises:
        ValueError: fewer than wanted are visible, or none is wanted.
    """
    import torch

    if wanted <= 0:
        raise ValueError(f'--gpus: {wanted}; 0 or Negative number of Gpu is not acceptable. Give at least 1.')
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if visible == 0:
        print('No CUDA device found: running on the CPU, in one process.', flush=True)
        return 1
    if wanted > visible:
        raise ValueError(
            f'--gpus: {wanted} asked for, but {visible} visible; give --gpus {visible} or set CUDA_VISIBLE_DEVICES'
        )
    return wanted


def visible_devices() -> tuple[str, ...]:
    """The GPUs that runs side by side take in turn; empty where there is no choice."""
    import torch

    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    if named is not None:
        devices = tuple(filter(None, named.split(',')))
    else:
        devices = tuple(map(str, range(torch.cuda.device_count() if torch.cuda.is_available() else 0)))
    return devices if len(devices) > 1 else ()
