"""Whether two tarballs hold the same files: compare_tarballs.py ONE OTHER. Prints what differs."""

import hashlib
import sys
import tarfile

# What engines make or touch in each container before its first program runs: it has that moment's time.
TOUCHED = {".", ".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "etc/hostname", "etc/hosts", "etc/mtab",
           "etc/resolv.conf", "proc", "run", "sys"}


def entries(path):
    found = {}
    with tarfile.open(path, errors="surrogateescape") as archive:
        for member in archive:
            data = archive.extractfile(member).read() if member.isreg() else b""
            # Commits and exports of engines keep whole seconds.
            time = None if member.name in TOUCHED else int(member.mtime)
            records = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr")}
            found[member.name] = (
                member.type, "%04o" % member.mode, member.uid, member.gid, member.linkname, time, records,
                len(data), hashlib.sha256(data).hexdigest(),
            )
    return found


def main(one, other):
    first, second = entries(one), entries(other)
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            print(ascii(name), first.get(name, "is missing"), second.get(name, "is missing"))
    return first != second


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
