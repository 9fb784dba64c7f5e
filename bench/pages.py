# SPDX-License-Identifier: MIT
"""A file of real program and text pages, for the stress guest's content=file.

Programs of /usr/bin and documents of /usr/share/doc, these unpacked, in turns
so that there is as much of one as of the other while there are enough.  Each
begins on a page of its own, as in a page cache.
"""
import gzip
import os
import zlib

PAGE = 4096
PROGRAMS, DOCUMENTS = "/usr/bin", "/usr/share/doc"


def files(folder):
    """In the order of their names; a link is another one's content."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def contents(folder):
    for path in files(folder):
        try:
            with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
                data = f.read()
        except (OSError, EOFError, zlib.error):
            continue                # not for us, or not what its name says
        if data:
            yield data + bytes(-len(data) % PAGE)


def write(path, limit):
    """At most `limit` bytes; how many of them are programs and how many text."""
    sources = [contents(PROGRAMS), contents(DOCUMENTS)]
    written = [0, 0]
    open_ones = {0, 1}
    with open(path, "wb") as f:
        while open_ones and sum(written) < limit:
            which = min(open_ones, key=lambda n: written[n])
            data = next(sources[which], None)
            if data is None:
                open_ones.remove(which)
            else:
                written[which] += f.write(data[:limit - sum(written)])
    return written
