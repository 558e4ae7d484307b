"""Cases of what an engine mounts. Without the mounts, as in the image's check, only the mount points are looked at.

A directory that something is mounted on cannot be seen, and one in which the engine made a mount point has lost its
time: what is `extra` here is there, and not compared."""

import os

from entries import directory, file
from suite import case, look, read, write


def read_all(place):
    return [read(path) for path in sorted(place.iterdir()) if path.is_file()]


@case("bind", [directory("/t/bind/m", 0o751, uid=31, gid=32), file("/t/bind/m/hidden")], extra=["m"],
      absent=["m/hidden", "m/theirs"])
def _(t):
    read_all(t / "m")


@case("volume", [directory("/t/volume")], extra=[".", "m"], absent=["m/theirs", "m/made"])
def _(t):
    os.makedirs(t / "m", exist_ok=True)
    read_all(t / "m")
    write(t / "m/made", "made\n")


@case("tmpfs", [directory("/t/tmpfs/m", 0o1770, gid=33)], extra=["m"], absent=["m/made"])
def _(t):
    write(t / "m/made", "made\n")


@case("secret", [directory("/t/secret/run", 0o700)], extra=["run"], absent=["run/token"])
def _(t):
    if os.path.exists(t / "run/token"):
        assert read(t / "run/token") == "theirs\n"


@case("secret-over-a-file", [file("/t/secret-over-a-file/token", "the image's own\n")], absent=["token"])
def _(t):
    if os.path.exists(t / "token"):
        read(t / "token")


ENGINE_FILES = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]


@case("engine-files", absent=["/.dockerenv"])
def _(_t):
    for path in filter(os.path.exists, ENGINE_FILES):
        read(path)
    os.path.exists("/.dockerenv")


@case(
    "prefilled-volume",
    [
        directory("/t/prefilled-volume/v", 0o2770, uid=41, gid=42),
        file("/t/prefilled-volume/v/kept", mode=0o640, uid=41),
        file("/t/prefilled-volume/v/sub/g"),
        file("/t/prefilled-volume/v/changed"),
        file("/t/prefilled-volume/v/removed"),
        file("/t/prefilled-volume/v/unused"),
    ],
    ships=["v", "v/kept", "v/sub/g", "v/changed", "v/removed"],
    absent=["v/unused", "v/made"],
    # Docker gives the directories that it copies the time of today.
    timeless=["v", "v/sub"],
)
def _(t):
    read(t / "v/kept"), look(t / "v/sub/g")
    write(t / "v/changed", "changed\n")
    os.unlink(t / "v/removed")
    write(t / "v/made", "made\n")


@case("included-mount", [directory("/t/included-mount/m")], extra=["m", "m/theirs"])
def _(t):
    assert read_all(t / "m") in ([], ["theirs\n"])


RESTART = """\
cat /t/restart/counter /etc/debian_version
if [ -e /t/restart/state/made ]; then
    cat /t/restart/state/made
else
    echo made >/t/restart/state/made
    echo 1 >/t/restart/counter
    echo changed >>/etc/debian_version
fi
"""


# Only looked at here: scripts/e2e.d/torture/places.sh starts it twice in one container.
@case("restart", [file("/t/restart/run", RESTART), file("/t/restart/counter", "0\n"), directory("/t/restart/state")],
      ships=["state", "counter"])
def _(t):
    look(t / "state"), read(t / "counter")
