"""Where the symbolic links of a commit lead, found out without any of them being on the disk."""

from __future__ import annotations

from collections.abc import Mapping

MOST_LINKS = 40
"""As many a system follows in one name before it takes them for a circle."""


def follow(links: Mapping[str, str], name: str) -> str | None:
    """Follow a name through all links on its way.

    Parameters
    ----------
    links : mapping of str to str
        Names of links from the top of the tree, and their targets.
    name : str
        From the top of the tree.

    Returns
    -------
    str or None
        The name without any link in it, whether such a file is there or not; ``None`` if it leads
        out of the tree, and the name itself for links in a circle.
    """
    ahead, behind, followed = name.split("/")[::-1], list[str](), 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not behind:
                return None
            behind.pop()
        elif part not in {"", "."}:
            behind.append(part)
        target = links.get("/".join(behind)) if part != ".." else None
        if target is None:
            continue
        if target.startswith("/"):
            return None
        followed += 1
        if followed > MOST_LINKS:
            return name
        behind.pop()
        ahead += target.split("/")[::-1]
    return "/".join(behind)
