"""Trees of random entries, one a seed: all of each is used, and must be shipped as it is."""

import os
import random
import stat

from entries import capability, directory, fifo, file, hard_link, symlink
from suite import case, look

SEEDS = os.environ.get("TORTURE_SEEDS", "1,2,3").split(",")
ENTRIES = 60
# Rootless engines map no others.
OWNERS = 65536


def owner(dice):
    return {"uid": dice.choice([0, 1, dice.randrange(OWNERS)]), "gid": dice.choice([0, dice.randrange(OWNERS)])}


def name(dice, taken):
    """Bytes as a directory may hold them; .wh. is what layers call a deletion."""
    while True:
        length = dice.choice([1, 2, 8, 20, 99, 100, 101, 155, 156, 255])
        letters = dice.choice([b"abc", b"a.- ~\n\t\\'\"*", bytes({*range(1, 256)} - {ord("/")}), "ä€𝄞".encode()])
        found = bytes(dice.choice(letters) for _ in range(length))
        if found not in taken and found not in (b".", b"..") and not found.startswith(b".wh."):
            taken.add(found)
            return found


def attributes(dice):
    """Within the one block that ext4 has for them."""
    found = {}
    for number in range(dice.choice([0, 0, 1, 3])):
        key = b"user." + dice.choice([b"a", b"long" * 20, b"dotted.name"]) + b"%d" % number
        found[key] = dice.randbytes(dice.choice([0, 1, 200]))
    return found


def content(dice):
    size = dice.choice([0, 1, 511, 512, 513, 5000, 70000])
    # Runs of zeros, which may lie in holes.
    return b"".join(dice.choice([bytes, dice.randbytes])(size) for _ in range(dice.choice([1, 1, 3])))


def tree(seed, top):
    dice = random.Random(seed)
    found, directories, files = [], [top], []
    taken = {}
    for _ in range(ENTRIES):
        parent = dice.choice(directories)
        path = parent + b"/" + name(dice, taken.setdefault(parent, set()))
        mode = dice.choice([0o644, 0o755, 0o7777, 0o400, 0o000, dice.randrange(0o10000)])
        kind = dice.choice(["file"] * 4 + ["directory"] * 3 + ["symlink", "fifo"] + ["hard link"] * bool(files))
        if kind == "file":
            xattrs = attributes(dice)
            if dice.randrange(8) == 0:
                xattrs |= capability(1 << dice.randrange(32))
            found.append(file(path, content(dice), mode, xattrs=xattrs, **owner(dice)))
            files.append(path)
        elif kind == "directory":
            found.append(directory(path, mode, xattrs=attributes(dice), **owner(dice)))
            if path.count(b"/") < 9:
                directories.append(path)
        elif kind == "symlink":
            target = dice.choice([b"nowhere", b"../" * 20 + b"etc", b"x" * 250, *files[-1:]])
            found.append(symlink(path, target, **owner(dice)))
        elif kind == "fifo":
            found.append(fifo(path, mode & 0o777, **owner(dice)))
        else:
            found.append(hard_link(path, dice.choice(files)))
    return found


def use(paths):
    for path in paths:
        kind = look(path).st_mode
        if stat.S_ISREG(kind):
            with open(path, "rb") as opened:
                opened.read()
        elif stat.S_ISDIR(kind):
            os.listdir(path)
        elif stat.S_ISLNK(kind):
            os.readlink(path)


def declare(seed):
    place = f"random-{seed}"
    top = os.fsencode(f"/t/{place}/top")
    entries = [directory(top), *tree(seed, top)]
    paths = [os.fsdecode(entry.path) for entry in entries]
    case(place, entries, ships=paths)(lambda _: use(paths))


for one in SEEDS:
    declare(one)
