"""The benchmark's workloads: what each runs, how much of it, and the ratio it must keep to."""

import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

SOURCES = Path(__file__).resolve().parent


@dataclass
class Workload:
    """COMMAND(share) is a share of the whole work; SERVE stands in its place for a service under load."""

    name: str
    title: str
    bar: float = math.inf
    command: Optional[Callable] = None
    serve: Optional["Nginx"] = None
    # How much of it plain strace, which stops at every system call, is given; its time is scaled up.
    share_under_strace: float = 1


def compile_c(name, directory):
    """Compiles SOURCES/NAME.c to DIRECTORY/NAME."""
    program = directory / name
    done = subprocess.run(["cc", "-O2", "-o", program, SOURCES / f"{name}.c"])
    if done.returncode != 0:
        sys.exit(f"bench: cc could not compile {name}.c")
    return program


def make_files(directory, count):
    directory.mkdir()
    for number in range(count):
        (directory / str(number)).touch()
    return directory


def repeat(times, command):
    """A shell that runs COMMAND so many times, one after another."""
    return ["sh", "-ec", f"i=0; while [ $i -lt {times} ]; do {command}; i=$((i+1)); done"]


def known(directory, divisor):
    program, files, opens = compile_c("opens", directory), 1000, 200_000 // divisor
    where = make_files(directory / "known-files", files)
    return Workload("known", f"{opens} opens of {files} files", 10,
                    lambda share: [program, where, str(files), str(int(opens * share))], share_under_strace=0.25)


def distinct(directory, divisor):
    program, files = compile_c("opens", directory), 20_000 // divisor
    where = make_files(directory / "distinct-files", files)
    return Workload("distinct", f"{files} files opened once", command=lambda share: [program, where, str(files), str(files)])


def misses(directory, divisor):
    program, opens = compile_c("misses", directory), 100_000 // divisor
    where = make_files(directory / "no-files", 0)
    return Workload("misses", f"{opens} opens that fail, of {opens // 10} names",
                    command=lambda share: [program, where, str(opens // 10), str(int(opens * share))], share_under_strace=0.25)


def fork(directory, divisor):
    times = 1000 // divisor
    return Workload("fork", f"{times} times /bin/true from sh", 1.5, lambda share: repeat(times, "/bin/true"))


def python(directory, divisor):
    # The system's own: what stands before it in PATH may be a shell script that looks for one.
    interpreter = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    times, imports = max(2, 20 // divisor), "import json,http.server,ssl,sqlite3,asyncio"
    return Workload("python", f"{times} starts of python3 -c '{imports}'", 1.3,
                    lambda share: repeat(times, f"{interpreter} -c '{imports}'"))


def gcc(directory, divisor):
    times, source = max(2, 20 // divisor), directory / "source.c"
    source.write_text(c_source(500))
    return Workload("gcc", f"{times} times gcc on 500 lines", 1.25,
                    lambda share: repeat(times, f"gcc -O1 -c -o {directory}/source.o {source}"))


def c_source(lines):
    """A C file of so many lines: headers, then functions of ten lines."""
    text = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>", "#include <unistd.h>"]
    number = 0
    while len(text) + 10 <= lines:
        text += [
            f"int function_{number}(const char *text, int limit)",
            "{",
            "    int sum = 0;",
            "    for (int i = 0; i < limit && text[i]; i++) {",
            f"        if (text[i] == '{chr(97 + number % 26)}')",
            f"            sum += {number} * i;",
            "        sum ^= (int)strlen(text + i);",
            "    }",
            '    return printf("%d\\n", sum);',
            "}",
        ]
        number += 1
    text += [""] * (lines - len(text))
    return "\n".join(text) + "\n"


def getpid(directory, divisor):
    program, calls = compile_c("getpid", directory), 5_000_000 // divisor
    return Workload("getpid", f"{calls} times getpid", 1.2,
                    lambda share: [program, str(int(calls * share))], share_under_strace=0.01)


def nginx(directory, divisor):
    return Workload("nginx", "nginx under wrk: a small static file, one worker", 1 / 0.85,
                    serve=Nginx(directory / "nginx", max(1, 5 // divisor)))


class Nginx:
    """An nginx of one worker on a loopback port, and wrk to load it."""

    def __init__(self, directory, seconds):
        self.seconds = seconds
        self.pid_file = directory / "nginx.pid"
        (directory / "www").mkdir(parents=True)
        # The worker gives up root: it must still get here.
        for path in (directory.parent, directory, directory / "www"):
            path.chmod(0o755)
        (directory / "www/index.html").write_text("<!doctype html><title>small</title>" + "x" * 500)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
worker_processes 1;
daemon off;
pid {self.pid_file};
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{ listen 127.0.0.1:{self.port}; root {directory}/www; }}
}}
""")
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.command = [program, "-p", str(directory), "-e", "stderr", "-c", str(configuration)]

    def wait_until_ready(self, process):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        process.kill()
        sys.exit(f"bench: nginx does not answer: {process.stderr.read().decode(errors='replace')}")

    def requests_per_second(self):
        line = ["wrk", "-t1", "-c16", f"-d{self.seconds}s", f"http://127.0.0.1:{self.port}/index.html"]
        text = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        found = re.search(r"^Requests/sec:\s*([0-9.]+)", text, re.MULTILINE)
        if not found or "Non-2xx" in text:
            sys.exit(f"bench: wrk failed:\n{text}")
        return float(found[1])

    def stop(self):
        """Ends nginx itself, whatever runs in front of it; that then ends too."""
        try:
            os.kill(int(self.pid_file.read_text()), signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            pass


WORKLOADS = {make.__name__: make for make in (known, distinct, misses, fork, python, gcc, nginx, getpid)}
NAMES = list(WORKLOADS)


def prepare(directory, only, divisor):
    """Makes the workloads one by one, each a DIVISOR-th of its full size."""
    for name, make in WORKLOADS.items():
        if not only or name in only:
            yield make(directory, divisor)
