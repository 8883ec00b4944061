# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files in a payload: where they are written, and how an attempt shows them."""

from .errors import ConfigurationError, _lt
from .paths import write_path

STAR = "*"
SHORT = 256  # characters of a base64 text that an attempt stores
# Its number keeps files of the same size apart: a retry puts them back.
_SHOWN = "[file %s: base64 of %s bytes]"


def check_file_paths(content, *others):
    """Refuse paths that can't hold a file and what is known of it.

    :param content: path of the base64 text; may contain one `*`, for several files
    :param others: paths of file name and content type, empty if they aren't written
    :raise ConfigurationError:
    """
    if not content:
        raise ConfigurationError(
            _lt("the payload path is empty. Enter one, such as document.content.")
        )
    prefix = list_path(content)
    for path in filter(None, (content, *others)):
        parts = path.split(".")
        write_path({}, ".".join("0" if part == STAR else part for part in parts), 0)
        if parts[0] == STAR or parts.count(STAR) > 1:
            raise ConfigurationError(
                _lt(
                    'payload path "%(path)s" can have one *, behind a name. Write it '
                    "as in documents.*.content."
                ),
                path=path,
            )
        if list_path(path) != prefix:
            raise ConfigurationError(
                _lt(
                    'payload paths "%(path)s" and "%(other)s" are not in the same '
                    "list. Start both with the same names and *."
                ),
                path=content,
                other=path,
            )
    known = []
    for path in filter(None, (content, *others)):
        for other in known:
            if overlap(path, other):
                raise _collision(path, other)
        known.append(path)


def list_path(path):
    """The path of the list that has an item per file; None if there is one file."""
    parts = path.split(".")
    return ".".join(parts[: parts.index(STAR)]) if STAR in parts else None


def overlap(path, other):
    """True if both paths can't be written, since one contains the other."""
    pairs = zip(path.split("."), other.split("."), strict=False)
    return all(one == two or STAR in (one, two) for one, two in pairs)


def check_collisions(files, values):
    """Refuse files that would overwrite another value of the payload.

    Lines that add to the same list of files don't: the second continues the list.
    :param files: a tuple of paths for each line of files
    :param values: paths that other lines write
    :raise ConfigurationError: names both paths
    """
    known = []
    for paths in files:
        targets = {list_path(path) or path for path in filter(None, paths)}
        prefix = list_path(paths[0])
        for target in sorted(targets):
            for other in filter(None, values):
                if overlap(target, other):
                    raise _collision(paths[0], other)
            for other, other_prefix in known:
                is_same_list = prefix is not None and prefix == other_prefix
                if not is_same_list and overlap(target, other):
                    raise _collision(paths[0], other)
        known += [(target, prefix) for target in targets]


def _collision(path, other):
    return ConfigurationError(
        _lt(
            'payload paths "%(path)s" and "%(other)s" write to the same place. Choose '
            "another path for one of them."
        ),
        path=path,
        other=other,
    )


def reserve_places(payload, paths, files, empty):
    """Write name and type of files into a payload, and a place for each content.

    :param payload: written in place
    :param paths: of content, file name and content type
    :param files: pairs (file name, content type)
    :param empty: value of the places
    :return: the payload, and the path of each content
    """
    prefix, places = list_path(paths[0]), []
    start = 0
    if prefix is not None:
        found = _list_at(payload, prefix)
        if found is None:
            payload = write_path(payload, prefix, [])
        start = len(found or ())
    elif not files:
        for path in filter(None, paths):
            payload = write_path(payload, path, empty)
    for number, values in enumerate(files, start):
        exact = [path and path.replace(STAR, str(number), 1) for path in paths]
        for path, value in zip(exact, (empty, *values), strict=True):
            if path:
                payload = write_path(payload, path, value)
        places.append(exact[0])
    return payload, places


def _list_at(payload, path):
    value = payload
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else None


def without_contents(text, contents):
    """A payload as an attempt stores it: long files are shown by their size.

    :param contents: base64 texts of the files, in the order of the request
    """
    for content, shown in _shown(contents):
        text = text.replace(content, shown)
    return text


def with_contents(text, contents):
    """The payload of `without_contents` with these files in their places again."""
    for content, shown in _shown(contents):
        text = text.replace(shown, content)
    return text


def _shown(contents):
    """Pairs of a long base64 text and what an attempt shows instead of it."""
    for number, text in enumerate(contents, 1):
        if len(text) > SHORT:
            size = len(text) // 4 * 3 - text[-2:].count("=")
            yield text, _SHOWN % (number, size)
