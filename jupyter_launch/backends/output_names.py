"""What links and kinds of files mean for what a program leaves behind."""

from __future__ import annotations

import posixpath
import stat

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def leads_to(root: str, name: str, target: str) -> str:
    """Give the name that a link leads to.

    Parameters
    ----------
    root : str
        The folder that names are told from.
    name, target : str
        The link, and what it says.

    Returns
    -------
    str
        The name of no output, if it leads out of the folder.
    """
    inside = target.startswith(f"{root}/")
    whole = target[len(root) + 1 :] if inside else posixpath.join(posixpath.dirname(name), target)
    return posixpath.normpath(whole)


def special(mode: int) -> str:
    """Say what kind of file it is that has no content to keep."""
    return f"it is {_KINDS.get(stat.S_IFMT(mode), 'no ordinary file')}"
