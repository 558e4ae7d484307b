"""Judges what was shipped: judge.py ORIGINAL.json FOUND.json CHECK.log [XFAIL…]. Prints one line a case, and the total."""

import sys

import changes  # noqa: F401
import kinds  # noqa: F401
import mounts  # noqa: F401
import random_trees  # noqa: F401
import tree
from suite import CASES


def main(original_file, found_file, log, *expected):
    original, found = tree.load(original_file), tree.load(found_file)
    faults = {name: [] for name in CASES}
    elsewhere = []
    for path, what in tree.differences(original, found):
        owner = next((case for case in CASES.values() if case.owns(path)), None)
        if owner and path in map(str, owner.extra):
            continue
        if owner and path in map(str, owner.timeless) and what.startswith("mtime "):
            continue
        (faults[owner.name] if owner else elsewhere).append(f"{path!r} {what}")
    for case in CASES.values():
        # What this engine could not unpack, a device node for instance, cannot be asked for.
        missing = [path for path in case.ships if str(path) in original and str(path) not in found]
        missing += [path for path in case.extra if str(path) not in found]
        faults[case.name] += [f"{str(path)!r} is missing" for path in missing]
        faults[case.name] += [f"{str(path)!r} should not be there" for path in case.absent if str(path) in found]
    if log:
        with open(log, encoding="utf-8", errors="surrogateescape") as lines:
            told = dict(line.rstrip("\n").split(": ", 1) for line in lines if ": " in line)
        for name in CASES:
            if told.get(name) != "ok":
                faults[name].append(f"its use in the micro image: {told.get(name, 'did not happen')}")
    return tell(faults, elsewhere, set(expected))


def tell(faults, elsewhere, expected):
    failed = 0
    for name, lines in faults.items():
        state = "failed" if lines and name not in expected else "expected" if lines else "ok"
        failed += state == "failed"
        if state == "ok" and name in expected:
            print(f"{name}: ok, though it was expected to fail")
        for line in lines:
            print(f"{name}: {state}: {line}".encode("ascii", "backslashreplace").decode())
    for line in elsewhere[:20]:
        print(f"elsewhere: failed: {line}".encode("ascii", "backslashreplace").decode())
    waiting = sum(bool(lines) and name in expected for name, lines in faults.items())
    print(f"{len(faults) - failed - waiting} passed, {failed + bool(elsewhere)} failed, {waiting} expected to fail")
    return failed or elsewhere


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
