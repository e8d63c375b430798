"""Labels: the exports of annotation programs as label maps of class ids, and the check of a dataset.

``convert`` has one function a format; ``classes`` resolves names and colours, ``masks`` reads mask images,
``annotations`` LabelMe and COCO files, ``shapes`` turns outlines and run lengths into pixels, ``writing`` writes the
label maps. ``check`` checks a dataset with a progress bar.
"""
