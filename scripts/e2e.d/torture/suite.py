"""The cases by name, and what their functions use. Runs on the host, which makes the image, and in the image."""

import os
import pathlib

from entries import Entry

CASES = {}


class Case:
    def __init__(self, name, image, ships, absent, extra, timeless, at_the_end, use):
        self.name, self._image, self.use, self.at_the_end = name, image, use, at_the_end
        self.place = pathlib.Path("/t") / name
        self.ships = [self.place / path for path in ships]
        self.absent = [self.place / path for path in absent]
        self.extra = [self.place / path for path in extra]
        self.timeless = [self.place / path for path in timeless]

    def entries(self):
        image = self._image() if callable(self._image) else self._image
        assert all(isinstance(entry, Entry) for entry in image)
        return image

    def owns(self, path):
        """Whether a path (str) belongs to this case."""
        paths = [str(self.place), *map(str, self.ships), *map(str, self.absent)]
        return any(path == own or path.startswith(own + "/") for own in paths)


def case(name, image=(), ships=(), absent=(), extra=(), timeless=(), at_the_end=False):
    """Declares a case: its entries, what the micro image must have of them, what it must not have, what it must have
    that is not compared (`extra`), and whose time is not (`timeless`). Names that are not absolute are below /t/NAME, which is what the function is given."""

    def declare(use):
        assert name not in CASES, name
        CASES[name] = Case(name, image if callable(image) else list(image), ships, absent, extra, timeless, at_the_end, use)
        return use

    return declare


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text, how="w"):
    with open(path, how, encoding="utf-8") as file:
        file.write(text)


def rendered(word):
    return f"<p>{word}</p>\n" * 20


def look(path):
    """stat(2) of the name itself."""
    return os.lstat(path)
