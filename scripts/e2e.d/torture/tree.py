"""A tree of files as data, and the comparison of two."""

import base64
import errno
import hashlib
import json
import os
import stat
import sys


def snapshot(root, out):
    """Every entry below a directory, one JSON object a line. Of mounts only what engines fill from the image, which
    lies below /t."""
    os.chdir(root)
    mounts = _mount_points() if root == "/" else set()
    groups = {}
    pending = [b"."]
    while pending:
        path = pending.pop()
        entry = _entry(path, groups)
        if root == "/" and path == b"./.dockerenv":
            # The engine makes one in each container.
            continue
        if path[1:] in mounts:
            entry = {"path": entry["path"], "type": "mount"}
        elif entry["type"] == "directory":
            pending += [path + b"/" + name for name in os.listdir(path)]
        out.write(json.dumps(entry, sort_keys=True) + "\n")


def _mount_points():
    with open("/proc/self/mountinfo", "rb") as table:
        # None here holds a byte that the kernel would escape.
        points = {line.split()[4] for line in table}
    return {point for point in points if point != b"/" and not point.startswith(b"/t/")}


KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def _entry(path, groups):
    meta = os.lstat(path)
    kind = KINDS[stat.S_IFMT(meta.st_mode)]
    entry = {
        "path": _text(path[1:] or b"/"),
        "type": kind,
        "mode": "%04o" % stat.S_IMODE(meta.st_mode),
        "owner": "%d:%d" % (meta.st_uid, meta.st_gid),
        "mtime": meta.st_mtime_ns,
        "xattrs": _xattrs(path),
    }
    if kind == "file":
        entry["size"] = meta.st_size
        entry["content"] = _digest(path)
        if meta.st_nlink > 1:
            # Named by the first member that was met; compare() makes groups of it.
            entry["group"] = groups.setdefault((meta.st_dev, meta.st_ino), entry["path"])
    elif kind == "symlink":
        entry["target"] = _text(os.readlink(path))
    elif "device" in kind:
        entry["device"] = "%d:%d" % (os.major(meta.st_rdev), os.minor(meta.st_rdev))
    return entry


def _digest(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except PermissionError:
        return "unreadable"
    return digest.hexdigest()


def _xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
        read = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return {}
        raise
    kept = ("user.", "security.capability", "system.posix_acl_")
    return {name: base64.b64encode(value).decode() for name, value in read.items() if name.startswith(kept)}


def _text(path):
    """Bytes that are no UTF-8 survive JSON."""
    return os.fsdecode(path)


def load(file):
    with open(file, encoding="utf-8", errors="surrogateescape") as lines:
        return {entry["path"]: entry for entry in map(json.loads, lines)}


# What engines touch in each container before its first program runs.
TOUCHED = {"/", "/etc", "/etc/mtab", "/run"}
# An image has them for every program; their time is not the image's own (docs/design.md).
TIMELESS = {"/tmp", "/var/tmp"}


def differences(original, found):
    """(path, what) for each entry of `found` that is not as in `original`. Missing ones are no difference."""
    for path, entry in found.items():
        if entry["type"] == "mount":
            continue
        was = original.get(path)
        if was is None:
            yield path, "is not in the original"
            continue
        if was["type"] == "mount" and entry["type"] == "directory":
            continue
        for field in sorted((entry.keys() | was.keys()) - {"path", "group"}):
            if field == "mtime" and path in TOUCHED | TIMELESS:
                continue
            if entry.get(field) != was.get(field):
                yield path, f"{field} is {entry.get(field)!r}, was {was.get(field)!r}"
    yield from _torn_groups(original, found)


def _torn_groups(original, found):
    shared = [path for path in found if path in original]
    before, after = ({}, {})
    for path in shared:
        before.setdefault(original[path].get("group", path), set()).add(path)
        after.setdefault(found[path].get("group", path), set()).add(path)
    for group in before.values():
        if group not in after.values():
            yield min(group), f"is no longer one file with {sorted(group)}"


if __name__ == "__main__":
    snapshot(sys.argv[1], sys.stdout)
