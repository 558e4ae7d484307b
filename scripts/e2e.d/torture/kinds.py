"""Cases of unusual entries that are only used: each must be shipped as it is."""

import os
import stat
import subprocess

from entries import acl, capability, character_device, directory, fifo, file, hard_link, symlink
from suite import case, look, read

OWNER, USER, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20


@case("special-directories", [directory("/t/special-directories/sgid", 0o2775, gid=50),
                              directory("/t/special-directories/sticky", 0o1777)], ships=["sgid", "sticky"])
def _(t):
    assert look(t / "sgid").st_mode & stat.S_ISGID
    assert os.access(t / "sticky", os.W_OK)


@case("listed", [directory("/t/listed/d", 0o750, uid=3), file("/t/listed/d/a"), file("/t/listed/d/b")],
      ships=["d", "d/a", "d/b"])
def _(t):
    assert sorted(os.listdir(t / "d")) == ["a", "b"]


@case("entered", [directory("/t/entered/d", 0o711, uid=3), file("/t/entered/d/unused")], ships=["d"],
      absent=["d/unused"])
def _(t):
    os.chdir(t / "d")
    os.chdir("/")


@case("stat-only", [directory("/t/stat-only/d", 0o700, gid=9), file("/t/stat-only/d/unused"), file("/t/stat-only/f")],
      ships=["d", "f"], absent=["d/unused"])
def _(t):
    look(t / "d"), look(t / "f")


@case("set-id", [file("/t/set-id/user", mode=0o4755, uid=12), file("/t/set-id/group", mode=0o2750, gid=13),
                 file("/t/set-id/all", mode=0o7777)], ships=["user", "group", "all"])
def _(t):
    for name in ("user", "group", "all"):
        read(t / name)


@case("capabilities", [file("/t/capabilities/f", mode=0o755, xattrs=capability(1 << 10))], ships=["f"])
def _(t):
    read(t / "f")


@case("attributes", [file("/t/attributes/f", xattrs={b"user.text": b"a value", b"user.bytes": bytes(range(256)),
                                                     b"user.empty": b"", b"user.lines": b"a\nb=c\n"}),
                     directory("/t/attributes/d", xattrs={b"user.of.directory": b"x"})], ships=["f", "d"])
def _(t):
    read(t / "f"), look(t / "d")


ACCESS = acl(b"access", (OWNER, 6, None), (USER, 4, 1234), (GROUP, 4, None), (MASK, 4, None), (OTHER, 0, None))
DEFAULT = acl(b"default", (OWNER, 7, None), (USER, 5, 1234), (GROUP, 5, None), (MASK, 5, None), (OTHER, 0, None))


@case("acl", [file("/t/acl/f", mode=0o640, xattrs=ACCESS), directory("/t/acl/d", 0o750, xattrs=DEFAULT)],
      ships=["f", "d"])
def _(t):
    read(t / "f"), look(t / "d")


@case("hard-links", [file("/t/hard-links/a", "x" * 4096), hard_link("/t/hard-links/b", "/t/hard-links/a"),
                     hard_link("/t/hard-links/sub/c", "/t/hard-links/a"),
                     hard_link("/t/hard-links/unused", "/t/hard-links/a")], ships=["a", "b", "sub/c"],
      absent=["unused"])
def _(t):
    read(t / "a"), read(t / "sub/c"), look(t / "b")


@case("sparse", [file("/t/sparse/f", b"\0" * (4 << 20) + b"end")], ships=["f"])
def _(t):
    with open(t / "f", "rb") as opened:
        opened.seek(4 << 20)
        assert opened.read() == b"end"


@case("fifo", [fifo("/t/fifo/p", 0o620, uid=4, gid=5)], ships=["p"])
def _(t):
    os.close(os.open(t / "p", os.O_RDWR | os.O_NONBLOCK))


@case("device", [character_device("/t/device/null", 1, 3, 0o664)], ships=["null"])
def _(t):
    # Rootless engines leave it out.
    if os.path.lexists(t / "null"):
        look(t / "null")


@case("symlink", [symlink("/t/symlink/link", "file", uid=21, gid=22), file("/t/symlink/file"),
                  symlink("/t/symlink/long", "/".join(["."] * 150) + "/file")], ships=["link", "file", "long"])
def _(t):
    assert read(t / "link") == read(t / "long")


@case("dangling", [symlink("/t/dangling/nowhere", "/no/such/place", uid=21),
                   symlink("/t/dangling/circle", "circle")], ships=["nowhere", "circle"])
def _(t):
    assert os.readlink(t / "nowhere") == "/no/such/place"
    assert os.readlink(t / "circle") == "circle"
    assert not os.path.exists(t / "nowhere") and not os.path.exists(t / "circle")


@case("numeric-owner", [file("/t/numeric-owner/f", mode=0o604, uid=12345, gid=54321)], ships=["f"])
def _(t):
    read(t / "f")


ODD = [b"caf\xe9", b"new\nline", b"n" * 255, b"x (deleted)", b"-rf", b" space ", b"\\134", b"\xff\xfe"]
ODD_NAMES = [os.fsdecode(name) for name in ODD]


@case("odd-names", [file(b"/t/odd-names/" + name) for name in ODD] + [directory(b"/t/odd-names/d\xe9"),
      file(b"/t/odd-names/d\xe9/f"), symlink(b"/t/odd-names/link", b"caf\xe9")],
      ships=[*ODD_NAMES, os.fsdecode(b"d\xe9/f"), "link"])
def _(t):
    for name in [*ODD_NAMES, os.fsdecode(b"d\xe9/f"), "link"]:
        read(t / name)


# With "/t/long-path/" before it and a name behind it: 3900 bytes. The driver vfs copies files by their path on the
# host, which may have 4095.
LONG = "/".join(["p" * 199] * 19 + ["q" * (3900 - len("/t/long-path/") - 19 * 200 - len("/f"))]) + "/f"


@case("long-path", [file("/t/long-path/" + LONG)], ships=[LONG])
def _(t):
    assert len(str(t / LONG)) == 3900
    read(t / LONG)


@case("program", [file("/t/program/run", "#!/bin/sh\necho started\n", mode=0o751)], ships=["run"])
def _(t):
    done = subprocess.run([t / "run"], check=True, capture_output=True)
    assert done.stdout == b"started\n"


@case("chroot", [file("/t/chroot/jail/etc/f"), symlink("/t/chroot/jail/link", "/etc/f")],
      ships=["jail/etc/f", "jail/link"])
def _(t):
    child = os.fork()
    if child == 0:
        os.chroot(t / "jail")
        os._exit(read("/link") != "original\n")
    assert os.waitpid(child, 0)[1] == 0


@case("empty", [file("/t/empty/f", b""), directory("/t/empty/d", 0o500)], ships=["f", "d"])
def _(t):
    assert read(t / "f") == "" and os.listdir(t / "d") == []
