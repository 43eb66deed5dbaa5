"""Lay the documentation out as a site's pages, and build the site from them.

The pages in ``docs/`` are written to be read on a forge: they link to files beside them, and hold hidden
blocks for the tests. Here they are copied to ``build/docs`` without those blocks, the changelog and
CONTRIBUTING.md among them, with links out of the pages turned into addresses of the repository; the page of
docstrings is written; and what the pages need from elsewhere is put beside them, so that a reader's browser
fetches nothing from anywhere else. ``mkdocs.yml`` says the rest.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

__all__ = ["ROOT", "SITE", "build", "lay_out"]

ROOT = Path(__file__).resolve().parent.parent
DOCS, PAGES, SITE = ROOT / "docs", ROOT / "build" / "docs", ROOT / "build" / "site"
ASSETS = ROOT / "tools" / "website_assets"
# Pages that stand outside of docs/, and what they are called in the site.
OUTSIDE = {ROOT / "CHANGELOG.md": "changelog.md", ROOT / "CONTRIBUTING.md": "contributing.md"}
MERMAID = "mermaid@11.6.0"
SECONDS = 300.0

HIDDEN = re.compile(r"^<!-- python\n.*?^-->\n", re.DOTALL | re.MULTILINE)
# A fence is taken whole, so that nothing in it is taken for a link.
LINK = re.compile(r"^```.*?^```$|(?P<text>\]\()(?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE)

# The page of docstrings: each part with what it shows, in the order of the reference.
PACKAGE = "mysql_redis_cache"
PARTS = {
    "Names of the package": [f"{PACKAGE}"],
    "Following the binary log": [f"{PACKAGE}.follow"],
    "Events and figures": [f"{PACKAGE}.observe"],
    "Frameworks": [
        f"{PACKAGE}.contrib.{name}"
        for name in ("flask", "django", "starlette", "fastapi", "sqlalchemy", "celery")
    ],
    "Exporters": [f"{PACKAGE}.contrib.{name}" for name in ("prometheus", "opentelemetry", "sentry")],
    "Tests": [f"{PACKAGE}.testing", f"{PACKAGE}.testing.plugin"],
}


def main() -> int:
    """Lay out and build; the status of the builder."""
    lay_out()
    return build()


def build() -> int:
    """Build ``build/site`` from what was laid out; a link that leads nowhere is an error."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=ROOT, timeout=SECONDS, check=False).returncode


def lay_out() -> None:
    """Write ``build/docs`` anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    shutil.copytree(ASSETS, PAGES, dirs_exist_ok=True)
    for page in [*DOCS.rglob("*.md"), *OUTSIDE]:
        place_of(page).write_text(site_page(page), encoding="utf-8")
    (PAGES / "docstrings.md").write_text(docstrings(), encoding="utf-8")
    (PAGES / "mermaid.js").write_bytes(mermaid())


def place_of(file: Path) -> Path:
    """Where a file of the documentation stands in the site's pages."""
    return PAGES / (OUTSIDE.get(file) or file.relative_to(DOCS))


def site_page(page: Path) -> str:
    """The text of a page as the site has it."""
    shown = HIDDEN.sub("", page.read_text(encoding="utf-8"))
    text = LINK.sub(lambda found: found[0] if found["text"] is None else link(page, found), shown)
    if "```mermaid" not in text:
        return text
    script = os.path.relpath(PAGES / "mermaid.js", place_of(page).with_suffix(""))
    return f'{text}\n<script src="{script}"></script>\n'


def link(page: Path, found: re.Match[str]) -> str:
    """A link of a page, leading to the place of its target in the site or else to the repository."""
    place, mark, anchor = found["target"].partition("#")
    if not place or "://" in place:
        return found[0]
    target = (page.parent / place).resolve()
    if target in OUTSIDE or target.is_relative_to(DOCS):
        address = os.path.relpath(place_of(target), place_of(page).parent)
    else:
        address = f"{repository()}/{target.relative_to(ROOT)}"
    return f"{found['text']}{address}{mark}{anchor})"


def repository() -> str:
    """Where this version's files are seen."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['urls']['Homepage']}/blob/v{project['version']}"


def docstrings() -> str:
    """The page of docstrings: the public names of each module."""
    lines = [
        "# Docstrings",
        "",
        "What the code says of its public names. The [reference](reference.md) has more.",
    ]
    for part, modules in PARTS.items():
        lines += ["", f"## {part}"]
        for module in modules:
            lines += [f"\n::: {module}.{name}" for name in public_names(module)]
    return "\n".join([*lines, ""])


def public_names(module: str) -> list[str]:
    """What a module's ``__all__`` lists, read and not run: its framework need not be there."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{source} has no __all__")


def mermaid() -> bytes:
    """The script that draws diagrams, from the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", MERMAID, "--json", "--loglevel=error", "--pack-destination", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True)
        packed = Path(folder, json.loads(done.stdout)[0]["filename"]).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        script = package.extractfile("package/dist/mermaid.min.js")
        if script is None:
            raise FileNotFoundError(f"{MERMAID} has no dist/mermaid.min.js")
        return script.read()


if __name__ == "__main__":
    sys.exit(main())
