"""Kill a program at random moments, run it again to its end, and compare with a run that was left alone."""

import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture import contents
from torture.material import Material
from torture.processes import Ended, Interruption, run, wta_seg
from torture.programs import Program, missing_and_different

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: A run is killed once, twice or three times before it may end.
ROUNDS, WEIGHTS = (1, 2, 3), (6, 3, 1)
#: Seconds that a training goes on whose batch job was killed.
PATIENCE_WITH_CHILDREN = 120
TRACEBACK = 'Traceback (most recent call last)'
#: What went wrong: the columns of the table.
KINDS = ('lost', 'differing', 'traceback', 'silent wrong', 'left over')


@dataclass
class Trial:
    """A run that was killed, and everything that went wrong with it.

    Attributes:
        program: its name.
        number: of the trial; with the seed it gives the kills.
        kills: what was sent.
        problems: kind, one of :data:`KINDS`, and text.
        otherwise: what was done instead of killing it.
    """

    program: str
    number: int
    kills: list[Interruption] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    otherwise: str = 'ended before it could be killed'

    def __str__(self) -> str:
        return f'{self.program} {self.number}: {", ".join(map(str, self.kills)) or self.otherwise}'

    def add(self, kind: str, texts: list[str]) -> None:
        """Record problems of one kind."""
        self.problems += [(kind, text) for text in texts]

    @property
    def kinds(self) -> set[str]:
        """What went wrong."""
        return {kind for kind, _ in self.problems}


@dataclass
class Reference:
    """A run that was left alone.

    Attributes:
        ended: how it ended.
        contents: what it left.
        size: bytes of all its files.
    """

    ended: Ended
    contents: dict[str, Any]
    size: int


class Killer:
    """Kills one program again and again.

    Args:
        name: of the program.
        program: the program.
        material: what it works on.
        folder: for the runs; those with problems are kept.
        seed: of all choices.
    """

    def __init__(self, name: str, program: Program, material: Material, folder: Path, seed: int) -> None:
        self.name, self.program, self.material, self.seed = name, program, material, seed
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.call = wta_seg(program.argv(material))
        self.patience = PATIENCE_WITH_CHILDREN if program.children else 20

    def reference(self) -> Reference:
        """Run the program once and leave it alone.

        Raises:
            RuntimeError: it failed.
        """
        work, ended = self.folder / 'reference', None
        work.mkdir()
        ended = self._run(work)
        if ended.status:
            raise RuntimeError(f'{self.name} ended with {ended.status}:\n{ended.output}')
        size = sum(path.stat().st_size for path in contents.files(work))
        return Reference(ended, self.program.contents(work), size)

    def trials(self, reference: Reference, kills: int) -> Iterator[Trial]:
        """Trials until the program was killed so many times."""
        number = 0
        while kills > 0:
            trial = self.trial(number, reference, kills)
            yield trial
            kills -= len(trial.kills)
            number += 1

    def trial(self, number: int, reference: Reference, most: int = ROUNDS[-1]) -> Trial:
        """Kill one run up to ``most`` times, let it end, compare."""
        rng = random.Random(f'{self.seed} {self.name} {number}')
        trial = Trial(self.name, number)
        work = self.folder / f'{number:03d}'
        work.mkdir()
        for _ in range(min(most, rng.choices(ROUNDS, WEIGHTS)[0])):
            interruption = self.interruption(rng, reference)
            ended = self._run(work, interruption)
            if not ended.interrupted:
                break
            trial.kills.append(interruption)
            self._after_kill(trial, work, ended, interruption, reference)
        self.to_the_end(trial, work, reference)
        if not trial.problems:
            shutil.rmtree(work)
        return trial

    def interruption(self, rng: random.Random, reference: Reference) -> Interruption:
        """A random signal at a random moment of a run as long as the reference."""
        number, share = rng.choice(SIGNALS), rng.random()
        group = self.program.children and rng.random() < 0.5
        if rng.random() < 0.5:
            return Interruption(number, seconds=share * 0.98 * reference.ended.seconds, group=group)
        return Interruption(number, operation=1 + int(share * reference.ended.operations), group=group)

    def _run(self, work: Path, interruption: Interruption | None = None) -> Ended:
        return run(self.call, work, self.folder / f'{work.name}.log', interruption, patience=self.patience)

    def _after_kill(
        self, trial: Trial, work: Path, ended: Ended, interruption: Interruption, reference: Reference
    ) -> None:
        """What must hold right after a kill: whole files, no traceback, no exit status 0 before the work is done."""
        trial.add('lost', [f'after {interruption}: {text}' for text in contents.damaged(work)])
        if TRACEBACK in ended.output and interruption.number != signal.SIGKILL:
            trial.add('traceback', [f'after {interruption}: {ended.output[-3000:]}'])
        if ended.survivors:
            trial.add('left over', [f'after {interruption}: processes had to be killed'])
        if ended.status == 0:
            missing, different = missing_and_different(reference.contents, self.contents(work))
            trial.add(
                'silent wrong', [f'status 0 after {interruption}: {name}' for name in missing + different]
            )

    def to_the_end(self, trial: Trial, work: Path, reference: Reference) -> None:
        """Run the same command to its end, and compare."""
        ended = self._run(work)
        if ended.status != reference.ended.status:
            trial.add('lost', [f'the last run ended with {ended.status}: {ended.output[-3000:]}'])
            return
        if TRACEBACK in ended.output:
            trial.add('traceback', [f'the last run: {ended.output[-3000:]}'])
        missing, different = missing_and_different(reference.contents, self.contents(work))
        trial.add('lost', missing)
        trial.add('differing', different)
        trial.add('left over', [str(path) for path in contents.files(work) if contents.is_left_over(path)])
        if ended.survivors:
            trial.add('left over', ['after the last run: processes had to be killed'])

    def contents(self, work: Path) -> dict[str, Any]:
        try:
            return self.program.contents(work)
        except (OSError, ValueError, KeyError, TypeError) as error:
            return {f'{type(error).__name__}: {error}': None}
