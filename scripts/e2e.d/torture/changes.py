"""Cases that change the image's files: each original must be shipped as it was, and nothing that was made."""

import mmap
import os
import sqlite3
import subprocess
import tempfile

from entries import directory, file, hard_link, symlink
from suite import case, read, rendered, write


@case("write", [file("/t/write/f")], ships=["f"])
def _(t):
    write(t / "f", "changed\n")


@case("truncate", [file("/t/truncate/f"), file("/t/truncate/by-open")], ships=["f", "by-open"])
def _(t):
    os.truncate(t / "f", 3)
    os.close(os.open(t / "by-open", os.O_WRONLY | os.O_TRUNC))


@case("append", [file("/t/append/f")], ships=["f"])
def _(t):
    write(t / "f", "more\n", "a")


@case("read-then-write", [file("/t/read-then-write/f")], ships=["f"])
def _(t):
    read(t / "f")
    write(t / "f", read(t / "f").upper())


@case("mmap", [file("/t/mmap/f", "original" * 1024)], ships=["f"])
def _(t):
    with open(t / "f", "r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
        memory[0:7] = b"CHANGED"


@case("rename-over", [file("/t/rename-over/f", mode=0o640, uid=7, gid=8)], ships=["f"], absent=["f.new"])
def _(t):
    write(t / "f.new", "new\n")
    os.rename(t / "f.new", t / "f")


@case("chmod", [file("/t/chmod/f", mode=0o640), directory("/t/chmod/d", 0o750)], ships=["f", "d"])
def _(t):
    os.chmod(t / "f", 0o600)
    os.chmod(t / "d", 0o777)


@case("chown", [file("/t/chown/f", uid=5, gid=6)], ships=["f"])
def _(t):
    os.chown(t / "f", 1, 2)


@case("utimes", [file("/t/utimes/f"), directory("/t/utimes/d")], ships=["f", "d"])
def _(t):
    os.utime(t / "f", (1, 1))
    os.utime(t / "d", ns=(5, 5))


@case("setxattr", [file("/t/setxattr/f", xattrs={b"user.kept": b"as it was"})], ships=["f"])
def _(t):
    os.setxattr(t / "f", "user.kept", b"changed")
    os.setxattr(t / "f", "user.new", b"new")


@case("unlink", [file("/t/unlink/f"), symlink("/t/unlink/link", "f")], ships=["f", "link"])
def _(t):
    read(t / "link")
    os.unlink(t / "link")
    os.unlink(t / "f")


@case("unlink-unread", [file("/t/unlink-unread/f")], ships=["f"])
def _(t):
    os.unlink(t / "f")


@case("rename-away", [file("/t/rename-away/f")], ships=["f"], absent=["elsewhere"])
def _(t):
    os.rename(t / "f", t / "elsewhere")
    write(t / "elsewhere", "changed under another name\n")


@case("made-again", [file("/t/made-again/f", mode=0o640)], ships=["f"])
def _(t):
    os.unlink(t / "f")
    write(t / "f", "made again\n")


@case("becomes-symlink", [file("/t/becomes-symlink/f"), file("/t/becomes-symlink/g")], ships=["f"])
def _(t):
    read(t / "f")
    os.unlink(t / "f")
    os.symlink("g", t / "f")


@case(
    "rmdir",
    [directory("/t/rmdir/d", 0o2770, gid=12), file("/t/rmdir/d/f"), file("/t/rmdir/d/sub/g")],
    ships=["d", "d/f", "d/sub/g"],
)
def _(t):
    read(t / "d/f")
    for name in ("d/f", "d/sub/g"):
        os.unlink(t / name)
    os.rmdir(t / "d/sub")
    os.rmdir(t / "d")


@case(
    "rename-directory",
    [file("/t/rename-directory/old/f"), file("/t/rename-directory/old/g"), file("/t/rename-directory/old/sub/h")],
    ships=["old/f", "old/g", "old/sub/h"],
    absent=["new", "new/f", "new/made"],
)
def _(t):
    read(t / "old/f")
    # overlayfs renames no directory of a lower layer: mv copies it then.
    subprocess.run(["/bin/mv", t / "old", t / "new"], check=True)
    write(t / "new/g", "changed below the new name\n")
    os.unlink(t / "new/sub/h")
    write(t / "new/made", "made below the new name\n")


@case(
    "symlink-replaced",
    [
        symlink("/t/symlink-replaced/current", "one"),
        file("/t/symlink-replaced/one/f", "one\n"),
        file("/t/symlink-replaced/two/f", "two\n"),
    ],
    ships=["current", "one/f", "two/f"],
)
def _(t):
    assert read(t / "current/f") == "one\n"
    os.symlink("two", t / "current.new")
    os.rename(t / "current.new", t / "current")
    assert read(t / "current/f") == "two\n"


@case("sed", [file("/t/sed/conf", "port = 80\n", mode=0o664, uid=33, gid=33)], ships=["conf"])
def _(t):
    subprocess.run(["/bin/sed", "-i", "s/80/8080/", t / "conf"], check=True)
    assert read(t / "conf") == "port = 8080\n"


@case("template", [file("/t/template/conf.in", "name = @NAME@\n")], ships=["conf.in"], absent=["conf"])
def _(t):
    write(t / "conf", read(t / "conf.in").replace("@NAME@", "micro"))
    os.unlink(t / "conf.in")


@case("config-aside", [file("/t/config-aside/conf", "shipped = yes\n")], ships=["conf"], absent=["conf.orig"])
def _(t):
    os.rename(t / "conf", t / "conf.orig")
    write(t / "conf", "generated = yes\n")


@case("counter", [file("/t/counter/n", "0\n")], ships=["n"])
def _(t):
    assert read(t / "n") == "0\n"
    for _ in range(3):
        write(t / "n", f"{int(read(t / 'n')) + 1}\n")


def empty_database():
    with tempfile.TemporaryDirectory() as place:
        connection = sqlite3.connect(f"{place}/db")
        connection.execute("CREATE TABLE visits (name TEXT)")
        connection.commit()
        connection.close()
        with open(f"{place}/db", "rb") as content:
            return content.read()


@case("database", lambda: [file("/t/database/db", empty_database())], ships=["db"], absent=["db-journal"])
def _(t):
    connection = sqlite3.connect(t / "db")
    assert connection.execute("SELECT count(*) FROM visits").fetchone() == (0,)
    connection.executemany("INSERT INTO visits VALUES (?)", [("a",), ("b",)])
    connection.commit()
    connection.close()


@case(
    "logs",
    [directory("/t/logs/log", 0o2775, uid=33, gid=4), directory("/t/logs/run", 0o1777)],
    ships=["log", "run"],
    absent=["log/app.log", "run/app.pid", "run/made", "run/made/deep"],
)
def _(t):
    write(t / "log/app.log", "started\n")
    write(t / "run/app.pid", f"{os.getpid()}\n")
    os.makedirs(t / "run/made/deep")


@case(
    "hard-link-changed",
    [file("/t/hard-link-changed/a"), hard_link("/t/hard-link-changed/b", "/t/hard-link-changed/a")],
    ships=["a", "b"],
)
def _(t):
    read(t / "b")
    # overlayfs tears the names apart when it copies the file up.
    write(t / "a", "changed through one name\n")


@case("hard-link-made", [file("/t/hard-link-made/a")], ships=["a"], absent=["b"])
def _(t):
    os.link(t / "a", t / "b")
    write(t / "b", "changed through a new name\n")


@case("read-at-the-end", [file("/t/read-at-the-end/f")], ships=["f"], at_the_end=True)
def _(t):
    assert read(t / "f") == "original\n"


@case("changed-at-the-end", [file("/t/changed-at-the-end/f")], ships=["f"], at_the_end=True)
def _(t):
    write(t / "f", "bye\n")


@case("open-while-unlinked", [file("/t/open-while-unlinked/f")], ships=["f"])
def _(t):
    with open(t / "f", "r+") as opened:
        os.unlink(t / "f")
        opened.write("changed when no name led to it\n")


@case("exchanged", [file("/t/exchanged/a", "a\n"), file("/t/exchanged/b", "b\n")], ships=["a", "b"])
def _(t):
    os.rename(t / "a", t / "c")
    os.rename(t / "b", t / "a")
    os.rename(t / "c", t / "b")


@case("through-a-descriptor", [file("/t/through-a-descriptor/f", mode=0o640)], ships=["f"])
def _(t):
    with open(t / "f", "r+") as opened:
        os.fchmod(opened.fileno(), 0o600)
        os.fchown(opened.fileno(), 9, 9)
        os.ftruncate(opened.fileno(), 0)
        os.utime(opened.fileno(), (1, 1))


@case("rendered-in-place", [file("/t/rendered-in-place/page", rendered("original"))], ships=["page"])
def _(t):
    shell = 'sed s/original/changed/ "$0" >"$0.tmp" && cat "$0.tmp" >"$0" && rm "$0.tmp"'
    subprocess.run(["/bin/sh", "-c", shell, t / "page"], check=True)
