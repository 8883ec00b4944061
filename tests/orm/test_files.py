# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of a delivery arrive with the bytes, types and order they were given with."""

import hashlib
import io
import re
import zipfile

from PIL import Image

from odoo.modules.module import load_script
from odoo.tests import tagged
from odoo.tests.common import new_test_user
from odoo.tools.misc import file_path

from odoo.addons.bwt_webhooks_outbound.tests.constants import OPERATOR
from odoo.addons.bwt_webhooks_outbound.tests.orm.common import DELIVERY, OutboundCase

MIGRATION = "bwt_webhooks_outbound/migrations/19.0.1.3.0/post-files-to-send.py"

PART = re.compile(rb"(?s)(.*?)\r\n\r\n(.*)")


def picture(kind, width, height):
    """An image of noise, so that any recompression shows."""
    noise = Image.effect_noise((width // 10, height // 10), 90).resize((width, height))
    stream = io.BytesIO()
    noise.convert("RGB").save(stream, kind)
    return stream.getvalue()


def digests(found):
    """Parts with size and digest as content: a diff of megabytes takes minutes."""
    return [
        (head, len(content), hashlib.sha256(content).hexdigest())
        for head, content in found
    ]


def archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a.txt", "three apples")
    return stream.getvalue()


def parts(request):
    """(head, content) of the parts of a multipart request, in their order."""
    boundary = request.header("Content-Type").partition("boundary=")[2].encode()
    pieces = request.body.split(b"--" + boundary)[1:-1]
    found = [PART.fullmatch(piece[2:-2]) for piece in pieces]
    return [(match[1].decode(), match[2]) for match in found]


@tagged("post_install", "-at_install", "any_database")
class TestFiles(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint.request_body_mode = "multipart"
        cls.user = new_test_user(cls.env, "files_plain", groups="base.group_user")

    def test_a_delivery_lists_its_files(self):
        """Name, content type as sent, size and link of what is sent, and nothing else.

        Otherwise a queued delivery hides what it will send until an attempt names it.
        """
        operator = new_test_user(self.env, "files_operator", groups=OPERATOR)
        given = {
            "order": {"filename": "order.xml", "content": b"<a/>"},
            "note": {"filename": "note.txt", "content": b"four"},
        }
        delivery = self.endpoint.queue_delivery({}, files=given).sudo()
        other = self.endpoint.queue_delivery({}).sudo()
        delivery.message_post(attachments=[("chat.txt", b"hello")])

        files = delivery.with_user(operator).file_ids
        shown = [
            (each.description, each.name, each.bwt_webhook_content_type, each.file_size)
            for each in files
        ]

        expected = [
            ("order", "order.xml", "application/xml", 4),
            ("note", "note.txt", "text/plain", 4),
        ]
        self.assertEqual(expected, shown)
        self.assertEqual(
            f"/web/content/{files[0].id}?download=true", files[0].bwt_webhook_link
        )
        self.assertFalse(other.with_user(operator).file_ids)

    def arrived(self, delivery):
        """Send it; returns the parts that the receiver got."""
        delivery.process_delivery()
        return parts(self.receiver.wait_for_requests(1)[-1])

    def test_every_kind_of_file_arrives_unchanged(self):
        """Same bytes, type and order, for every user who queues.

        Large images were shrunk and recompressed; XML, SVG and HTML of an ordinary user
        became text/plain; types were lower-cased.
        """
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>'
        given = {
            "png": ("wide.png", picture("PNG", 2500, 1000), "image/png"),
            "jpeg": ("large.jpg", picture("JPEG", 3000, 2000), "image/jpeg"),
            "svg": ("a.svg", svg, "image/svg+xml"),
            "xml": (
                "a.xml",
                b"<?xml version='1.0'?><a>\xc3\xa4</a>",
                "application/xml",
            ),
            "html": ("a.html", b"<script>1</script>", "text/html; charset=UTF-8"),
            "pdf": ("a.pdf", b"%PDF-1.7\n\x00\xff", "application/PDF"),
            "zip": ("a.zip", archive(), "application/octet-stream"),
            "empty": ("empty.bin", b"", "application/x-Empty"),
        }
        expected = [
            (
                f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
                f"\r\nContent-Type: {content_type}",
                content,
            )
            for field, (name, content, content_type) in given.items()
        ]

        for user in (self.user, self.env.user):
            self.receiver.clear()
            delivery = self.endpoint.with_user(user).queue_delivery({}, files=given)
            found = self.arrived(delivery.sudo())
            self.assertEqual(digests(expected), digests(found), user.login)

    def test_a_replay_sends_the_same_parts(self):
        """Order, types, part headers and what has no file name are those of the first.

        The order was reversed, and the copy of an image shrunk once more.
        """
        given = {
            "z": ("z.png", picture("PNG", 2500, 1000), "image/PNG"),
            "a": ("a.xml", b"<a/>", "application/xml", {"X-Part": "1", "B": "2"}),
            "note": (None, "über", "text/plain; charset=utf-8"),
            "bare": (None, "text"),
            "m": {"content": b"m", "headers": {"Content-Type": "text/X-m"}},
        }
        delivery = self.endpoint.with_user(self.user).queue_delivery({}, files=given)
        first = self.arrived(delivery.sudo())
        self.receiver.clear()

        action = delivery.sudo().action_create_replay_delivery()
        replay = self.env[DELIVERY].browse(action["res_id"])
        replay.action_queue_delivery()
        again = self.arrived(replay)

        heads = [
            'form-data; name="z"; filename="z.png"\r\nContent-Type: image/PNG',
            'form-data; name="a"; filename="a.xml"\r\nContent-Type: application/xml'
            "\r\nX-Part: 1\r\nB: 2",
            'form-data; name="note"\r\nContent-Type: text/plain; charset=utf-8',
            'form-data; name="bare"',
            'form-data; name="m"; filename="m"\r\nContent-Type: text/X-m',
        ]
        contents = [given["z"][1], b"<a/>", "über".encode(), b"text", b"m"]
        expected = [
            (f"Content-Disposition: {head}", content)
            for head, content in zip(heads, contents, strict=True)
        ]
        self.assertEqual(digests(expected), digests(first))
        self.assertEqual(digests(first), digests(again))

    def test_a_type_that_was_not_given_does_not_depend_on_who_queues(self):
        """It is guessed from the name, then the content, the same for everybody."""
        given = {
            "svg": {"filename": "a.svg", "content": b"<svg/>"},
            "none": {"filename": "a", "content": b"%PDF-1.7\n"},
        }
        found = []

        for user in (self.user, self.env.user):
            self.receiver.clear()
            delivery = self.endpoint.with_user(user).queue_delivery({}, files=given)
            found.append([head for head, _content in self.arrived(delivery.sudo())])

        self.assertIn("image/svg+xml", found[0][0])
        self.assertIn("application/pdf", found[0][1])
        self.assertEqual(found[0], found[1])

    def test_html_of_an_ordinary_user_is_served_as_plain_text(self):
        """What is sent keeps its type; an operator's browser doesn't run it."""
        given = {"a": ("a.html", b"<script>1</script>", "text/html")}

        delivery = self.endpoint.with_user(self.user).queue_delivery({}, files=given)

        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)]
        )
        self.assertEqual("text/plain", attachment.mimetype)

    def test_what_cannot_be_kept_is_refused_before_anything_is_written(self):
        """NUL, half characters and the like are refused with a message when queueing.

        They failed after the insert, and the delivery was sent without its file.
        """
        cases = {
            "control character": [
                {"a\x00b": {"content": b"x"}},
                {"a": {"content": b"x", "filename": "a\x00.txt"}},
                {"a": ("a\nb.txt", b"x")},
            ],
            "half a character": [
                {"a\ud800": {"content": b"x"}},
                {"a": {"content": b"x", "filename": "a\ud800.txt"}},
                {"a": {"content": "x\ud800"}},
                {"a": (None, "\udfff")},
            ],
            "Content-Type": [
                {"a": ("a", b"x", "text/plain\r\nX: 1")},
                {"a": ("a", b"x", 7)},
            ],
            "empty form field": [{"": {"content": b"x"}}],
            "the same as text": [{1: ("a", b"x"), "1": ("b", b"x")}],
            "name of file": [{"a": (7, b"x")}],
            "must be a mapping": [{"a": ("a", b"x", None, ["X"])}],
            "can't be sent": [
                {"a": ("a", b"x", None, {"Content-Disposition": "x"})},
                {"a": ("a", b"x", None, {"X-A": ""})},
                {"a": ("a", b"x", None, {"X-A": "1\r\nB: 2"})},
            ],
        }
        before = self.env[DELIVERY].search_count([])

        for text, given in cases.items():
            for files in given:
                with self.subTest(files=ascii(files)), self.refused(text):
                    self.queue({}, files=files)
                with self.refused(text):
                    self.endpoint.queue_deliveries([{"payload": 1}, {"files": files}])
        self.assertEqual(before, self.env[DELIVERY].search_count([]))

    def test_nul_in_content_is_content(self):
        """Bytes are bytes: a file of NULs arrives."""
        delivery = self.queue({}, files={"a": ("a", b"\x00" * 9), "b": (None, "\x00")})

        found = [content for _head, content in self.arrived(delivery)]

        self.assertEqual([b"\x00" * 9, b"\x00"], found)

    def test_a_file_lost_from_the_store_is_not_sent_empty(self):
        """A delivery whose content is gone stops with a message; a replay is refused.

        Odoo reads a missing file as an empty one.
        """
        delivery = self.queue({}, files={"a": ("a.txt", b"three apples")})
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)]
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE ir_attachment SET store_fname = 'no/such', db_datas = NULL "
            "WHERE id = %s",
            [attachment.id],
        )
        self.env.invalidate_all()

        delivery.process_delivery()

        with self.refused("missing or damaged"):
            delivery.action_create_replay_delivery()
        self.assertEqual("error", delivery.state)
        self.assertIn('file "a.txt" is missing', delivery.processing_error)
        self.assertEqual(0, self.receiver.total)

    def test_files_of_messages_are_not_sent(self):
        """Nor are they deleted with what a later save of the record replaces.

        Odoo gives them a description, by which files to send were known: a note of the
        company went to the receiver.
        """
        given = {"doc": ("a.txt", b"a", "text/plain")}
        delivery = self.endpoint.queue_delivery({}, files=given).sudo()
        delivery.message_post(attachments=[("chat.txt", b"hello")])

        arrived = self.arrived(delivery)
        replay = delivery.action_create_replay_delivery()
        self.env["ir.attachment"]._bwt_webhook_remove(delivery.ids)

        self.assertEqual([b"a"], [content for _head, content in arrived])
        left = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)]
        )
        self.assertEqual(["chat.txt"], left.mapped("name"))
        self.assertTrue(replay)

    def test_the_update_marks_what_is_sent(self):
        """Files that earlier versions stored keep name and Odoo's type."""
        delivery = self.queue({})
        delivery.message_post(attachments=[("chat.txt", b"hello")])
        self.env["ir.attachment"].create(
            {
                "name": "a.csv",
                "description": "doc",
                "raw": b"a;b",
                "mimetype": "text/csv",
                "res_model": DELIVERY,
                "res_id": delivery.id,
            }
        )
        self.env.flush_all()

        script = load_script(file_path(MIGRATION), "post_files_to_send")
        script.migrate(self.env.cr, "19.0.1.2.0")
        self.env.invalidate_all()
        [(head, content)] = self.arrived(delivery)

        self.assertEqual(
            'Content-Disposition: form-data; name="doc"; filename="a.csv"'
            "\r\nContent-Type: text/csv",
            head,
        )
        self.assertEqual(b"a;b", content)


@tagged("post_install", "-at_install")
class TestTexts(OutboundCase):
    def test_texts_that_no_column_takes(self):
        """A NUL or half a character in a payload or a value arrives as it is.

        As a key, or as the text of a group, it is refused; it was replaced silently.
        """
        odd = "a\x00b\ud800c"

        delivery = self.queue({odd: odd}, {"k": odd})
        delivery.process_delivery()

        [request] = self.receiver.wait_for_requests(1)
        self.assertEqual({odd: odd}, request.json())
        self.assertEqual({"k": odd}, delivery._get_context_values())
        for lines in (
            [{"key_name": "k", "literal_value": odd}],
            [{"key_name": "k\x00", "literal_value": "1"}],
            {odd: "1"},
        ):
            with self.refused("can't be stored"):
                self.queue({}, lines)

    def test_header_values_are_checked_when_queueing(self):
        """What HTTP can't carry is refused at once, not when it is sent."""
        for value in ("a\x00", "a\nb", "\ud800", "\u20ac"):
            with self.refused('the value of header "X-A" can\'t be sent'):
                self.queue({}, headers={"X-A": value})
