# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The steps that a body template is compiled to, and the texts that they write.

A step is a text, or a function of the `Values` of one rendering, which counts what the
template takes.
"""

import re
import time
from itertools import count

from lxml import etree

from .errors import ConfigurationError, _lt
from .template_expressions import Rendered, View, items_of, text_of

ITERATIONS_MAX = 100_000  # of all loops together
OUTPUT_MAX = 32 << 20  # characters
CPU_SECONDS = 10
_CHECK_EVERY = 32
_SHOWN = 60
_NAME = re.compile(r"([^\W\d][\w.-]*)(?::([^\W\d][\w.-]*))?")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NEED_ESCAPE = re.compile("[&<>\"'\r]")
_TAG = re.compile(r"(<[^>]*>)")
_QUOTED = re.compile(r'"[^"]*"')


class Values(dict):
    """The variables of one rendering; `record` and the like are read when needed.

    loaders: name -> function that returns its value
    """

    def __init__(self, loaders, clock=time.thread_time):
        super().__init__()
        self.loaders = loaders
        self.clock = clock  # of this thread: waiting for the database doesn't count
        self.deadline = clock() + CPU_SECONDS
        self.iterations = 0
        self.steps = 0
        self.line = 0
        self.size = 0
        self.pieces = []
        self.lengths = {}  # of the texts in variables, by name
        self.stored = 0  # their sum

    def __missing__(self, name):
        loader = self.loaders.get(name)
        value = loader() if loader else None  # set in a branch that didn't run
        self[name] = value
        return value

    def check(self):
        """Raise if rendering has taken too long."""
        if self.clock() > self.deadline:
            raise ConfigurationError(
                _lt(
                    "rendering took more than %(seconds)s seconds. Write a smaller "
                    "template, or send fewer records."
                ),
                seconds=CPU_SECONDS,
            )

    def at(self, line):
        """A step of the template begins."""
        self.line = line
        self.steps += 1
        if not self.steps % _CHECK_EVERY:
            self.check()

    def count_iteration(self):
        """An iteration of a loop begins."""
        self.iterations += 1
        if self.iterations > ITERATIONS_MAX:
            raise ConfigurationError(
                _lt("the loops have more than %(max)s iterations. Send fewer records."),
                max=ITERATIONS_MAX,
            )
        if not self.iterations % _CHECK_EVERY:
            self.check()

    def store(self, name, value):
        """Set a variable; raises if the texts of all are too long together."""
        # Not the length of what the name has now: a loop may have set it meanwhile.
        length = len(value) if isinstance(value, str) else 0
        self.stored += length - self.lengths.get(name, 0)
        self.lengths[name] = length
        if self.stored > OUTPUT_MAX:
            raise ConfigurationError(
                _lt(
                    "the texts of t-set have more than %(max)s characters. Write them "
                    "where they are needed."
                ),
                max=OUTPUT_MAX,
            )
        self[name] = value

    def append(self, text):
        """Append to the body."""
        self.size += len(text)
        if self.size > OUTPUT_MAX:
            raise ConfigurationError(
                _lt("the body has more than %(max)s characters. Send fewer records."),
                max=OUTPUT_MAX,
            )
        self.pieces.append(text)


def render_steps(steps, values):
    for step in steps:
        if step.__class__ is str:
            values.append(step)
        else:
            step(values)


def loop(line, read, name, inner, values):
    values.at(line)
    found = read(values)
    items = items_of(found)
    has_values = hasattr(found, "items") and not isinstance(found, View)
    size = len(items)
    values[f"{name}_size"] = size
    for index, item in zip(count(), items):
        values.count_iteration()
        key, value = item if has_values else (item, item)
        values[name], values[f"{name}_value"] = key, value
        values[f"{name}_index"] = index
        values[f"{name}_first"] = index == 0
        values[f"{name}_last"] = index + 1 == size
        values[f"{name}_odd"] = index % 2
        values[f"{name}_even"] = not index % 2
        values[f"{name}_parity"] = "odd" if index % 2 else "even"
        render_steps(inner, values)


def choose(branches, values):
    for line, read, steps in branches:
        if read is not None:
            values.at(line)
        if read is None or read(values):
            render_steps(steps, values)
            return


def write_value(line, read, escape, opening, closing, default, values):
    values.at(line)
    value = read(values)
    text = value if isinstance(value, Rendered) else text_of(value)
    if text is None:
        if default:  # else nothing is written, not even the element
            render_steps((*opening, *default, *closing), values)
        return
    render_steps(opening, values)
    values.line = line
    values.append(str(text) if isinstance(value, Rendered) else escape(text))
    render_steps(closing, values)


def set_variable(line, name, read, values):
    values.at(line)
    values.store(name, read(values))


def capture(line, name, steps, values):
    values.at(line)
    outer, values.pieces = values.pieces, []
    try:
        render_steps(steps, values)
        values.store(name, Rendered("".join(values.pieces)))
    finally:
        values.pieces = outer


def write_attributes(line, static, dynamic, prefixes, values):
    values.at(line)
    found = dict(static)
    for target, read in dynamic:
        value = read(values)
        if target:
            found[target] = text_of(value)
            continue
        for name, each in _pairs(value):
            check_attribute(name, prefixes)
            found[name] = text_of(each)
    values.append(attributes_text(found))


def _pairs(value):
    """The attributes of a `t-att`: a mapping, or a pair of name and value."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list) and len(value) == 2:
        return (value,)
    raise ConfigurationError(
        _lt(
            "t-att needs an object, or a pair of name and value. Write it as in "
            "['id', 7]."
        )
    )


def attributes_text(attributes):
    return "".join(
        f' {name}="{escape_attribute(value)}"'
        for name, value in attributes.items()
        if value is not None
    )


def check_attribute(name, prefixes):
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    prefix = found and found[2] and found[1]
    is_reserved = found and "xmlns" in (found[1], found[2])
    if not found or is_reserved or prefix and prefix not in prefixes:
        raise ConfigurationError(
            _lt(
                "%(name)s is not a valid name of an attribute here. Use letters, "
                "digits, - and _, and a prefix that the template declares."
            ),
            name=ascii(name)[:_SHOWN],
        )


# Text


_ESCAPES = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&#34;",
    ord("'"): "&#39;",
    ord("\r"): "&#13;",
}
_ATTRIBUTE_ESCAPES = {**_ESCAPES, ord("\n"): "&#10;", ord("\t"): "&#9;"}


def escape_text(text):
    """A text inside an XML element. Raises for what XML can't contain."""
    _check_characters(text)
    return text.translate(_ESCAPES) if _NEED_ESCAPE.search(text) else text


def escape_attribute(text):
    """A text inside the quotes of an XML attribute, with its line breaks."""
    _check_characters(text)
    return text.translate(_ATTRIBUTE_ESCAPES)


def _check_characters(text):
    found = _NOT_XML.search(text)
    if found:
        raise ConfigurationError(
            _lt(
                "a value contains a control character, which XML doesn't allow: "
                "%(value)s. Correct the value."
            ),
            value=ascii(text[max(0, found.start() - 20) :][:_SHOWN]),
        )


def check_document(body):
    """Refuse what isn't one XML element: the template decides how many there are."""
    try:
        etree.fromstring(
            body.encode(), etree.XMLParser(resolve_entities=False, huge_tree=True)
        )
    except etree.XMLSyntaxError as error:
        raise ConfigurationError(
            _lt(
                "the body is not one XML element: %(error)s. Correct the condition or "
                "the loop around its root."
            ),
            error=str(error).partition(", line ")[0],
        ) from None


def with_references(body, charset):
    """The body with references for characters that the charset lacks.

    Not in names, where XML has none: the encoder refuses these.
    """
    try:
        body.encode(charset)
        return body
    except LookupError:  # refused when it is encoded
        return body
    except UnicodeEncodeError:
        return _referenced_parts(body, charset)


def _referenced_parts(body, charset):
    parts = _TAG.split(body)
    for place, part in enumerate(parts):
        if place % 2 == 0:
            parts[place] = _referenced(part, charset)
        elif not part.startswith("<?"):
            parts[place] = _QUOTED.sub(
                lambda match: _referenced(match[0], charset), part
            )
    return "".join(parts)


def _referenced(text, charset):
    return text.encode(charset, "xmlcharrefreplace").decode(charset)
