"""Mermaid diagrams, which GitHub draws, as pictures that were drawn beforehand."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

_LOG = logging.getLogger(__name__)


class Drawn(SphinxTransform):
    """Puts the picture of a diagram in the place of its source."""

    default_priority = 200

    def apply(self) -> None:
        """Look pictures up by the digest of what they show."""
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language") != "mermaid":
                continue
            digest = sha256(block.astext().strip().encode()).hexdigest()[:16]
            picture = Path(self.app.srcdir) / "_static" / "diagrams" / f"{digest}.svg"
            if not picture.exists():
                _LOG.warning("draw this diagram as %s", picture, location=block)
                continue
            drawn = nodes.raw(
                "", f'<div class="diagram">{picture.read_text("utf-8")}</div>', format="html"
            )
            block.replace_self(drawn)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the step."""
    app.add_transform(Drawn)
    return {"parallel_read_safe": True}
