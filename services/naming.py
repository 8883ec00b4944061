"""Technical names."""

import re


def slugify_identifier(value):
    """Lower case, runs of anything but a-z and 0-9 as `-`, none at the ends.

    None and False give empty text.
    """
    if value is None or value is False:
        return ""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")
