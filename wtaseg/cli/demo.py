"""``wta-seg demo``, also ``bash bash/demo.sh`` and ``make demo``."""

import time


def command(project: str = 'demo', /, *, smoke: bool = False) -> int:
    """Render a small dataset, edit images, train Fast-SCNN with two losses and on the edits, test, tabulate and draw.

    Example: ``wta-seg demo``

    It takes minutes on two cores and needs no GPU. Run again, it continues where it stopped.

    Parameters
    ----------
    project
        results go to work_dirs/PROJECT
    smoke
        a trial of under a minute, whose results mean nothing
    """
    from wtaseg.demo import run_demo
    from wtaseg.runs.layout import ProjectLayout

    start = time.monotonic()
    if status := run_demo(project, smoke):
        return status
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    folder = ProjectLayout.named(project).path
    print(f'\nDone in {minutes} min {seconds} s. Look at')
    for name in ('results.html', 'results.md', 'curves/', 'overlays/'):
        print(f'  {folder}/{name}')
    return 0
