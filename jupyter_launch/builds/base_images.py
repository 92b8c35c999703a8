"""Which images a Dockerfile names, as far as its text can tell: rather one too many than too few.

Its author may want one to be overlooked. So wherever it depends on more than a line what is meant
(which sign continues a line, whether a text in the file only looks like an instruction), the file
is read in each of the ways, and what is an image in any of them counts as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_COPIED = re.compile(r"[-,\s]from=([^\s,]+)", re.IGNORECASE)
_QUOTES = re.compile(r"[\\`\"']")
_COMMENT = re.compile(r"^[ \t]*#.*\n?", re.MULTILINE)
_SYNTAX = re.compile(r"^\s*(?:#|//)\s*syntax\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_SYNTAX_IN_JSON = re.compile(r'"syntax"\s*:\s*"([^"]*)"', re.IGNORECASE)
_OWN_SYNTAX = re.compile(r"(docker\.io/)?docker/dockerfile(:[\w.-]+)?")


def images_in(dockerfile: str) -> list[str]:
    """Name the images that are built on, copied from, or that read the Dockerfile itself."""
    text = dockerfile.replace("\r\n", "\n").lstrip("\ufeff")
    found = [image for way in (text, *map(_joined, "\\`", (text, text))) for image in _read(way)]
    syntax = _SYNTAX.findall(text) + _SYNTAX_IN_JSON.findall(text)
    found += [image for image in syntax if not _OWN_SYNTAX.fullmatch(image)]
    return list(dict.fromkeys(found))


def _joined(sign: str, text: str) -> str:
    """Join each line that ends in a sign with the next one."""
    return re.sub(re.escape(sign) + r"[ \t]*\n(?:[ \t]*\n)*", "", _COMMENT.sub("", text))


def _read(text: str) -> Iterator[str]:
    """Name what is neither a stage before it nor the number of one."""
    stages, sure = {"scratch"}, True
    for line in text.split("\n"):
        if begun := _FROM.match(line):
            image, stage = begun.groups()
            if image.lower() not in stages:
                yield image
            if stage and sure:
                stages.add(stage.lower())
        for image in _COPIED.findall(_QUOTES.sub("", line)):
            if image.lower() not in stages and not image.isdecimal():
                yield image
        sure = sure and "<<" not in line  # what follows may be a here-document's text
