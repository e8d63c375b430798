"""Six appearances of a defect, named by the words of the published method's target prompts.

A style redraws the defects of an image; everything else stays its unstyled twin's. ``restyle`` draws one
word; ``mix`` says which image of a dataset gets which word; ``canvas`` is what a style draws on, and
``stains`` (rust, corrosion), ``relief`` (blistering, dent) and ``coating`` (peeling, scratch) are the styles.
"""

from .canvas import GROW
from .mix import NONE, StyleMix
from .redraw import STYLES, restyle

__all__ = ['GROW', 'NONE', 'STYLES', 'StyleMix', 'restyle']
