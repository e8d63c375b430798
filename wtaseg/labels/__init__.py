"""Conversion of what annotation programs export to label maps of class ids.

``classes`` resolves names and colours, ``masks`` reads mask images, ``annotations`` LabelMe and COCO files,
``shapes`` turns outlines and run lengths into pixels, ``writing`` writes the label maps.
"""
