"""What a run did, as it is printed at its end."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from augment.config import AugmentConfig
from augment.dataset.gates import kind_of_reason
from augment.dataset.manifest import Manifest
from augment.dataset.plan import Plan, edit_files
from augment.dataset.rows import EditRow


@dataclass
class Report:
    """Input, plan and outcome of a run; counts are over the requested words."""

    out: Path
    images: int
    regions: int
    batches: int
    unusable: list[str]
    edits: int
    pending: int
    accepted: int = 0
    rejected: Counter = field(default_factory=Counter)
    dry: bool = False

    @classmethod
    def before(cls, config: AugmentConfig, plan: Plan, manifest: Manifest) -> 'Report':
        """What is known before the work."""
        files = edit_files(config.split, plan.samples(), config.words)
        return cls(
            out=config.out_dir(),
            images=len(plan.samples()),
            regions=sum(len(image.regions) for image in plan.images()),
            batches=len(plan.groups),
            unusable=[sample.problem for sample in plan.unusable],
            edits=len(files),
            pending=sum(not manifest.is_done(file) for file in files),
        )

    def count(self, rows: list[EditRow], words: list[str]) -> None:
        """Fill in how many edits with ``words`` were accepted, and why the others were not."""
        for row in rows:
            if row.word in words:
                self.accepted += row.accepted
                if not row.accepted:
                    self.rejected['; '.join(sorted({kind_of_reason(r) for r in row.reasons}))] += 1

    def text(self) -> str:
        """The report as it is printed."""
        state = f'{self.pending} still to make' if self.dry else f'{self.pending} made now'
        lines = [
            f'{self.out}: {self.images} images to edit ({self.regions} regions in {self.batches} batches), '
            f'{self.edits} edits, {state}'
        ]
        lines += [f'  cannot be used: {problem}' for problem in self.unusable]
        if not self.dry:
            lines.append(f'{self.accepted} edits accepted, {sum(self.rejected.values())} rejected')
            lines += [f'  {count} x {reason}' for reason, count in sorted(self.rejected.items())]
        return '\n'.join(lines)
