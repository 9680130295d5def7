"""Pairs by physically based rendering: the same scene twice, with one thing changed.

    adaptedit data fetch --render
    adaptedit data render --out DIR --count 1000 --size 128

`scene` describes, `layout` places, `engine` renders, `edits` changes, `masks` says where, `shards` writes.
"""

VERSION = "3"  # of what a (seed, index) pair looks like; a new one makes other pictures
