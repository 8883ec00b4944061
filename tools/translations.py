# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What `make pot` does after Odoo's export: the texts of tests go, languages follow.

Run by the Python of Odoo, which has polib: `python -m tools.translations`.
"""

import re
import sys

from .workspace import ADDON, REPOSITORY

FOLDER = REPOSITORY / "i18n"
TEMPLATE = FOLDER / f"{ADDON}.pot"
_TESTS = f"addons/{ADDON}/tests/"
_DATES = re.compile(r'^"(POT-Creation|PO-Revision)-Date: .*\n', re.MULTILINE)


def only_dates_differ(before, after) -> bool:
    """Whether two exports have the same texts: nothing has to be committed then."""
    return _DATES.sub("", before) == _DATES.sub("", after)


def write_template(pot):
    """Leave out what only tests say; nobody reads it in another language."""
    for entry in list(pot):
        entry.occurrences = [
            each for each in entry.occurrences if _TESTS not in each[0]
        ]
        if not entry.occurrences:
            pot.remove(entry)
    pot.save()


def follow(po, pot) -> int:
    """Give a language the texts of the template; returns how many it lacks.

    Texts that are unknown are added empty, those that are gone are removed.
    """
    po.merge(pot)
    for entry in po.obsolete_entries():
        po.remove(entry)
    places = {each.msgid: place for place, each in enumerate(pot)}
    po.sort(key=lambda each: places[each.msgid])
    return len(po.untranslated_entries())


def main():
    import polib

    pot = polib.pofile(str(TEMPLATE))
    write_template(pot)
    for path in sorted(FOLDER.glob("*.po")):
        before = path.read_text()
        po = polib.pofile(before)
        missing = follow(po, pot)
        po.save(str(path))
        if only_dates_differ(before, path.read_text()):
            path.write_text(before)
        print(f"{path.name}: {missing} texts to translate" if missing else path.name)


if __name__ == "__main__":
    sys.exit(main())
