"""How Sphinx builds the site: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from symcost import __version__

project = "symcost"
author = "the authors of symcost"
copyright = "the authors of symcost, Apache-2.0"  # noqa: A001
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "diagrams",
    "from_code",
    "mathml",
    "signatures",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!symcost\b).*"),  # what other packages define has its documentation elsewhere
    ("py:class", r"symcost\.numeric\.(evaluation|forms)\..*"),  # inside of what compiles
    ("py:class", r"symcost\.sweeps\.(block|plan)\..*"),  # inside of a sweep
    ("py:class", r"symcost\.stages\.CostT"),  # a type variable
]
suppress_warnings = ["ref.python"]  # a word of a docstring that is the name of two classes

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # docs/example.ipynb is stored as it ran, and a test runs it

default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autosummary_generate = False
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"symcost {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
