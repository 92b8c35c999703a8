"""How an image is made before a program starts: the plain value that builders take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """An image to be built: for what a program needs to be installed, or by its own Dockerfile.

    Parameters
    ----------
    base : str
        The image to build on; the first of them that a Dockerfile of the user's names.
    dockerfile : str
        The whole text of the Dockerfile.
    context : bytes, optional
        A tar archive of the files that the Dockerfile may copy; ``None`` if it copies none.
    repository : str, optional
        Where to push the image, such as ``localhost:5000/team/project``: then the run uses it by
        its digest there.
    inherit_pip_config : bool
        Whether the installer sees the submitter's pip settings, certificates and index
        credentials, as build secrets that leave no trace in the image.
    platform : str, optional
        Such as ``linux/amd64``; default: the engine's own.
    """

    base: str
    dockerfile: str
    context: bytes | None = None
    repository: str | None = None
    inherit_pip_config: bool = False
    platform: str | None = None
