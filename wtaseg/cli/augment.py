"""``wta-seg augment``: the command of the package ``augment``."""

from typing import Annotated

from cyclopts import App, Parameter

# help and errors are those of augment's own command line
command = App(name='augment', help_flags=(), version_flags=())


@command.default
def augment(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Edit the training images of a dataset with Stable Diffusion XL.

    Example: ``wta-seg augment --data data/wta_512 --word peeling``

    Parameters
    ----------
    arguments
        options of augment/run.py
    """
    from augment.run import main

    return main(list(arguments))
