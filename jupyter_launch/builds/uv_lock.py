"""Reading ``uv.lock``: exact versions and hashes, as lines that any pip can install."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ..errors import SpecError

Package = Mapping[str, Any]
Conditions = set[frozenset[str]]
"""When a package is wanted: if all the markers of one of these hold."""

PYPI = "https://pypi.org/simple"
HINT = "Put a requirements.txt beside the code, or write a Dockerfile (--dockerfile)."


class _Node(NamedTuple):
    """A package of the lock, by its place there, or one of its extras."""

    place: int
    extra: str | None


def requirements(lock: Mapping[str, Any]) -> list[str]:
    """Give everything that the project itself needs, pinned, without its groups and extras.

    The lines are complete: an installer need not look for what they need in turn.

    Raises
    ------
    SpecError
        When the lock is of another version, or names files of the submitter's machine.
    """
    if lock.get("version") != 1:
        raise SpecError(
            f"uv.lock has version {lock.get('version')!r}; known is 1.",
            hint=HINT,
            field="requirements",
        )
    packages: list[Package] = lock.get("package", [])
    wanted = _reached(packages)
    found = [(packages[place], conditions) for place, conditions in sorted(wanted.items())]
    # Where one package has no hash, an installer that sees any hash refuses that one.
    hashed = all(_hashes(package) for package, _ in found)
    lines = [_line(package, conditions, hashed=hashed) for package, conditions in found]
    indexes = {str(package["source"].get("registry", PYPI)) for package, _ in found} - {PYPI}
    return [*(f"--extra-index-url {_index(url)}" for url in sorted(indexes)), *lines]


def _reached(packages: list[Package]) -> dict[int, Conditions]:
    """Walk from the project to all it needs, and gather the conditions on every way there."""
    found: dict[_Node, Conditions] = {}
    todo: list[tuple[Package, frozenset[str]]] = [
        (need, frozenset()) for need in _root(packages).get("dependencies", [])
    ]
    while todo:
        need, under = todo.pop()
        marker = need.get("marker")
        conditions = under | {marker} if marker else under
        place = _place(packages, need)
        for extra in (None, *need.get("extra", ())):
            known = found.setdefault(_Node(place, extra), set())
            if any(one <= conditions for one in known):
                continue
            known.difference_update({one for one in known if conditions < one})
            known.add(conditions)
            todo += [(inner, conditions) for inner in _needs(packages[place], extra)]
    return {node.place: known for node, known in found.items() if node.extra is None}


def _needs(package: Package, extra: str | None) -> list[Package]:
    if extra is None:
        return list(package.get("dependencies", []))
    return list(package.get("optional-dependencies", {}).get(extra, []))


def _root(packages: list[Package]) -> Package:
    for package in packages:
        if "." in (package["source"].get(kind) for kind in ("virtual", "editable", "directory")):
            return package
    raise SpecError("uv.lock does not hold the project itself.", hint=HINT, field="requirements")


def _place(packages: list[Package], need: Package) -> int:
    for place, package in enumerate(packages):
        if all(
            package.get(key) == need[key] for key in ("name", "version", "source") if key in need
        ):
            return place
    raise SpecError(
        f"uv.lock needs {need.get('name')!r} and does not hold it.",
        hint="Make it anew: uv lock",
        field="requirements",
    )


def _hashes(package: Package) -> list[str]:
    if "git" in package["source"]:
        return []
    files = [*filter(None, [package.get("sdist")]), *package.get("wheels", [])]
    return sorted({file["hash"] for file in files if "hash" in file})


def _line(package: Package, conditions: Conditions, *, hashed: bool) -> str:
    parts = [_pin(package)]
    if frozenset() not in conditions:
        ways = sorted(" and ".join(f"({marker})" for marker in sorted(one)) for one in conditions)
        parts.append("; " + " or ".join(f"({way})" for way in ways))
    if hashed:
        parts += [f"--hash={one}" for one in _hashes(package)]
    return " ".join(parts)


def _pin(package: Package) -> str:
    name, source = package["name"], package["source"]
    if "registry" in source:
        return f"{name}=={package['version']}"
    if "git" in source:
        return f"{name} @ git+{''.join(_git(source['git']))}"
    if "url" in source:
        return f"{name} @ {source['url']}"
    raise SpecError(
        f"uv.lock takes {name!r} from a folder of this machine, which a build does not have.",
        hint=HINT,
        field="requirements",
    )


def _git(address: str) -> Iterator[str]:
    """Give ``https://host/repo@commit`` for uv's ``https://host/repo?rev=main#commit``."""
    parts = urlsplit(address)
    yield urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    yield f"@{parts.fragment}"
    if "subdirectory=" in parts.query:
        folder = parts.query.partition("subdirectory=")[2].partition("&")[0]
        yield f"#subdirectory={folder}"


def _index(url: str) -> str:
    if urlsplit(url).scheme in ("http", "https"):
        return url
    raise SpecError(
        f"uv.lock takes packages from {url}, which a build cannot reach.",
        hint=HINT,
        field="requirements",
    )
