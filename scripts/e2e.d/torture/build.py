"""Adds the cases' entries and the program to a base image's archive: build.py BASE.tar OUT.tar."""

import pathlib
import shutil
import sys
import tarfile

import changes  # noqa: F401
import kinds  # noqa: F401
import mounts  # noqa: F401
import random_trees  # noqa: F401
from entries import archive, directories_above, file
from suite import CASES


def end_of_members(path):
    with tarfile.open(path) as base:
        base.getmembers()
        return base.offset


def main(base, out):
    entries = [entry for case in CASES.values() for entry in case.entries()]
    here = pathlib.Path(__file__).parent
    entries += [file(f"/torture/{source.name}", source.read_bytes()) for source in sorted(here.glob("*.py"))]
    entries = directories_above(entries) + entries
    with open(base, "rb") as original, open(out, "wb") as image:
        shutil.copyfileobj(original, image, 1 << 20)
        image.truncate(end_of_members(base))
        image.seek(0, 2)
        image.write(archive(entries) + bytes(2 * 512))


if __name__ == "__main__":
    main(*sys.argv[1:])
