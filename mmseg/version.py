"""Version of the package, and of the mmsegmentation interface it follows."""

__version__ = '0.1.0'
# Configs and checkpoints written for this release of mmsegmentation run here, and the other way round.
UPSTREAM_INTERFACE = '1.2.2'
