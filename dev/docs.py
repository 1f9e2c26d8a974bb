"""`make docs`: the documentation as pages that open without a server, and a check of every link between them.

MkDocs itself checks the links of the Markdown files. This also checks the links that the theme and the API reference
add, and that a page loads nothing from another host.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dev.stack import PROJECT
from sei_provider.plural import plural

SITE = PROJECT / "site"
BY_SERVERS_ONLY = "404.html"
"""A server shows it at any address, so its links begin at the host."""


def main() -> int:
    """Build the pages, check their links, and print where they are; return the exit status."""
    if status := build(PROJECT / "mkdocs.yml", SITE):
        return status
    broken = list(broken_links(SITE))
    for line in broken:
        print(line, file=sys.stderr)
    if broken:
        print(f"{plural(len(broken), 'broken link')} in the documentation", file=sys.stderr)
        return 1
    pages = len(list(SITE.rglob("*.html"))) - 1
    start = (SITE / "index.html").as_uri()
    print(f"{plural(pages, 'page')}, every link checked. Open {start} in a browser; it needs no server.")
    return 0


def build(config: Path, site: Path) -> int:
    """Build the pages of one configuration; return MkDocs' exit status, which is not 0 if there was a warning."""
    # The variable silences an advertisement for the theme's successor, which is no warning about these pages.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    # Not with --quiet, under which --strict passes over every warning.
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(site),
    ]
    return subprocess.run(command, env=environment, check=False).returncode


def broken_links(site: Path) -> Iterator[str]:
    """Return a line for each link or asset that would not open if a browser read the pages from disk."""
    pages = {file.resolve(): read_page(file) for file in site.rglob("*.html") if file.name != BY_SERVERS_ONLY}
    for file, page in pages.items():
        for address in page.assets:
            if urlsplit(address).netloc:
                yield f"{file.relative_to(site.resolve())}: loads {address} from another host"
        for address in {**dict.fromkeys(page.links), **dict.fromkeys(page.assets)}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file():
                yield f"{file.relative_to(site.resolve())}: {address} leads to no file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                yield f"{file.relative_to(site.resolve())}: {address} leads to no heading or name of that page"


class Page(HTMLParser):
    """The addresses and the ids of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is called and where it leads."""
        values = dict(attrs)
        if identity := values.get("id"):
            self.ids.add(identity)
        if address := values.get("src"):
            self.assets.append(address)
        if address := values.get("href"):
            (self.assets if tag == "link" else self.links).append(address)


def read_page(file: Path) -> Page:
    """Read one HTML file."""
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


if __name__ == "__main__":
    sys.exit(main())
