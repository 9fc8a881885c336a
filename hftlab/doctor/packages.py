"""Checks of what is installed: versions against pyproject.toml, and the files that a browser loads."""

import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from hftlab.doctor.finding import OK, WARN, Finding, judged
from hftlab.doctor.world import World

_INSTALL = "run `make environment` in the project's folder, or `pip install -e .`"
# What JupyterLab and Voila load of a package, under share/jupyter/labextensions.
ASSETS = {"anywidget": "anywidget", "bqplot": "bqplot", "jupyterlab_widgets": "@jupyter-widgets/jupyterlab-manager"}
_WIDGETS = Path(__file__).resolve().parents[1] / "widgets"


def asked(world: World) -> list[str]:
    """Return what the project asks for: by its pyproject.toml, or as an installed package by its metadata."""
    file = world.project / "pyproject.toml"
    if file.is_file():
        return list(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"])
    return [text for text in metadata.requires("hftlab") or [] if "extra ==" not in text]


def versions(world: World) -> Iterator[Finding]:
    """Every package that the project asks for."""
    for text in asked(world):
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        found = world.version(requirement.name)
        fine = found is not None and requirement.specifier.contains(found, prereleases=True)
        yield judged(requirement.name, found or "not installed", fine=fine, wanted=str(requirement.specifier) or "any", todo=_INSTALL)


def extras(world: World) -> Iterator[Finding]:
    """What is not needed by everyone."""
    chromium, playwright = world.which("chromium"), world.version("playwright")
    found = f"chromium {chromium or 'not found'}, playwright {playwright or 'not installed'}"
    yield Finding("chromium", OK, found + ("" if chromium and playwright else ": the browser tests will be skipped"))
    apprise = world.version("apprise")
    wants = bool(world.environ.get("HFTLAB_ALERT_URLS"))
    yield judged(
        "apprise",
        apprise or "not installed",
        fine=apprise is not None or not wants,
        wanted="apprise, which sends to the channels of HFTLAB_ALERT_URLS",
        todo="`pip install apprise`",
    )


def assets(world: World) -> Iterator[Finding]:
    """The widgets' browser halves: there, unchanged since the package was installed, and not hidden by another copy."""
    for package, name in ASSETS.items():
        yield _asset(world, package, name)
    # Every file that a widget names, so that this list cannot fall behind.
    named = {one for path in _WIDGETS.glob("*.py") for one in re.findall(r'"(\w+\.(?:js|css))"', path.read_text(encoding="utf-8"))}
    missing = sorted(one for one in named if not (_WIDGETS / "static" / one).is_file())
    yield judged(
        "hftlab assets",
        f"{len(named) - len(missing)} files",
        fine=bool(named) and not missing,
        wanted=f"also {', '.join(missing)}",
        todo=_INSTALL,
    )


def _asset(world: World, package: str, name: str) -> Finding:
    title = f"{package} assets"
    places = [path / name / "package.json" for path in world.asset_dirs() if (path / name / "package.json").is_file()]
    todo = f"`pip install --force-reinstall {package}`, then reload the page"
    if not places:
        return Finding(title, "fail", "not found", f"share/jupyter/labextensions/{name}", todo)
    version = json.loads(places[0].read_text(encoding="utf-8")).get("version", "of no version")
    wanted = _recorded(package, name)
    if wanted is None:
        return Finding(title, WARN, f"{version} in {places[0].parent}", f"files that the package {package} has brought", todo)
    same = base64.urlsafe_b64encode(hashlib.sha256(places[0].read_bytes()).digest()).rstrip(b"=").decode() == wanted
    return judged(
        title,
        f"{version} in {places[0].parent}",
        fine=same,
        wanted=f"the files of {package} {world.version(package)}; a browser half of another version draws nothing",
        todo=f"remove that folder, {todo}",
    )


def _recorded(package: str, name: str) -> str | None:
    """Return the hash under which a package was installed with its extension, None where there is no record of it."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(f"labextensions/{name}/package.json") and file.hash is not None:
            return file.hash.value
    return None
