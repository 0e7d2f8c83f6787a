"""What Sphinx is told. Nothing here names another machine: what a page needs is copied from installed packages."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from autograder.paths import ROOT

ASSETS = ROOT / "assets" / "site"
TITLE = "From the perceptron to the Transformer"
_MATHJAX = ("sphinx-mathjax-offline", "tex-svg-full.js")


class PackageMissing(Exception):
    """A package of the extra ``site`` is not installed; the message says how to get it."""


def mathjax() -> Path:
    """MathJax with all its extensions and glyphs in one file, so that it loads nothing later.

    Raises:
        PackageMissing: its package is not installed.
    """
    name, wanted = _MATHJAX
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == wanted:
            return Path(str(file.locate()))
    raise PackageMissing(f"{name} is not installed; run `python3 start.py site`, it installs what the site needs.")


def settings(static: Path) -> dict[str, Any]:
    """Sphinx's configuration.

    Args:
        static: the folder whose files go to ``_static``.
    """
    return {
        "project": TITLE,
        "author": "The nnlm-course authors",
        "copyright": "2026 The nnlm-course authors, text CC BY 4.0, code MIT",
        "language": "en",
        "extensions": [
            "myst_nb",
            "sphinx.ext.mathjax",
            "sphinx.ext.autodoc",
            "autograder.site.directive",
        ],
        "myst_enable_extensions": ["dollarmath", "amsmath", "colon_fence", "attrs_inline"],
        "myst_heading_anchors": 4,
        # Chapters come with their outputs; see running.py.
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "suppress_warnings": ["misc.highlighting_failure"],  # panels' text is no traceback
        "nb_ipywidgets_js": {},
        "mathjax_path": "mathjax.js",
        "mathjax3_config": {
            "svg": {"fontCache": "local"},
            "options": {"enableMenu": False},
            "tex": {"inlineMath": [["\\(", "\\)"]]},
        },
        "autodoc_typehints": "signature",
        "autodoc_preserve_defaults": True,
        "add_module_names": False,
        "templates_path": [str(ASSETS / "templates")],
        "html_theme": "sphinx_book_theme",
        "html_title": TITLE,
        "html_static_path": [str(static)],
        "html_sidebars": {"**": ["site-logo.html", "search-button-field.html", "sbt-sidebar-nav.html"]},
        "html_context": {"default_mode": "auto"},
        "html_css_files": ["course.css"],
        "html_js_files": [("widgets/host.js", {"defer": "defer"}), ("page.js", {"defer": "defer"})],
        "html_favicon": str(static / "favicon.svg"),
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_sphinx": False,
        "html_theme_options": {
            "use_download_button": False,
            "use_fullscreen_button": False,
            # No bar at the top: the search stands in the sidebar.
            "navbar_start": [],
            "navbar_center": [],
            "navbar_end": [],
            "navbar_persistent": [],
            "show_toc_level": 2,
            "show_navbar_depth": 1,
            "home_page_in_toc": True,
            "navigation_with_keys": False,
            "pygments_light_style": "a11y-high-contrast-light",
            "pygments_dark_style": "a11y-high-contrast-dark",
        },
        "pygments_style": "a11y-high-contrast-light",
    }
