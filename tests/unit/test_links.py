# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Links and anchors of README and guides have a target, and the picture matches."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted(
    path
    for path in (*ROOT.glob("*.rst"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if path.is_file()
)
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
RST_LINK = re.compile(
    r"`[^`]*?<([^>`]+)>`__?|^\.\. (?:image|figure):: (\S+)", re.MULTILINE
)


def without_blocks(text):
    """Markdown without fenced blocks, whose text is neither a link nor a heading."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def links_of(path):
    """Link targets of a guide, as written."""
    text = path.read_text()
    if path.suffix == ".rst":
        return [first or second for first, second in RST_LINK.findall(text)]
    return MARKDOWN_LINK.findall(without_blocks(text))


def anchors_of(path):
    """The anchors that GitHub makes of a guide's headings."""
    text = path.read_text()
    if path.suffix == ".rst":
        titles = re.findall(r"^(\S.*)\n(?:=|-|~){3,}$", text, flags=re.MULTILINE)
    else:
        titles = re.findall(r"^#+ +(.+)$", without_blocks(text), flags=re.MULTILINE)
    return {anchor(title) for title in titles}


def anchor(title):
    """A heading as GitHub's anchor: lower case, dashes for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def broken(path):
    """Links of a guide without a target; links to web sites are not checked."""
    found = []
    for link in links_of(path):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        place, _, wanted = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (wanted and wanted not in anchors_of(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_a_target(path):
    """Every relative link has its file, and every anchor its heading."""
    assert [] == broken(path)


def test_links_are_found():
    """The patterns find links in both markups."""
    assert len(links_of(ROOT / "README.rst")) >= 5
    assert len(links_of(ROOT / "docs" / "developer.md")) >= 15


def test_broken_links_are_found(tmp_path, monkeypatch):
    """A missing file and a missing heading are reported; links in code are ignored."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    guide = tmp_path / "guide.md"
    guide.write_text(
        "# One thing\n[a](#one-thing) [b](#two) [c](gone.md) [d](https://x.example)\n"
        "```\n[e](code.md)\n```\n"
    )

    assert ["#two", "gone.md"] == broken(guide)


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(path):
    """A file of the repository that a guide names is there, under this name."""
    folders = "models|lane|services|views|wizards|tests|tools|benchmarks|docs|readme"
    named = re.findall(rf"`((?:{folders})/[\w/.-]*)`", path.read_text())

    assert [] == [name for name in named if not (ROOT / name).exists()]


def test_named_functions_exist():
    """A function, constant or test that the explanation names in a file is in it."""
    text = (ROOT / "docs" / "developer" / "explanation.md").read_text()
    named = re.findall(r"`(\w+)` in `([\w/]+\.py)`", text)
    for paths, names in re.findall(r"^\d\. (`\w[^:\n]*\.py`).*?: (.*)$", text, re.M):
        for path in re.findall(r"`([\w/]+\.py)`", paths):
            named += [(name, path) for name in re.findall(r"`(\w+)`(?! in )", names)]
    missing = [
        (name, path)
        for name, path in named
        if not re.search(rf"\b{name}\b", (ROOT / path).read_text())
    ]

    assert len(named) >= 25
    assert [] == missing


def linked_from(path):
    """The files that a guide links to."""
    links = (link.partition("#")[0] for link in links_of(path))
    return {(path.parent / link).resolve() for link in links if link}


def test_every_guide_is_linked_from_the_readme():
    """A reader finds every guide from the README, and every page from its guide."""
    readme = linked_from(ROOT / "README.rst")
    developer = linked_from(ROOT / "docs" / "developer.md")

    assert set(ROOT.glob("docs/*.md")) <= readme
    assert set(ROOT.glob("docs/developer/*.md")) <= developer


def test_a_page_is_short():
    """A page has one purpose: what has grown past 400 lines serves several."""
    for path in ROOT.glob("docs/**/*.md"):
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_the_picture_was_drawn_from_its_source():
    """pipeline.svg has the labels of pipeline.dot and no others."""
    source = re.sub(r"//.*", "", (ROOT / "docs" / "pipeline.dot").read_text())
    labels = {
        line
        for label in re.findall(r'label = "([^"]*)"', source)
        for line in label.split("\\n")
    }
    drawn = ElementTree.parse(ROOT / "docs" / "pipeline.svg").iter(
        "{http://www.w3.org/2000/svg}text"
    )

    assert labels == {"".join(each.itertext()) for each in drawn}
