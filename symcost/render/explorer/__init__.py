"""One page of HTML to play with: costs of any workload, live, from exported JavaScript."""

from symcost.render.explorer.page import explorer_page

__all__ = ["explorer_page"]
