# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The messages of the addon: listed in the guides, complete, in standard terms."""

import re
from pathlib import Path

import pytest

from tools import messages

DOCS = Path(__file__).parents[2] / "docs"
# Refusals of one sentence, which is what to do or after which nothing is to do.
ONE_SENTENCE = {
    "Keep the old secret for 0 to 8760 hours.",
    "Preview the request first, then send it.",
    "its record was deleted, so it can't be opened.",
}
# Words that readers of other products don't know, see the terms of the guides.
UNUSUAL = re.compile(
    r"\b(anew|mend\w*|given up|goes? out|stands? in|stands? there|leftovers?|"
    r"resting|is no [A-Z]\w+|keeper|verdict|reply|patience|in words)\b"
)


@pytest.mark.parametrize("name", messages.PAGES)
def test_lists_are_current(name):
    """A changed message is changed in the guides too: `make readme` writes them."""
    listed = (DOCS / name).read_text()

    assert messages.pages()[name] == listed, "run make readme"
    assert len(listed.splitlines()) <= 400


def test_every_group_is_on_one_page():
    """No message is lost because its heading is on no page."""
    shown = [group for _intro, *groups in messages.PAGES.values() for group in groups]

    assert sorted((*messages.GROUPS, messages.FORMS)) == sorted(shown)


def test_common_problems_are_messages():
    """A problem is found by its text: headings and samples are what is shown."""
    shown = {each.shown for each in messages.texts()}
    patterns = [re.sub(r"<[^>]*>", ".+", re.escape(each)) for each in shown]
    sections = re.findall(
        r"^### (.*)\n+(?:```text\n(.*)\n```)?",
        messages.PROBLEMS.read_text(),
        re.MULTILINE,
    )

    assert len(sections) > 25
    for heading, sample in sections:
        assert any(messages.fits(heading, each) for each in shown), heading
        if sample:
            assert any(re.fullmatch(each, sample) for each in patterns), sample


def test_refusals_say_what_to_do():
    """An error names what is wrong and, in a second sentence, what to do about it.

    One that only says what is wrong leaves its reader to search.
    """
    refusals = [each.shown for each in messages.texts() if each.is_refusal]

    assert len(refusals) > 150
    for shown in refusals:
        if shown.endswith((".", "?")) and shown not in ONE_SENTENCE:
            assert re.search(r"[.:?)\"] [A-Z{]|must be .*{", shown), shown


def test_messages_have_standard_terms():
    """Messages have the terms of the guides and of other products."""
    for each in messages.texts():
        assert not UNUSUAL.search(each.text), each.text


def test_a_reason_and_a_label():
    """Reasons inside other messages are listed, labels and titles are not."""
    shown = {each.shown: each.is_message for each in messages.texts()}

    assert shown["it must begin with https:// or http://"]
    assert shown["path token {<token>} has no value. Give it as a context line."]
    assert not shown["Signing Secret"]
