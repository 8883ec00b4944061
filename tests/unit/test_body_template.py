# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Body templates: what they make, what they refuse, and that none is endless."""

from datetime import date, datetime

import pytest
from lxml import etree
from template_attacks import AT_RUN_TIME, ENDLESS, EXPRESSIONS, TEMPLATES, VALUES

from services.body_template import BodyTemplate
from services.errors import ConfigurationError
from services.template_rendering import CPU_SECONDS, Values

ORDER = {
    "number": "S00001",
    "customer": "Müster & Söhne <GmbH>",
    "vat": None,
    "paid": False,
    "discount": 0,
    "note": "a\nb\t",
    "lines": [
        {"sku": "A-1", "qty": 2.0, "price": 10.5},
        {"sku": "B-2", "qty": 1.0, "price": 0.1},
    ],
}


def rendered(source, payload=ORDER, *, is_xml=True, charset="utf-8", **roots):
    template = BodyTemplate(source, is_xml=is_xml, plain_text=str)
    roots["payload"] = payload
    loaders = {name: lambda value=value: value for name, value in roots.items()}
    return template.render(loaders, charset)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a t-out="payload.customer"/>', "<a>Müster &amp; Söhne &lt;GmbH&gt;</a>"),
        ("<a t-out=\"'&quot; \\' &amp;'\"/>", "<a>&#34; &#39; &amp;</a>"),
        ('<a x="\'">&lt;&#13;</a>', '<a x="&#39;">&lt;&#13;</a>'),
        ('<a><b t-out="payload.vat"/></a>', "<a></a>"),
        ('<a><b t-out="payload.vat">none</b></a>', "<a><b>none</b></a>"),
        ('<a t-out="payload.paid"/>', "<a>false</a>"),
        ('<a t-out="payload.discount"/>', "<a>0</a>"),
        ('<a><b t-out="payload.missing.name"/></a>', "<a></a>"),
        ("<a><!-- note -->x</a>", "<a>x</a>"),
        ("<a><?sort up?></a>", "<a><?sort up?></a>"),
        ("<a><![CDATA[<b>]]></a>", "<a>&lt;b&gt;</a>"),
        ('<a t-att-x="payload.vat" t-att-y="payload.discount"/>', '<a y="0"/>'),
        ('<a x="1" t-att-x="payload.number"/>', '<a x="S00001"/>'),
        ('<a t-attf-x="{{payload.number}}-#{payload.vat}!"/>', '<a x="S00001-!"/>'),
        ("<a t-att=\"['x', payload.note]\"/>", '<a x="a&#10;b&#9;"/>'),
        ("<a t-att=\"{'x': 1, 'y': payload.vat}\"/>", '<a x="1"/>'),
        (
            '<a><b t-foreach="payload.lines" t-as="l" t-if="l.qty > 1"'
            ' t-out="l.sku"/></a>',
            "<a><b>A-1</b></a>",
        ),
        (
            '<a><t t-foreach="payload.lines[0]" t-as="k"><t t-out="k"/>='
            '<t t-out="k_value"/>;</t></a>',
            "<a>sku=A-1;qty=2.0;price=10.5;</a>",
        ),
        (
            "<a><t t-foreach=\"['x', 'y', 'z']\" t-as=\"i\"><t t-out=\"i_index\"/>"
            '<t t-out="i_parity"/><t t-if="not i_last">,</t></t>'
            '<t t-out="i_size"/></a>',
            "<a>0even,1odd,2even3</a>",
        ),
        (
            '<a><t t-if="payload.vat">1</t><t t-elif="payload.number in (1, \'S\')">2'
            '</t> <!-- c --> <t t-else="">3</t></a>',
            "<a>3</a>",
        ),
        (
            '<a><t t-set="x"><b t-out="payload.number"/></t><t t-out="x"/>'
            '<t t-out="x"/></a>',
            "<a><b>S00001</b><b>S00001</b></a>",
        ),
        (
            '<a><t t-set="n" t-value="0"/><t t-foreach="payload.lines" t-as="l">'
            '<t t-set="n" t-value="n + l.qty * l.price"/></t>'
            '<t t-out="decimal(n)"/></a>',
            "<a>21.10</a>",
        ),
        (
            "<a t-out=\"total(payload.lines, 'qty') - 1 / 2 + -1\"/>",
            "<a>1.5</a>",
        ),
        ('<a t-out="payload.vat or payload.number"/>', "<a>S00001</a>"),
        (
            "<a t-out=\"payload.lines[-1].sku + payload['number']\"/>",
            "<a>B-2S00001</a>",
        ),
        ('<a t-out="1 &lt; payload.lines[0].qty == 2 and True"/>', "<a>true</a>"),
        ('<a t-out="payload.vat is None"/>', "<a>true</a>"),
        ('<a t-out="count(payload.lines)"/>', "<a>2</a>"),
        ('<a t-out="upper(truncate(payload.number, 3))"/>', "<a>S00</a>"),
        ('<a t-out="1e30"/>', "<a>1" + "0" * 30 + "</a>"),
    ],
)
def test_directives_and_values(source, expected):
    """They do what QWeb's do; `false` and 0 are values, as in JSON."""
    assert rendered(source) == expected


def test_dates_are_iso_8601_unless_formatted():
    """A receiver of XML gets the dates that one of JSON gets."""
    moment = {"day": date(2026, 11, 24), "time": datetime(2026, 11, 24, 10)}

    assert "<a>2026-11-24</a>" == rendered('<a t-out="payload.day"/>', moment)
    assert "<a>2026-11-24T10:00:00Z</a>" == rendered(
        '<a t-out="payload.time"/>', moment
    )
    assert "<a>24.11. 11:00</a>" == rendered(
        "<a t-out=\"datetime(payload.time, 'dd.MM. HH:mm', 'Europe/Berlin')\"/>", moment
    )


def test_namespaces_are_declared_where_they_are_used():
    """By the element that has them, below `<t>`, and in content that t-set stored."""
    source = """<?xml version="1.0"?>
        <t xmlns="urn:a" xmlns:b="urn:b">
          <t t-set="part"><b:c b:d="1"><e xmlns=""/></b:c></t>
          <a xml:lang="de" t-att="{'b:x': 1}"><t t-out="part"/><b:f/></a>
        </t>"""

    body = rendered(source)

    assert body.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<a ')
    root = etree.fromstring(body.encode())
    assert [each.tag for each in root.iter()] == [
        "{urn:a}a",
        "{urn:b}c",
        "e",
        "{urn:b}f",
    ]
    assert root.get("{urn:b}x") == root[0].get("{urn:b}d") == "1"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


def test_a_character_that_the_charset_lacks_is_a_reference():
    """In texts and attributes; a name can't have one, which the encoder refuses."""
    source = '<?xml version="1.0"?><a x="€ü" t-out="payload.x"/>'

    body = rendered(source, {"x": "ü > €"}, charset="iso-8859-1")

    assert body.endswith('<a x="&#8364;ü">ü &gt; &#8364;</a>')
    root = etree.fromstring(body.encode("iso-8859-1"))
    assert (root.text, root.get("x")) == ("ü > €", "€ü")
    assert rendered("<a€/>".replace("€", "Ω"), charset="iso-8859-1") == "<aΩ/>"


def test_plain_text_is_written_as_it_is():
    """Nothing is escaped, and a tag alone on its line leaves no empty line."""
    source = """<t>
Order <t t-out="payload.number"/> for <t t-out="payload.customer"/>
<t t-set="n" t-value="count(payload.lines)"/>
<t t-foreach="payload.lines" t-as="line">
  <t t-if="line.qty &gt; 1">
- <t t-out="line.sku"/>: <t t-out="line.qty"/>
  </t>
  <t t-else="">
- one <t t-out="line.sku"/>
  </t>
</t>
<t t-out="n"/>
</t>"""

    body = rendered(source, is_xml=False)

    assert body == (
        "Order S00001 for Müster & Söhne <GmbH>\n- A-1: 2.0\n- one B-2\n2\n"
    )
    with pytest.raises(ConfigurationError, match="<b> is not possible in plain text"):
        rendered("<t><b/></t>", is_xml=False)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_reads_fields_and_nothing_else(expression):
    """No method, no private name, no syntax but ours: refused when it is saved.

    Whatever Python would evaluate here, it would do as superuser in a lane.
    """
    element = etree.Element("a")
    try:
        element.set("t-out", expression)
    except ValueError:  # XML has no such character
        return

    with pytest.raises(ConfigurationError, match="^line 1: "):
        BodyTemplate(etree.tostring(element, encoding="unicode"), is_xml=True)


@pytest.mark.parametrize("expression", AT_RUN_TIME)
def test_a_value_that_does_not_fit_is_an_error_of_its_line(expression):
    """Huge numbers and texts, and operations that fail, end in a message."""
    element = etree.Element("a")
    element.set("t-out", expression)
    source = f"<t>\n\n{etree.tostring(element, encoding='unicode')}</t>"

    with pytest.raises(ConfigurationError, match="^line 3: "):
        rendered(source, VALUES)


@pytest.mark.parametrize("source", TEMPLATES)
def test_a_template_has_our_directives_only(source):
    """No t-call, no t-raw, no entity; broken XML and wrong places are named."""
    with pytest.raises(ConfigurationError):
        BodyTemplate(source, is_xml=True)


@pytest.mark.parametrize("source", ENDLESS)
def test_no_template_is_endless(source):
    """Iterations, output, numbers and texts are limited, so a lane comes to its end."""
    with pytest.raises(ConfigurationError, match="too large|more than"):
        rendered(source, VALUES)


def test_processor_time_is_limited():
    """What no counter foresees ends after some seconds of this thread."""
    seconds = iter((0, 1, CPU_SECONDS + 1))
    values = Values({}, clock=lambda: next(seconds))

    values.check()
    with pytest.raises(ConfigurationError, match="took more than"):
        values.check()


def test_there_are_more_than_sixty_attacks():
    """The list is what the promise depends on."""
    assert len({*EXPRESSIONS, *AT_RUN_TIME, *TEMPLATES, *ENDLESS}) >= 60


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("<a>\n<b t-out='nmae'/></a>", 'line 2: "nmae" is not known here'),
        ("<a>\n\n<b></a>", "line 3: the template is not valid XML"),
        ("<a>\n<b t-call='x'/></a>", "line 2: t-call is not allowed"),
        ("<a t-out='record.unlink()'/>", "calls no methods"),
        ("<a t-out='upper(1, 2)'/>", r"upper\(value\)"),
    ],
)
def test_a_refusal_names_line_and_remedy(source, complaint):
    """An editor of fifty lines needs to know which one."""
    with pytest.raises(ConfigurationError, match=complaint):
        BodyTemplate(source, is_xml=True)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('<a t-out="payload.vat"/>', "not one XML element"),
        ('<t t-foreach="payload.lines" t-as="l"><a/></t>', "not one XML element"),
        ('<a><b\nt-out="payload.bad"/></a>', "line 2: a value contains a control"),
        ("<a t-att=\"{'x y': 1}\"/>", "not a valid name"),
        ("<a t-att=\"{'p:x': 1}\"/>", "not a valid name"),
        ("<a t-att=\"['xmlns', 'urn:x']\"/>", "not a valid name"),
    ],
)
def test_the_body_is_always_well_formed(source, complaint):
    """Whatever the values are: else the receiver would refuse it, or misread it."""
    with pytest.raises(ConfigurationError, match=complaint):
        rendered(source, {**ORDER, "bad": "a\x07b"})
