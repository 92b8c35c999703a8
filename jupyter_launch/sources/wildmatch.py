"""The patterns of git's ignore files, as regular expressions over bytes."""

from __future__ import annotations

import re
import sys
from string import ascii_lowercase, ascii_uppercase, digits, hexdigits, punctuation

_UPPER, _LOWER, _DIGITS = (text.encode() for text in (ascii_uppercase, ascii_lowercase, digits))
_PUNCTUATION = punctuation.encode()
_GRAPHIC = _UPPER + _LOWER + _DIGITS + _PUNCTUATION
_CLASSES = {
    b"alnum": _UPPER + _LOWER + _DIGITS,
    b"alpha": _UPPER + _LOWER,
    b"blank": b" \t",
    b"cntrl": bytes([*range(32), 127]),
    b"digit": _DIGITS,
    b"graph": _GRAPHIC,
    b"lower": _LOWER,
    b"print": _GRAPHIC + b" ",
    b"punct": _PUNCTUATION,
    b"space": b" \t\n\r",
    b"upper": _UPPER,
    b"xdigit": hexdigits.encode(),
}
"""As git has them, whatever the locale."""

_SPECIAL = re.compile(rb"[*?\[\\]")
_NOT_A_SLASH = b"[^/]"
_STAR = b"[^/]*"
_FOLDERS, _ANYTHING = b"(?:.*/)?", b".*"
_SLASHES = (b"/", _FOLDERS, _ANYTHING)


def regex(pattern: bytes, *, by_path: bool) -> bytes | None:
    r"""Translate a pattern; ``None`` if it never matches.

    Parameters
    ----------
    pattern : bytes
        Without the leading ``!`` and the slashes at its ends: ``*.py``, ``a/**/b``, ``[!x]\*``.
    by_path : bool
        Whether ``**`` spans folders.
    """
    special = _SPECIAL.search(pattern)
    # What comes before is compared first, so that "a**/b" is read as "a" and then "**/b".
    start = at = special.start() if special else len(pattern)
    parts = [re.escape(pattern[:start])]
    while at < len(pattern):
        character = pattern[at : at + 1]
        if character == b"*":
            part, at = _stars(pattern, start, at, by_path=by_path)
        elif character == b"[":
            members, at = _members(pattern, at + 1)
            if members is None:
                return None
            part = _any_of(members)
        elif character == b"?":
            part, at = _NOT_A_SLASH, at + 1
        else:
            at += character == b"\\"
            if at == len(pattern):  # a backslash with nothing behind it
                return None
            part, at = re.escape(pattern[at : at + 1]), at + 1
        parts.append(part)
    return _joined(parts)


def _joined(parts: list[bytes]) -> bytes:
    """Join what is matched, so that no pattern, however many stars it has, takes for ever."""
    joined: list[bytes] = []
    star = None  # the place of the last one, if it is in the same name
    for part in parts:
        if part == _STAR and star is not None and sys.version_info >= (3, 11):
            # The first place where what is between two stars matches is as good as any other.
            joined[star:] = [b"(?>[^/]*?%s)" % b"".join(joined[star + 1 :])]
        if part == _STAR:
            star = len(joined)
        elif part in _SLASHES:
            star = None
        joined.append(part)
    return b"".join(joined)


def _stars(pattern: bytes, start: int, at: int, *, by_path: bool) -> tuple[bytes, int]:
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    alone = at == start or pattern[at - 1 : at] == b"/"
    alone = alone and (end == len(pattern) or pattern.startswith((b"/", b"\\/"), end))
    if end - at == 1 or not alone or not by_path:
        return _STAR, end
    return (_FOLDERS, end + 1) if pattern[end : end + 1] == b"/" else (_ANYTHING, end)


def _any_of(members: set[int]) -> bytes:
    members.discard(ord("/"))
    return b"[%s]" % b"".join(b"\\x%02x" % code for code in sorted(members)) if members else b"(?!)"


def _members(pattern: bytes, at: int) -> tuple[set[int] | None, int]:
    """Read what a bracket holds, from behind it; give the place behind its end."""
    negated = pattern[at : at + 1] in {b"!", b"^"}
    first = at = at + negated
    members: set[int] = set()
    low = 0  # where a range would begin
    while at < len(pattern) and (at == first or pattern[at : at + 1] != b"]"):
        word = _class_name(pattern, at)
        if word is not None:
            if word not in _CLASSES:
                return None, at
            members.update(_CLASSES[word])
            low, at = 0, at + len(word) + 4
            continue
        is_range = (
            pattern[at : at + 1] == b"-" and low and pattern[at + 1 : at + 2] not in {b"", b"]"}
        )
        at += bool(is_range)
        at += pattern[at : at + 1] == b"\\"
        if at >= len(pattern):
            break
        code = pattern[at]
        members.update(range(low if is_range else code, code + 1))
        low, at = 0 if is_range else code, at + 1
    if at >= len(pattern):
        return None, at
    return (set(range(256)) - members if negated else members), at + 1


def _class_name(pattern: bytes, at: int) -> bytes | None:
    """Give the word in ``[:word:]``, if that is what stands there."""
    if pattern[at : at + 2] != b"[:":
        return None
    end = pattern.find(b"]", at)
    return pattern[at + 2 : end - 1] if end > at + 2 and pattern[end - 1 : end] == b":" else None
