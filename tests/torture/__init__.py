"""Kill every program at random moments, fill its disk, feed it broken files, and count what goes wrong.

``python -m torture`` (``make torture``) runs it, with ``tests`` and ``tests/helpers`` on Python's path. It is no part of
the installed package: it needs the test helpers, and a user has no use for it.

Every run of a program is a process of its own, forked from this one, which has imported everything once. The random
choices (program, signal, moment) follow from the seed; a moment given in seconds meets another instruction each time, a
moment given as a number of file operations meets the same.
"""
