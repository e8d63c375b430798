"""Review of labels in the browser.

``items`` lists what there is to review, ``classes`` names and colours, ``records`` holds the decisions on disk, ``store``
reads and writes labels and decisions, ``images`` makes what a browser can show, ``server`` answers the page over HTTP on
the loopback interface, ``page`` and ``strings`` are its text; script and style are in ``templates``.
"""
