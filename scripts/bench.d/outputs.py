"""What the outputs cost: the time from the application's end to finished files, beside GNU tar over the same list to
the same disk; the journal while the application runs; memory."""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FILES, BYTES, DIRECTORIES = 30_000, 1_500_000_000, 300
# How long a service is left alone before it is ended: packing ahead begins when nothing new is used.
PAUSE = 20


@dataclass
class Tree:
    """Files to be used, and a command that reads all of them."""

    top: Path
    files: int
    bytes: int

    def command(self, pause=0):
        return ["sh", "-ec", f"find {self.top} -type f -exec cat {{}} + >/dev/null; sleep {pause}"]


def make_tree(top, divisor):
    """One file in ten holds half of all bytes, no two are alike."""
    files = FILES // divisor
    small, large = BYTES // FILES * 5 // 9, BYTES // FILES * 5
    noise, total = os.urandom(large + files), 0
    for number in range(files):
        directory = top / f"d{number % DIRECTORIES}"
        directory.mkdir(parents=True, exist_ok=True)
        size = large if number % 10 == 0 else small
        (directory / f"f{number}").write_bytes(noise[number:number + size])
        total += size
    os.sync()
    return Tree(top, files, total)


@dataclass
class Run:
    """The application's own time, the time after it, and the most memory micropacker had, in MB."""

    own: float
    after: float
    memory: float


class Outputs:
    """Runs micropacker and tar over a tree."""

    def __init__(self, binary, engine, timeit, directory, divisor):
        self.binary, self.timeit, self.directory = binary, timeit, directory
        self.engine = ["--engine", engine] if engine else []
        self.tree = make_tree(directory / "tree", divisor)
        self.list = directory / "list"

    def timed(self, line):
        """Seconds and most memory in MB of a command."""
        whole = self.directory / "whole"
        done = subprocess.run([self.timeit, whole, *line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode != 0:
            sys.exit(f"bench: {' '.join(map(str, line))}\nended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        nanoseconds, kilobytes = whole.read_text().split()
        return int(nanoseconds) / 1e9, int(kilobytes) / 1e3

    def run(self, options, pause=0):
        own = self.directory / "own"
        output = self.directory / "rootfs.tar"
        output.unlink(missing_ok=True)
        os.sync()
        line = [self.binary, "-q", *self.engine, "-o", output, *options, "--",
                self.timeit, own, *self.tree.command(pause)]
        seconds, memory = self.timed(line)
        inside = int(own.read_text().split()[0]) / 1e9
        return Run(inside, seconds - inside, memory)

    def artifacts(self):
        return ["--artifacts", self.directory / "artifacts"]

    def list_files(self):
        """Names what micropacker packs, for tar."""
        self.run(self.artifacts())
        listed = (self.directory / "artifacts/files.txt").read_bytes()
        self.list.write_bytes(b"\0".join(line for line in listed.split(b"\n") if line))

    def tar(self):
        """GNU tar, whose output is then brought to the disk, as ours is."""
        output = self.directory / "gnu.tar"
        output.unlink(missing_ok=True)
        os.sync()
        script = 'tar --create --file "$1" --absolute-names --no-recursion --null --files-from "$2" && sync "$1"'
        return self.timed(["sh", "-ec", script, "sh", output, self.list])[0]


def shown(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def measure(outputs, rounds):
    """Prints the rows; gives all figures."""
    outputs.list_files()
    variants = {
        "rootfs.tar": ([], 0),
        "and image.tar, reports": (outputs.artifacts(), 0),
        "the same, --pack-ahead": ([*outputs.artifacts(), "--pack-ahead"], PAUSE),
    }
    figures = {"tar": [], "journal": [], **{name: [] for name in variants}}
    memory = {name: [] for name in variants}
    for _ in range(rounds):
        base = outputs.tar()
        figures["tar"].append(base)
        for name, (options, pause) in variants.items():
            run = outputs.run(options, pause)
            figures[name].append((run.after, run.after / base))
            memory[name].append(run.memory)
        with_it, without = outputs.run([]), outputs.run(["--journal", "none"])
        figures["journal"].append(with_it.own / without.own)
    tree = outputs.tree
    print(f"From the application's end to finished outputs, {tree.files} files, {tree.bytes / 1e9:.2f} GB, as a ratio to "
          f"GNU tar and sync over the same list, medians of {rounds} rounds.")
    rows = [("outputs", "seconds", "ratio to tar (range)", "memory MB"),
            ("GNU tar", f"{statistics.median(figures['tar']):.2f}", "1", "-")]
    for name in variants:
        seconds = statistics.median(after for after, _ in figures[name])
        rows.append((name, f"{seconds:.2f}", shown([ratio for _, ratio in figures[name]]), f"{max(memory[name]):.0f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(f"Reading them under trace, with the journal / without: {shown(figures['journal'])}")
    return figures
