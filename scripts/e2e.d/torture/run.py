"""The image's program: `exercise` uses each case, `check` looks at what must be there and then does the same,
`snapshot` tells what the tree is like."""

import io
import os
import signal
import sys

import changes  # noqa: F401
import kinds  # noqa: F401
import mounts  # noqa: F401
import random_trees  # noqa: F401
import tree
from suite import CASES


def use(at_the_end):
    """One line a case: ok or what went wrong."""
    failed = 0
    for case in CASES.values():
        if case.at_the_end != at_the_end:
            continue
        try:
            case.use(case.place)
            print(f"{case.name}: ok", flush=True)
        except (AssertionError, OSError) as error:
            failed += 1
            print(f"{case.name}: {type(error).__name__} {error}", flush=True)
    return failed


def exercise():
    # The micro image must be able to tell its tree.
    tree.snapshot("/torture", io.StringIO())
    tree.load(os.devnull)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    failed = use(at_the_end=False)
    print("ready", flush=True)
    signal.sigwait([signal.SIGTERM])
    return failed + use(at_the_end=True)


def check():
    return use(at_the_end=False) + use(at_the_end=True)


if __name__ == "__main__":
    if sys.argv[1] == "snapshot":
        tree.snapshot("/", sys.stdout)
    else:
        sys.exit({"exercise": exercise, "check": check}[sys.argv[1]]() > 0)
