"""What a folder of pages links to and asks for: every link and anchor is followed, every address of another machine is noted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes whose address a browser fetches by itself.
_FETCHED = {("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("audio", "src")}
_FETCHED |= {("image", "href"), ("use", "href"), ("image", "xlink:href"), ("use", "xlink:href")}
_FETCHING_LINKS = {"stylesheet", "preload", "icon", "shortcut icon", "prefetch", "modulepreload", "manifest"}
_CSS_URL = re.compile(r"""url\(\s*["']?(?!data:)([^"')]+)["']?\s*\)|@import\s+["']([^"']+)["']""")


@dataclass
class _Page(HTMLParser):
    """Anchors, links and fetched addresses of one page."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    widgets: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names and where it points."""
        values = {key: value or "" for key, value in attrs}
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        self.widgets += "data-widget" in values
        for key, value in values.items():
            if (tag, key) in _FETCHED or (tag == "link" and key == "href" and values.get("rel") in _FETCHING_LINKS):
                self.fetched.append(value)
            elif key == "href" and tag in ("a", "area"):
                self.links.append(value)


@dataclass(frozen=True)
class Found:
    """What was found in a folder.

    Attributes:
        pages: how many pages.
        widgets: how many places of widgets.
        broken: "page: address" of each link, anchor or file that does not exist.
        outside: "page: address" of each address on another machine that a browser would fetch by itself.
    """

    pages: int
    widgets: int
    broken: tuple[str, ...]
    outside: tuple[str, ...]


def follow(folder: Path) -> Found:
    """Read every page of a folder and follow its links inside the folder; links to other machines are not visited."""
    parsed: dict[Path, _Page] = {}
    for path in sorted(folder.rglob("*.html")):
        if "_static" in path.relative_to(folder).parts:
            continue
        parsed[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    broken, outside = [], []
    for path, page in parsed.items():
        name = path.relative_to(folder.resolve()).as_posix()
        for address in [*page.links, *page.fetched]:
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "blob"):
                continue
            if parts.scheme or parts.netloc:
                outside += [f"{name}: {address}"] if address in page.fetched else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            missing = anchor not in ("", "top") and target in parsed and anchor not in parsed[target].anchors
            if missing or not target.is_file():
                broken.append(f"{name}: {address}")
    for path in folder.rglob("*.css"):
        for one in _CSS_URL.findall(path.read_text(encoding="utf-8", errors="replace")):
            address = one[0] or one[1]
            name = path.relative_to(folder).as_posix()
            parts = urlsplit(address)
            if parts.netloc:
                outside.append(f"{name}: {address}")
            elif parts.path and not parts.scheme and not (path.parent / unquote(parts.path)).is_file():
                broken.append(f"{name}: {address}")
    widgets = sum(page.widgets for page in parsed.values())
    return Found(len(parsed), widgets, tuple(dict.fromkeys(broken)), tuple(dict.fromkeys(outside)))
