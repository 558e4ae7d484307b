"""Entries of an image, and a tar archive of them, byte by byte: owners, times and attributes as they are said."""

import itertools
import os
import struct

_seconds = itertools.count(1_400_000_000, 86_401)


class Entry:
    """One entry. Each has a time of its own, with nanoseconds."""

    def __init__(self, path, kind, mode, data=b"", uid=0, gid=0, target=b"", device=(0, 0), xattrs=None):
        self.path = os.fsencode(path)
        self.kind, self.mode, self.uid, self.gid = kind, mode, uid, gid
        self.data = data.encode() if isinstance(data, str) else data
        self.target = os.fsencode(target)
        self.device = device
        self.xattrs = xattrs or {}
        self.time = next(_seconds)


def file(path, data="original\n", mode=0o644, **more):
    return Entry(path, b"0", mode, data, **more)


def directory(path, mode=0o755, **more):
    return Entry(path, b"5", mode, **more)


def symlink(path, target, **more):
    return Entry(path, b"2", 0o777, target=target, **more)


def hard_link(path, target):
    return Entry(path, b"1", 0o644, target=target)


def fifo(path, mode=0o644, **more):
    return Entry(path, b"6", mode, **more)


def character_device(path, major, minor, mode=0o666):
    return Entry(path, b"3", mode, device=(major, minor))


def capability(permitted):
    """security.capability (capabilities(7)), version 2, effective."""
    return {b"security.capability": struct.pack("<5I", 0x02000001, permitted, 0, 0, 0)}


def acl(name, *lines):
    """A POSIX ACL: (tag, permissions, id); tags as in linux/posix_acl.h."""
    nobody = 0xFFFFFFFF
    rows = b"".join(struct.pack("<HHI", tag, bits, nobody if who is None else who) for tag, bits, who in lines)
    return {b"system.posix_acl_" + name: struct.pack("<I", 2) + rows}


def archive(entries):
    """The archive's bytes, its end left out."""
    return b"".join(_member(entry) for entry in entries)


def _member(entry):
    name = entry.path.lstrip(b"/") + (b"/" if entry.kind == b"5" else b"")
    target = entry.target.lstrip(b"/") if entry.kind == b"1" else entry.target
    records = {b"path": name, b"mtime": b"%d.%09d" % (entry.time, entry.time % 999_999_937)}
    if target:
        records[b"linkpath"] = target
    for key, value in entry.xattrs.items():
        records[b"SCHILY.xattr." + key] = value
    pax = b"".join(_record(key, value) for key, value in records.items())
    return _block(b"pax", b"x", 0o644, pax) + _block(
        name[:99], entry.kind, entry.mode, entry.data, entry.uid, entry.gid, target[:99], entry.time, entry.device
    )


def _record(key, value):
    text = b" " + key + b"=" + value + b"\n"
    length = len(text) + 1
    while len(str(length)) + len(text) != length:
        length = len(str(length)) + len(text)
    return str(length).encode() + text


def _block(name, kind, mode, data, uid=0, gid=0, target=b"", time=0, device=(0, 0)):
    header = bytearray(512)
    header[0:len(name)] = name
    header[100:108] = b"%07o\0" % mode
    header[108:116] = b"%07o\0" % uid
    header[116:124] = b"%07o\0" % gid
    header[124:136] = b"%011o\0" % len(data)
    header[136:148] = b"%011o\0" % time
    header[156:157] = kind
    header[157:157 + len(target)] = target
    header[257:265] = b"ustar\00000"
    header[329:337] = b"%07o\0" % device[0]
    header[337:345] = b"%07o\0" % device[1]
    header[148:156] = b"%06o\0 " % (sum(header) + 8 * 32)
    return bytes(header) + data + b"\0" * (-len(data) % 512)


def directories_above(entries):
    """The directories that no entry makes, in order, each once."""
    made = {entry.path for entry in entries}
    missing = {}
    for entry in entries:
        parent = os.path.dirname(entry.path)
        while parent not in made and parent != b"/":
            missing[parent] = None
            parent = os.path.dirname(parent)
    return [directory(path) for path in sorted(missing)]


