# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Body templates: QWeb's directives over read-only values, for XML and plain text.

A template is checked and compiled once; rendering counts iterations, output and
processor time, so no template stops a lane. The directives do what QWeb's do, with two
differences for data: `false` and 0 are values, which are written, and an attribute is
left out for an empty value only.
"""

import re
from functools import partial

from lxml import etree

from .errors import ConfigurationError, ServiceError, _lt
from .template_expressions import compile_expression, text_of
from .template_filters import filters_with
from .template_rendering import (
    Values,
    attributes_text,
    capture,
    check_attribute,
    check_document,
    choose,
    escape_attribute,
    escape_text,
    loop,
    render_steps,
    set_variable,
    with_references,
    write_attributes,
    write_value,
)

ROOTS = ("record", "company", "delivery", "payload", "context")
SOURCE_MAX = 200_000  # characters of a template
DEPTH_MAX = 50  # elements inside each other
_FIXED = frozenset(
    "t-out t-if t-elif t-else t-foreach t-as t-set t-value t-att".split()
)
_LOOP_NAMES = ("value", "index", "size", "first", "last", "odd", "even", "parity")
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FORMAT = re.compile(r"\{\{(.*?)\}\}|#\{(.*?)\}", re.DOTALL)
_ALONE = re.compile(
    r"""^[ \t]*(</t>|<t(?:\s+[\w.-]+\s*=\s*(?:"[^"\n]*"|'[^'\n]*'))*\s*/?>)[ \t]*$""",
    re.MULTILINE,
)
_MARK = "\uf8fe"  # of private use; removed with the line break that follows
_ROOT = re.compile("<[A-Za-z]")
_MARKED = re.compile(f"{_MARK}\n?")
_XML = "http://www.w3.org/XML/1998/namespace"


class BodyTemplate:
    """A checked template, ready to be rendered.

    names: the names of `ROOTS` that it reads
    """

    def __init__(self, source, *, is_xml, kinds=None, schema=None, plain_text=None):
        """Check and compile a template.

        :param source: its text, XML with the directives of QWeb
        :param is_xml: the body is XML; else plain text
        :param kinds: of `ROOTS`, the model of their records where it is known
        :param schema, plain_text: see `compile_expression`, `filters_with`
        :raise ConfigurationError: names the line
        """
        self.is_xml = is_xml
        compiler = _Compiler(is_xml, kinds or {}, schema, filters_with(plain_text))
        root, self._is_declared = _parse(source, is_xml)
        self._is_whole = is_xml and not _is_t(root) and not _conditional(root)
        try:
            self._steps = compiler.element(root, {}, 0)
        except ServiceError as error:
            raise _at_line(compiler.line, error) from error
        self.names = frozenset(compiler.names)

    def render(self, loaders, charset="utf-8"):
        """The body as text.

        :param loaders: for each name of `ROOTS` a function that returns its value:
            plain JSON, or a `View`
        :param charset: into which the text will be encoded; XML writes a character
            that it lacks as a reference
        :raise ConfigurationError: names the line
        """
        values = Values(loaders)
        try:
            render_steps(self._steps, values)
        except ServiceError as error:
            raise _at_line(values.line, error) from error
        body = "".join(values.pieces)
        if not self.is_xml:
            return body
        body = body.strip()
        if not self._is_whole:
            check_document(body)
        if self._is_declared:
            body = f'<?xml version="1.0" encoding="{charset.upper()}"?>\n{body}'
        return with_references(body, charset)


def _at_line(line, error):
    if isinstance(error, _LineError):
        return error
    return _LineError(_lt("line %(line)s: %(error)s"), line=line, error=error.message)


class _LineError(ConfigurationError):
    """An error with its line."""


# Parse


def _parse(source, is_xml):
    """The root element, and whether the body begins with an XML declaration."""
    if len(source) > SOURCE_MAX:
        raise ConfigurationError(
            _lt("the template has more than %(max)s characters. Write a smaller one."),
            max=SOURCE_MAX,
        )
    if "<!DOCTYPE" in source:
        raise ConfigurationError(
            _lt("a template can't have a DOCTYPE. Remove it, with its entities.")
        )
    found = _DECLARATION.match(source)
    if found:
        source = "\n" * found[0].count("\n") + source[found.end() :]
    source = source if is_xml else _marked(source)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(source.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise _LineError(
            _lt("line %(line)s: the template is not valid XML: %(error)s."),
            line=line,
            error=str(error).partition(", line ")[0],
        ) from None
    return root, bool(found)


def _is_t(element):
    """True for `<t>`, which isn't sent; a default namespace applies to it, too."""
    return element.prefix is None and etree.QName(element).localname == "t"


def _conditional(element):
    return any(name in element.attrib for name in ("t-if", "t-foreach", "t-out"))


def _marked(source):
    """Plain text: marks the lines that hold only a tag which isn't a `t-out`.

    They leave no line in the body. Their line breaks stay, for the lines of errors.
    """

    def mark(match):
        tag = match[1]
        is_value = "t-out" in tag or tag.endswith("/>") and "t-set" not in tag
        return match[0] if is_value else f"{_MARK}{tag}{_MARK}"

    marked = _ALONE.sub(mark, source).rstrip(f"{_MARK} \n")
    root = _ROOT.search(marked)  # no text is allowed in front of it
    if root is None or not marked[: root.start()].endswith(_MARK):
        return marked
    return marked[: root.start() - 1] + marked[root.start() :]


# Compile


class _Compiler:
    """Compiles elements to steps: texts to write, and functions of the values."""

    def __init__(self, is_xml, kinds, schema, filters):
        self.is_xml = is_xml
        self.schema = schema
        self.filters = filters
        self.known = {**dict.fromkeys(ROOTS), **kinds}
        self.names = set()
        self.line = 1

    def element(self, element, declared, depth):
        """Steps of an element, without its tail.

        :param declared: namespaces that the body has declared around it
        """
        self.line = element.sourceline or self.line
        if depth > DEPTH_MAX:
            raise ConfigurationError(
                _lt("elements are nested deeper than %(max)s levels. Nest fewer."),
                max=DEPTH_MAX,
            )
        if element.tag is etree.Comment:
            return []
        if not isinstance(element.tag, str):
            return self.instruction(element)
        self.check_directives(element)
        if "t-elif" in element.attrib or "t-else" in element.attrib:
            raise ConfigurationError(
                _lt(
                    "t-elif and t-else must follow an element with t-if. Move it "
                    "behind that one."
                )
            )
        return self.looped(element, declared, depth)

    def instruction(self, element):
        if element.tag is etree.PI and self.is_xml:
            return [f"<?{element.target} {element.text or ''}?>"]
        raise ConfigurationError(
            _lt("entities and instructions are not allowed here. Remove them.")
        )

    def check_directives(self, element):
        for name in element.attrib:
            if not name.startswith("t-") or name in _FIXED:
                continue
            if name.startswith(("t-att-", "t-attf-")):
                continue
            raise ConfigurationError(
                _lt(
                    "%(name)s is not allowed in a body template. It can have %(names)s."
                ),
                name=name,
                names=", ".join(sorted(_FIXED | {"t-att-name", "t-attf-name"})),
            )
        given = element.attrib
        for name, needed in (
            ("t-as", "t-foreach"),
            ("t-foreach", "t-as"),
            ("t-value", "t-set"),
        ):
            if name in given and needed not in given:
                raise ConfigurationError(
                    _lt("%(name)s needs %(needed)s on the same element. Add it."),
                    name=name,
                    needed=needed,
                )

    def expression(self, source, *, displays=False):
        compiled = compile_expression(
            source, self.known, self.filters, self.schema, displays=displays
        )
        self.names |= compiled.names & set(ROOTS)
        return compiled

    def variable(self, name, kind=None):
        """Make a name known to what follows."""
        if name in ROOTS or not _VARIABLE.fullmatch(name) or "__" in name:
            raise ConfigurationError(
                _lt(
                    '"%(name)s" is not a valid name of a variable. Use letters, digits '
                    "and _, and none of: %(roots)s."
                ),
                name=name,
                roots=", ".join(ROOTS),
            )
        self.known[name] = kind if self.known.get(name, kind) == kind else None

    def looped(self, element, declared, depth):
        if "t-foreach" not in element.attrib:
            return self.conditional(element, declared, depth)
        if "t-if" in element.attrib and _follows(element) is not None:
            raise ConfigurationError(
                _lt(
                    "t-foreach and t-if with t-else need an element each. Put one "
                    "inside the other."
                )
            )
        source, name = element.attrib["t-foreach"], element.attrib["t-as"]
        found = self.expression(source, displays=True)
        self.variable(name, found.kind)
        for each in _LOOP_NAMES:
            kind = found.kind if each == "value" else None
            self.known[f"{name}_{each}"] = kind
        inner = self.conditional(element, declared, depth)
        return [partial(loop, self.line_of(element), found.read, name, inner)]

    def line_of(self, element):
        return element.sourceline or self.line

    def conditional(self, element, declared, depth):
        if "t-if" not in element.attrib:
            return self.content(element, declared, depth)
        branches = [self.branch(element, "t-if", declared, depth)]
        following = _follows(element)
        while following is not None:
            self.line = self.line_of(following)
            self.check_directives(following)
            if "t-else" in following.attrib:
                steps = self.other_branch(following, declared, depth)
                branches.append((self.line, None, steps))
                break
            branches.append(self.branch(following, "t-elif", declared, depth))
            following = _follows(following)
        return [partial(choose, tuple(branches))]

    def branch(self, element, name, declared, depth):
        line = self.line_of(element)
        read = self.expression(element.attrib[name]).read
        if name == "t-if":
            return line, read, self.content(element, declared, depth)
        return line, read, self.other_branch(element, declared, depth)

    def other_branch(self, element, declared, depth):
        """That of a t-elif or t-else, which may have a loop."""
        if "t-if" in element.attrib:
            raise ConfigurationError(
                _lt("t-if and t-else need an element each. Put one inside the other.")
            )
        return self.looped(element, declared, depth)

    def content(self, element, declared, depth):
        if "t-set" in element.attrib:
            return self.assignment(element, depth)
        opening, closing, inside = self.tags(element, declared)
        if "t-out" in element.attrib:
            line = self.line_of(element)
            read = self.expression(element.attrib["t-out"]).read
            default = self.children(element, inside, depth)
            if len(default) == 1 and not str(default[0]).strip():
                default = []
            return [
                partial(write_value, line, read, self.escape, opening, closing, default)
            ]
        children = self.children(element, inside, depth)
        if opening and not children:
            return _joined([*opening[:-1], f"{opening[-1][:-1]}/>"])
        return _joined([*opening, *children, *closing])

    @property
    def escape(self):
        return escape_text if self.is_xml else str

    def assignment(self, element, depth):
        line, name = self.line_of(element), element.attrib["t-set"]
        if not _is_t(element) or "t-out" in element.attrib:
            raise ConfigurationError(
                _lt('t-set needs an element of its own. Write <t t-set="name" .../>.')
            )
        if "t-value" in element.attrib:
            if len(element) or (element.text or "").strip():
                raise ConfigurationError(
                    _lt("t-set has t-value and content. Remove one of them.")
                )
            found = self.expression(element.attrib["t-value"])
            self.variable(name, found.kind)
            return [partial(set_variable, line, name, found.read)]
        # It may be written anywhere, so it declares the namespaces that it uses.
        inner = self.children(element, {}, depth)
        self.variable(name)
        return [partial(capture, line, name, inner)]

    def children(self, element, declared, depth):
        steps = [self.text(element.text)]
        last = None  # of the branches that the t-if before has compiled
        for child in element:
            if last is None:
                steps += self.element(child, declared, depth + 1)
                if isinstance(child.tag, str) and "t-if" in child.attrib:
                    last = _last_branch(child)
            if last is None or child is last:  # no space between branches
                last = None
                steps.append(self.text(child.tail))
        return _joined(steps)

    def text(self, text):
        if not text:
            return ""
        return self.escape(text) if self.is_xml else _MARKED.sub("", text)

    def tags(self, element, declared):
        """Steps of the start tag and of the end tag, and the namespaces inside."""
        if _is_t(element):
            self.refuse_attributes(element)
            return [], [], declared
        if not self.is_xml:
            raise ConfigurationError(
                _lt(
                    "<%(tag)s> is not possible in plain text. Use <t> only, and &lt; "
                    "for a < that is sent."
                ),
                tag=etree.QName(element).localname,
            )
        name = _qualified(element.tag, element.prefix)
        found = {p: uri for p, uri in element.nsmap.items() if declared.get(p) != uri}
        if declared.get(None) and not element.tag.startswith("{"):
            found[None] = ""
        start = f"<{name}"
        for prefix, uri in found.items():
            start += f' xmlns{f":{prefix}" if prefix else ""}="{escape_attribute(uri)}"'
        return (
            _joined([start, *self.attributes(element), ">"]),
            [f"</{name}>"],
            {**declared, **found},
        )

    def refuse_attributes(self, element):
        wrong = [name for name in element.attrib if not name.startswith("t-")]
        wrong += [name for name in element.attrib if name.startswith("t-att")]
        if wrong:
            raise ConfigurationError(
                _lt(
                    "<t> is not sent, so it can't have the attribute %(name)s. Use "
                    "another element, or remove the attribute."
                ),
                name=wrong[0],
            )

    def attributes(self, element):
        static, dynamic = {}, []
        prefixes = {uri: prefix for prefix, uri in element.nsmap.items() if prefix}
        prefixes[_XML] = "xml"
        for name, value in element.attrib.items():
            if not name.startswith("t-"):
                uri = etree.QName(name).namespace
                static[_qualified(name, prefixes.get(uri))] = value
        for name, value in element.attrib.items():
            if name.startswith("t-attf-"):
                read = self.format(value)
            elif name.startswith("t-att"):
                read = self.expression(value, displays=name == "t-att").read
            else:
                continue
            target = name.partition("-")[2].partition("-")[2]
            if target:
                check_attribute(target, prefixes.values())
            dynamic.append((target, read))
        if not dynamic:
            return [attributes_text(static)]
        line, known = self.line_of(element), frozenset(prefixes.values())
        return [partial(write_attributes, line, static, tuple(dynamic), known)]

    def format(self, source):
        """A function of the values for a text with `{{expressions}}` in it."""
        parts, end = [], 0
        for found in _FORMAT.finditer(source):
            parts.append(source[end : found.start()])
            parts.append(self.expression(found[1] or found[2] or "").read)
            end = found.end()
        parts.append(source[end:])

        def read(values):
            return "".join(
                part if isinstance(part, str) else text_of(part(values)) or ""
                for part in parts
            )

        return read


def _follows(element):
    """The t-elif or t-else element after this one."""
    tail, following = element.tail, element.getnext()
    while following is not None and following.tag is etree.Comment:
        tail, following = f"{tail or ''}{following.tail or ''}", following.getnext()
    if following is None or not isinstance(following.tag, str):
        return None
    if "t-elif" not in following.attrib and "t-else" not in following.attrib:
        return None
    if tail and tail.replace(_MARK, "").strip():
        raise ConfigurationError(
            _lt("there is text between t-if and t-else. Move it into one of them.")
        )
    return following


def _last_branch(element):
    """The last t-elif or t-else that belongs to a t-if; None without one."""
    last, following = None, _follows(element)
    while following is not None:
        last = following
        following = None if "t-else" in last.attrib else _follows(last)
    return last


def _qualified(name, prefix):
    local = etree.QName(name).localname
    return f"{prefix}:{local}" if prefix else local


def _joined(steps):
    """Steps with texts beside each other joined, and empty ones left out."""
    result = []
    for step in steps:
        if isinstance(step, str) and result and isinstance(result[-1], str):
            result[-1] += step
        elif step != "":
            result.append(step)
    return result
