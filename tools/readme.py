# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""README.rst and Odoo's Apps page from readme/; lists of messages from the code.

Titles and order of the sections are those of OCA's oca-gen-addon-readme, which isn't
on PyPI. Run by `make readme` with the Python that has Odoo's dependencies (docutils).
"""

import ast
import hashlib
import re
from pathlib import Path

from tools import messages

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.rst"
PAGE = ROOT / "static" / "description" / "index.html"
# Name of a fragment, and the title of its section.
SECTIONS = (
    ("CONTEXT", "Use Cases / Context"),
    ("INSTALL", "Installation"),
    ("CONFIGURE", "Configuration"),
    ("USAGE", "Usage"),
    ("DEVELOP", "Development"),
    ("ROADMAP", "Known issues / Roadmap"),
    ("HISTORY", "Changelog"),
)
LICENCES = {"LGPL-3": "LGPL-3.0 or later."}
NOTICE = "Generated from readme/ by `make readme`: change the fragments."


def fragment(name) -> str:
    """Text of a fragment."""
    return (ROOT / "readme" / f"{name}.rst").read_text().strip("\n")


def titled(title, text, line="=") -> str:
    """A section."""
    return f"{title}\n{line * len(title)}\n\n{text}"


def readme() -> str:
    """Text of README.rst."""
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    name = manifest["name"]
    credits = (
        titled("Authors", f"* {manifest['author']}", "~"),
        titled("Contributors", fragment("CONTRIBUTORS"), "~"),
    )
    blocks = (
        f"{'=' * len(name)}\n{name}\n{'=' * len(name)}",
        f"..\n   {NOTICE}",
        fragment("DESCRIPTION"),
        "**Table of contents**",
        ".. contents::\n   :local:",
        *(titled(title, fragment(name)) for name, title in SECTIONS),
        titled("Credits", "\n\n".join(credits)),
        titled("License", LICENCES[manifest["license"]]),
    )
    return "\n\n".join(blocks) + "\n"


def digest(text) -> str:
    """A line that shows from which text the page was made."""
    return f"source digest: sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def page(text) -> str:
    """Odoo's Apps page for the text of README.rst.

    Pictures lie beside the page. The guides are not served by Odoo: of a link to one,
    only the text remains.
    """
    from docutils.core import publish_parts  # Odoo's Python has it, the others don't

    settings = {
        "syntax_highlight": "none",
        "toc_backlinks": False,
        "embed_stylesheet": False,
    }
    parts = publish_parts(text, writer_name="html5", settings_overrides=settings)
    html = re.sub(r'<span class="pre">(.*?)</span>', r"\1", parts["html_body"])
    html = re.sub(
        r'<span class="docutils literal">(.*?)</span>',
        r"<code>\1</code>",
        html,
        flags=re.DOTALL,
    )
    html = html.replace('src="static/description/', 'class="img-fluid border" src="')
    html = re.sub(
        r'<a class="reference external" href="(?![a-z]+:)[^"]*">(.*?)</a>',
        r"<em>\1</em>",
        html,
        flags=re.DOTALL,
    )
    html = html.replace("<table>", '<table class="table table-sm">')
    head = f"<!-- {NOTICE}\n     {digest(text)} -->"
    return f'{head}\n<section class="container py-4">\n{html}</section>\n'


def write():
    """Write all of them."""
    text = readme()
    README.write_text(text)
    PAGE.write_text(page(text))
    messages.write()


if __name__ == "__main__":
    write()
