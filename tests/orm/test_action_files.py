# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files that a server action sends with its payload."""

import base64
import json
import uuid
from pathlib import Path

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged
from odoo.tests.common import new_test_user
from odoo.tools import file_path, mute_logger
from odoo.tools.convert import convert_file

from ..constants import ACTION_FILE, ATTEMPT, ENDPOINT, HANDLER, PAYLOAD_RULE
from ..receiver import status
from .action_case import ServerActionCase
from .test_files import archive, digests, parts, picture

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>'
XML = b"<?xml version='1.0'?><a>\xc3\xa4</a>"
PDF = b"%PDF-1.7\n\x00\xff"


@tagged("post_install", "-at_install")
class ActionFilesCase(ServerActionCase):
    """Actions on contacts with attachments; the endpoint sends multipart."""

    body_mode = "multipart"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint.request_body_mode = cls.body_mode
        cls.plain = new_test_user(
            cls.env,
            "files_of_records",
            groups="base.group_user,base.group_partner_manager",
        )
        cls.record = cls.env["res.partner"].create({"name": "Ada/Byron"})

    def attach(self, name, content, record=None, user=None, **values):
        """An attachment of a contact, stored as it is."""
        attachments = self.env["ir.attachment"].with_user(user or self.env.user)
        record = self.record if record is None else record
        return attachments.with_context(image_no_postprocess=True).create(
            {"name": name, "raw": content, "res_model": record._name}
            | {"res_id": record.id}
            | values
        )

    def file(self, **values):
        """Values of an action with these files: all attachments as `document`."""
        line = {"send_as": "multipart", "part_name": "document"} | values
        return {"bwt_webhook_file_ids": [Command.create(line)]}

    def base64(self, path="documents.*.content", **values):
        return self.file(send_as="base64", payload_path=path, **values)

    def sent(self, *lines, record=None, **values):
        """The request that the receiver got for the record of an action with files."""
        commands = [each["bwt_webhook_file_ids"][0] for each in lines]
        action = self.action(bwt_webhook_file_ids=commands, **values)
        return self.request_of(self.run_on(action, record or self.record))

    def request_of(self, delivery):
        self.receiver.clear()
        self.assertEqual(False, delivery.processing_error)
        delivery.process_delivery()
        self.assertEqual("done", delivery.state, delivery.processing_error)
        return self.receiver.wait_for_requests(1)[-1]

    def files_in(self, request):
        """(form field, file name, type, content) of the parts that are files."""
        found = []
        for head, content in parts(request):
            if "filename=" in head:
                disposition, _break, kind = head.partition("\r\nContent-Type: ")
                _form, field, name = disposition.split("; ")
                names = [each.partition('"')[2].rstrip('"') for each in (field, name)]
                found.append((*names, kind, content))
        return found


class TestAttachments(ActionFilesCase):
    """Attachments of a record as parts."""

    def test_every_kind_of_file_keeps_its_bytes_and_type(self):
        """Also if an ordinary user uploaded it, and one triggers the action.

        Odoo stores SVG and XML of ordinary users as text/plain.
        """
        given = [
            ("wide.png", "image/png", picture("PNG", 2500, 1000)),
            ("a.svg", "image/svg+xml", SVG),
            ("a.xml", None, XML),
            ("a.pdf", "application/pdf", PDF),
            ("a.zip", "application/zip", archive()),
            ("empty.bin", "application/octet-stream", b""),
            ("notes.txt", "text/plain", b"<3"),
            ("README", "text/plain", b"<3"),
            ("plan", "image/svg+xml", SVG),
        ]
        [action] = self.rule(self.action(**self.file()))
        for name, _kind, content in given:
            self.attach(name, content, user=self.plain)
        xml = {"application/xml", "text/xml"}  # as the system's table of types says

        self.record.with_user(self.plain).write({"name": "Ada"})
        delivery = self.queued(self.record)
        self.assertEqual(action, delivery.server_action_id)
        found = self.files_in(self.request_of(delivery))

        expected = [
            (f"document {name} {kind or found[2][2]}", content)
            for name, kind, content in given
        ]
        heads = [(" ".join(each[:3]), each[3]) for each in found]
        self.assertEqual(digests(expected), digests(heads))
        self.assertIn(found[2][2], xml)

    def test_no_attachment_one_and_several(self):
        """In the order in which they were added; other records' files aren't sent."""
        self.attach("other.txt", b"0", record=self.company)
        self.assertEqual([], self.files_in(self.sent(self.file())))

        self.attach("b.txt", b"1")
        self.attach("a.txt", b"2")
        found = self.files_in(self.sent(self.file()))
        self.assertEqual(["b.txt", "a.txt"], [each[1] for each in found])

    def test_filter_order_and_limit(self):
        """As in lists of payload rules."""
        for name in ("b.pdf", "c.pdf", "a.pdf", "a.txt"):
            self.attach(name, PDF)

        found = self.files_in(
            self.sent(
                self.file(
                    list_domain='[("mimetype", "=", "application/pdf")]',
                    list_order="name desc",
                    list_limit=2,
                )
            )
        )

        self.assertEqual(["c.pdf", "b.pdf"], [each[1] for each in found])

    def test_lines_are_sent_in_their_order(self):
        """Each under its name; names are texts with tokens, without slashes."""
        self.attach("a.pdf", PDF)
        self.attach("b.pdf", b"%PDF-2")

        found = self.files_in(
            self.sent(
                self.file(
                    part_name="z",
                    file_name="{record.name} {number} of {file_name}",
                    content_type="application/PDF",
                    sequence=1,
                ),
                self.file(part_name="a", list_limit=1, sequence=2),
            )
        )

        expected = [
            ("z", "Ada_Byron 1 of a.pdf", "application/PDF", PDF),
            ("z", "Ada_Byron 2 of b.pdf", "application/PDF", b"%PDF-2"),
            ("a", "a.pdf", "application/pdf", PDF),
        ]
        self.assertEqual(expected, found)

    def test_files_of_related_records(self):
        """A path leads to other records, or to attachments."""
        child = self.company.child_ids[:1]
        self.attach("child.txt", b"1", record=child)
        self.attach("own.txt", b"2", record=self.company)

        line = self.file(source_expression="child_ids.*")
        found = self.files_in(self.sent(line, record=self.company))

        self.assertEqual([("child.txt", b"1")], [(each[1], each[3]) for each in found])

    def test_the_demo(self):
        """A contact's picture and PDFs arrive as parts, as `make demo` sets it up."""
        file = file_path("bwt_webhooks_outbound/demo/demo.xml")
        with mute_logger("odoo.tools.convert"):
            convert_file(
                *(self.env, "bwt_webhooks_outbound", file, {}),
                mode="init",
                noupdate=True,
            )
        action = self.env.ref("bwt_webhooks_outbound.demo_action_files")
        self.assertFalse(action.binding_model_id)  # sends nothing by itself
        action.bwt_webhook_endpoint_id.target_hostname = self.receiver.url
        self.record.image_1920 = base64.b64encode(picture("PNG", 100, 100))
        self.attach("terms.pdf", PDF)
        self.attach("note.txt", b"no PDF")

        found = self.files_in(self.request_of(self.run_on(action, self.record)))

        small = base64.b64decode(self.record.image_128)
        self.assertEqual(
            [
                ("picture", "Ada_Byron.png", "image/png", small),
                ("document", "terms.pdf", "application/pdf", PDF),
            ],
            found,
        )

    def test_a_large_file_is_stored_once(self):
        """The delivery refers to the same stored file, and so does its replay."""
        content = bytes(range(256)) * 2**14
        source = self.attach("large.bin", content)

        delivery = self.run_on(self.action(**self.file()), self.record)
        stored = self.env["ir.attachment"].search(
            [("res_model", "=", delivery._name), ("res_id", "=", delivery.id)]
        )
        [found] = self.files_in(self.request_of(delivery))

        self.assertEqual(4 * 2**20, stored.file_size)
        self.assertTrue(source.store_fname)
        self.assertEqual(source.store_fname, stored.store_fname)
        self.assertEqual(content, found[3])

    def test_an_attachment_that_is_deleted_or_changed(self):
        """What is sent are the bytes at the time of queueing."""
        gone, changed = self.attach("a.txt", b"gone"), self.attach("b.txt", b"before")
        delivery = self.run_on(self.action(**self.file()), self.record)

        gone.unlink()
        changed.raw = b"after"
        self.env["ir.attachment"]._gc_file_store_unsafe()
        found = self.files_in(self.request_of(delivery))

        self.assertEqual([b"gone", b"before"], [each[3] for each in found])

    def test_attachments_stored_in_the_database(self):
        """These are copied, since a database row can't be shared."""
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("ir_attachment.location", "db")
        source = self.attach("a.txt", b"in the database")
        delivery = self.run_on(self.action(**self.file()), self.record)

        source.unlink()
        [found] = self.files_in(self.request_of(delivery))

        self.assertEqual(b"in the database", found[3])

    def test_a_file_in_the_storage_of_another_addon(self):
        """It is copied: such an addon renames a file with its attachment.

        OCA's fs_attachment does, and knows no other attachment with the same file. Its
        names are `code://path`; here the file store has one at such a name.
        """
        source = self.attach("a.txt", b"in another storage")
        name = f"elsewhere://{uuid.uuid4()}.txt"
        path = Path(source._full_path(name))
        path.parent.mkdir(exist_ok=True)
        Path(source._full_path(source.store_fname)).rename(path)
        self.addCleanup(path.unlink, missing_ok=True)
        self.env.cr.execute(
            "UPDATE ir_attachment SET store_fname = %s WHERE id = %s", [name, source.id]
        )
        self.env.invalidate_all()
        delivery = self.run_on(self.action(**self.file()), self.record)

        path.unlink()
        [found] = self.files_in(self.request_of(delivery))

        self.assertEqual(
            ("document", "a.txt", "text/plain", b"in another storage"), found
        )

    def test_a_missing_file_is_named(self):
        """The delivery says which file the file store has lost."""
        source = self.attach("lost.txt", b"only here, once")
        delivery = self.run_on(self.action(**self.file()), self.record)

        self.env.cr.execute(
            "UPDATE ir_attachment SET store_fname = 'xx/gone' WHERE store_fname = %s",
            [source.store_fname],
        )
        self.env.invalidate_all()
        delivery.process_delivery()

        self.assertEqual("error", delivery.state)
        self.assertIn('file "lost.txt" is missing', delivery.processing_error)

    def test_links_and_files_of_fields_are_no_attachments(self):
        """A link has no bytes; the photo of a contact is the file of a field."""
        self.attach("link", False, type="url", url="https://example.com/a.pdf")
        self.record.image_1920 = base64.b64encode(picture("PNG", 40, 40))

        self.assertEqual([], self.files_in(self.sent(self.file())))

    def test_a_required_file(self):
        """Without it the delivery is stored in Error, and Queue builds it again."""
        action = self.action(**self.file(is_required=True))
        [action] = self.rule(action)

        self.record.with_user(self.plain).write({"name": "Ada"})
        delivery = self.queued(self.record)
        self.assertEqual("error", delivery.state)
        self.assertIn(
            'file "document": the record has no such file',
            str(delivery.processing_error),
        )

        self.attach("a.pdf", PDF)
        delivery.action_queue_delivery()
        [found] = self.files_in(self.request_of(delivery))
        self.assertEqual(PDF, found[3])

    def test_one_delivery_per_transaction_has_the_last_files(self):
        """A second run replaces the files of the first."""
        [_action] = self.rule(self.action("name", **self.file()))
        old = self.attach("old.txt", b"old")
        self.record.name = "first"
        old.unlink()
        self.attach("new.txt", b"new")
        self.record.name = "second"

        delivery = self.queued(self.record)
        found = self.files_in(self.request_of(delivery))

        self.assertEqual(["new.txt"], [each[1] for each in found])

    def test_on_deletion(self):
        """The files that a record had are sent after it was deleted."""
        self.rule(self.action(**self.file()), trigger="on_unlink")
        self.attach("a.pdf", PDF)
        key = self.record.id

        self.record.unlink()
        self.env["ir.attachment"]._gc_file_store_unsafe()
        delivery = self.queued(self.record.browse(key))
        [found] = self.files_in(self.request_of(delivery))

        self.assertEqual(PDF, found[3])

    def test_too_large_files(self):
        """More than 100 MiB in all is stored as an error, not read."""
        source = self.attach("large.bin", b"x")
        self.env.cr.execute(
            "UPDATE ir_attachment SET file_size = %s WHERE id = %s",
            [101 * 2**20, source.id],
        )
        source.invalidate_recordset()

        delivery = self.run_on(self.action(**self.file()), self.record)

        self.assertEqual("error", delivery.state)
        self.assertIn("take 102 MiB", delivery.processing_error)

    def test_number_of_queries(self):
        """It doesn't grow with the number of records."""
        action = self.action(**self.file())
        records = self.env["res.partner"].create(
            [{"name": f"Contact {number}"} for number in range(20)]
        )
        for record in records:
            self.attach("a.txt", b"a", record=record)
        counts = []
        for some in (records[:2], records[2:]):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.run_on(action, some)
            counts.append(self.env.cr.sql_log_count - before)

        self.assertLessEqual(counts[1], counts[0] + 2, counts)


class TestBinaryFields(ActionFilesCase):
    """Binary fields as parts."""

    def test_stored_computed_and_related_fields(self):
        """All keep their bytes; a field without a value has no file."""
        photo = picture("PNG", 300, 200)
        self.record.image_1920 = base64.b64encode(photo)
        user = new_test_user(self.env, "files_photo", groups="base.group_user")
        user.image_1920 = base64.b64encode(photo)
        child = self.env["res.partner"].create(
            {"name": "Child", "parent_id": self.record.id, "user_id": user.id}
        )
        small = base64.b64decode(self.record.image_128)

        found = self.files_in(
            self.sent(
                self.file(
                    source_kind="binary_field",
                    source_expression="parent_id.image_1920",
                ),
                self.file(
                    source_kind="binary_field", source_expression="parent_id.image_128"
                ),
                self.file(
                    source_kind="binary_field", source_expression="user_id.image_1920"
                ),
                self.file(source_kind="binary_field", source_expression="image_1920"),
                record=child,
            )
        )

        kind = "image/png"
        self.assertEqual(
            digests(
                [
                    (f"document image_1920.png {kind}", photo),
                    (f"document image_128.png {kind}", small),
                    (f"document image_1920.png {kind}", photo),
                ]
            ),
            digests([(" ".join(each[:3]), each[3]) for each in found]),
        )

    def test_all_records_of_a_relation(self):
        """A * takes all; without it one of several is refused."""
        photo = picture("PNG", 30, 20)
        self.company.child_ids.image_1920 = base64.b64encode(photo)
        path = "child_ids.*.image_1920"

        line = self.file(source_kind="binary_field", source_expression=path)
        found = self.files_in(self.sent(line, record=self.company))
        self.assertEqual([photo, photo], [each[3] for each in found])

        path = "child_ids.image_1920"
        line = self.file(source_kind="binary_field", source_expression=path)
        delivery = self.run_on(self.action(**line), self.company)
        self.assertEqual("error", delivery.state)
        self.assertIn("there are 2 records before", delivery.processing_error)


class TestBase64(ActionFilesCase):
    """Files inside a JSON payload."""

    body_mode = "json"

    def test_one_file(self):
        """Content, name and type go to their paths, beside those of the rules."""
        self.attach("a.pdf", PDF)
        rules = [
            Command.create(
                {
                    "usage": "payload",
                    "target": "document.number",
                    "source_expression": "name",
                }
            )
        ]

        request = self.sent(
            self.base64(
                "document.content",
                name_path="document.name",
                type_path="document.type",
                list_limit=1,
            ),
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=rules,
        )

        expected = {
            "number": "Ada/Byron",
            "content": base64.b64encode(PDF).decode(),
            "name": "a.pdf",
            "type": "application/pdf",
        }
        self.assertEqual({"document": expected}, request.json())

    def test_several_files_of_two_lines(self):
        """A second line continues the list; without a file it is empty."""
        lines = [
            self.base64("files.*.data", name_path="files.*.name", sequence=1),
            self.base64(
                "files.*.data",
                source_kind="binary_field",
                source_expression="image_1920",
                sequence=2,
            ),
        ]
        self.assertEqual([], self.sent(*lines).json()["files"])

        photo = picture("PNG", 30, 20)
        self.record.image_1920 = base64.b64encode(photo)
        self.attach("a.txt", b"one")
        self.attach("b.txt", b"two")
        found = self.sent(*lines).json()["files"]

        names = [each.get("name") for each in found]
        contents = [base64.b64decode(each["data"]) for each in found]
        self.assertEqual(["a.txt", "b.txt", None], names)
        self.assertEqual([b"one", b"two", photo], contents)

    def test_a_list_of_contents(self):
        """A * at the end makes a list of texts."""
        self.attach("a.txt", b"one")
        found = self.sent(self.base64("files.*")).json()["files"]

        self.assertEqual([base64.b64encode(b"one").decode()], found)

    def test_no_file(self):
        """One path without a file gets what empty fields get."""
        line = self.base64("photo", list_limit=1, name_path="photo_name")
        found = self.sent(line).json()

        self.assertEqual((None, None), (found["photo"], found["photo_name"]))

    def test_a_large_file_is_not_stored_again(self):
        """Neither in the payload that is queued nor with each attempt."""
        content = bytes(range(256)) * 2**14
        self.attach("large.bin", content)
        delivery = self.run_on(self.action(**self.base64()), self.record)

        found = self.request_of(delivery).json()["documents"]
        attempt = self.env[ATTEMPT].search([("delivery_id", "=", delivery.id)])

        self.assertEqual(content, base64.b64decode(found[0]["content"]))
        self.assertLess(len(delivery.payload_json), 1000)
        shown = json.loads(attempt.payload_json)["documents"][0]["content"]
        self.assertEqual("[file 1: base64 of 4194304 bytes]", shown)

    def test_a_retry_sends_the_same_bytes(self):
        """Although the record has changed, and attempts store no content.

        Two files of the same size are not mixed up.
        """
        self.env[PAYLOAD_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "name",
                "source_kind": "record_field",
                "source_expression": "name",
            }
        )
        for name in ("a", "b"):
            self.attach(f"{name}.bin", name.encode() * 1000)
        path = self.endpoint.target_path
        self.receiver.script(path, status(503), status(200))
        delivery = self.run_on(self.action(**self.base64()), self.record)

        delivery.process_delivery()
        self.record.name = "Eve"
        delivery.process_delivery()

        first, second = [each.body for each in self.receiver.requests]
        self.assertEqual("done", delivery.state)
        self.assertIn(b"Ada/Byron", second)
        self.assertEqual(first, second)

    def test_a_replay_sends_the_same(self):
        """Files in the payload are copied with the delivery."""
        self.attach("a.txt", b"one")
        delivery = self.run_on(self.action(**self.base64()), self.record)
        first = self.request_of(delivery).body

        action = delivery.action_create_replay_delivery()
        replay = delivery.browse(action["res_id"])
        replay.action_queue_delivery()

        self.assertEqual(first, self.request_of(replay).body)

    def test_the_sample(self):
        """Shows name, type and size of the files, and no content."""
        self.attach("a.pdf", PDF)
        action = self.action(**self.base64(name_path="documents.*.name"))
        action.bwt_webhook_sample_id = self.record.id

        sample = action.bwt_webhook_sample

        self.assertIn("[base64 of 11 bytes]", sample)
        self.assertIn("// files", sample)
        line = "documents.0.content: a.pdf\n  application/pdf, 11.00 bytes"
        self.assertIn(line, sample)
        self.assertNotIn(base64.b64encode(PDF).decode(), sample)


class TestRefusals(ActionFilesCase):
    """What is invalid is refused when it is saved."""

    def test_refused_lines(self):
        """Each message says what is wrong and what to do."""
        field = {"source_kind": "binary_field"}
        for values, message in (
            (field | {"source_expression": "nope"}, 'has no field "nope"'),
            (field | {"source_expression": "name"}, "doesn't end on a binary field"),
            (field, "the path is empty"),
            ({"source_expression": "name"}, "doesn't end on records"),
            ({"source_expression": "nope.x"}, 'has no field "nope"'),
            ({"list_domain": "[('nope', '=', 1)]"}, 'has no field "nope"'),
            ({"list_domain": "nope"}, "the filter nope can't be used"),
            ({"list_domain": "[('access_token', '=', 1)]"}, "limited to groups"),
            ({"list_order": "nope"}, 'has no field "nope"'),
            ({"list_order": "raw"}, 'the order "raw" can'),
            ({"list_limit": -1}, "the limit -1 is not valid"),
            ({"part_name": ""}, "the part name is empty"),
            ({"part_name": "a\nb"}, "control character"),
            ({"content_type": "pdf"}, 'content type "pdf" is not valid'),
            ({"content_type": "a/b\r\nX: 1"}, "Content-Type"),
            ({"file_name": "{record.nope}.pdf"}, 'has no field "nope"'),
            ({"file_name": "{record.company_id.nope}"}, 'has no field "nope"'),
            ({"send_as": "base64", "list_limit": 1}, "payload path is empty"),
            (
                {"send_as": "base64", "payload_path": "a"},
                "takes one file, and there may be several",
            ),
            ({"send_as": "base64", "payload_path": "*.a"}, "can have one *"),
            ({"send_as": "base64", "payload_path": "a.*.b.*"}, "can have one *"),
            ({"send_as": "base64", "payload_path": "a..b"}, "empty part"),
            (
                {"send_as": "base64", "payload_path": "a.*.b", "name_path": "c"},
                "not in the same list",
            ),
            (
                {"send_as": "base64", "payload_path": "a.*.b", "name_path": "a.*.b.c"},
                "write to the same place",
            ),
        ):
            with self.subTest(values), self.refused(message):
                self.action(**self.file(**values))

    def test_fields_limited_to_groups(self):
        """As for payload rules: any user who saves the record would send them."""
        field = self.env["res.partner"]._fields["image_1920"]
        self.patch(field, "groups", "base.group_system")

        with self.refused("limited to groups"):
            self.action(
                **self.file(source_kind="binary_field", source_expression="image_1920")
            )

    def test_body_modes(self):
        """Parts need multipart, and base64 a payload with paths."""
        self.endpoint.request_body_mode = "raw"
        with self.refused("can't carry parts"):
            self.action(**self.file())
        with self.refused("has no payload paths"):
            self.action(**self.base64())

        # A handler may choose the body of each request.
        handler = self.env[HANDLER].create({"name": "Any", "code": "any"})
        self.endpoint.handler_id = handler
        self.action(**self.file()).unlink()
        self.endpoint.handler_id = False

        self.endpoint.body_template = '<a t-out="payload.documents[0].content"/>'
        self.attach("a.txt", b"one")
        request = self.sent(self.base64())
        self.assertEqual(b"<a>b25l</a>", request.body)

    def test_a_body_mode_that_is_changed_later(self):
        """Refused on the endpoint, with the name of the server action and its file."""
        action = self.action(**self.file())
        named = f'server action "{action.name}", file "document"'
        for mode in ("json", "raw", "csv", "form_urlencoded"):
            with self.assertRaises(ValidationError) as caught:
                self.endpoint.request_body_mode = mode
            self.assertIn(named, str(caught.exception))
            self.assertIn("can't carry parts", str(caught.exception))
        with Form(self.endpoint) as form:
            with self.assertLogs("odoo.tests.form.onchange", "WARNING") as logs:
                form.request_body_mode = "json"
            self.assertIn("can't carry parts", "".join(logs.output))
            form.request_body_mode = "multipart"

        action.bwt_webhook_file_ids.write(
            {"send_as": "base64", "payload_path": "documents.*.content"}
        )
        self.endpoint.request_body_mode = "json"
        with self.assertRaisesRegex(ValidationError, "no payload paths"):
            self.endpoint.request_body_mode = "raw"

    def test_a_handler_that_is_removed(self):
        """It may choose another body; without it the endpoint's has to fit."""
        handler = self.env[HANDLER].create({"name": "H", "code": "h"})
        self.endpoint.write({"request_body_mode": "json", "handler_id": handler.id})
        self.action(**self.file())

        with self.assertRaisesRegex(ValidationError, "can't carry parts"):
            self.endpoint.handler_id = False

    def test_a_body_mode_stored_before_it_was_checked(self):
        """The delivery says it; the user's work is saved."""
        [_action] = self.rule(self.action(**self.file()))
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint SET request_body_mode = 'json' "
            "WHERE id = %s",
            [self.endpoint.id],
        )
        self.endpoint.invalidate_recordset()

        self.record.with_user(self.plain).write({"name": "Ada"})

        delivery = self.queued(self.record)
        self.assertEqual(("error", "Ada"), (delivery.state, self.record.name))
        self.assertIn("can't carry parts", delivery.processing_error)

    def test_paths_that_other_lines_write(self):
        """In whichever order they are saved."""
        rule = {"usage": "payload", "source_expression": "name"}
        for target, path in (
            ("document", "document.content"),
            ("document.content", "document.content"),
            ("document.content.x", "document.content"),
            ("documents.0.name", "documents.*.content"),
            ("documents", "documents.*.content"),
        ):
            values = {"bwt_webhook_payload_mode": "rules"}
            rules = [Command.create(rule | {"target": target})]
            with self.subTest(target), self.refused("write to the same place"):
                self.action(
                    bwt_webhook_rule_ids=rules,
                    **values,
                    **self.base64(path, list_limit=1),
                )
        action = self.action("name", **self.base64("document", list_limit=1))
        with self.refused("write to the same place"):
            action.bwt_webhook_field_ids.source_expression = "ref"
            action.bwt_webhook_file_ids.payload_path = "ref"
        action = self.action("name", **self.base64("changes.x", list_limit=1))
        with self.refused("write to the same place"):
            action.bwt_webhook_add_changes = True

    def test_a_line_of_a_user_without_settings_rights(self):
        """It reads only what this user may read; others are Settings administrators."""
        self.env["ir.model.access"].create(
            {
                "name": "lines for everybody",
                "model_id": self.env["ir.model"]._get_id(ACTION_FILE),
                "group_id": self.env.ref("base.group_user").id,
                **dict.fromkeys(
                    ("perm_read", "perm_write", "perm_create", "perm_unlink"), True
                ),
            }
        )
        action = self.action()
        line = self.env[ACTION_FILE].with_user(self.plain)
        values = {"action_id": action.id, "part_name": "document"}
        line = line.create(values).sudo()
        self.assertEqual(self.plain, line.limited_to_user_id)
        self.attach("a.pdf", PDF)
        self.assertTrue(
            self.files_in(self.request_of(self.run_on(action, self.record)))
        )

        self.env["ir.rule"].create(
            {
                "name": "not this one",
                "model_id": self.model.id,
                "domain_force": f"[('id', '!=', {self.record.id})]",
            }
        )
        delivery = self.run_on(action, self.record)
        self.assertEqual("error", delivery.state)
        self.assertIn("may not read the record", delivery.processing_error)

    def test_an_error_in_the_data_never_stops_the_user(self):
        """A field that can't be computed is named on the delivery."""
        [_action] = self.rule(
            self.action(**self.file(file_name="{record.email_formatted}"))
        )
        self.attach("a.pdf", PDF)
        self.fail_to_compute(lambda record: record == self.record)

        self.record.with_user(self.plain).write({"name": "Saved"})

        self.assertEqual("Saved", self.record.name)
        self.assertIn("no address", self.queued(self.record).processing_error)

    def test_queueing_by_code_takes_several_files_of_one_field(self):
        """A list of files under one form field."""
        endpoint = self.env[ENDPOINT].browse(self.endpoint.id)
        files = [{"filename": name, "content": b"x"} for name in ("a.txt", "b.txt")]

        delivery = endpoint.queue_delivery({"a": 1}, files={"documents": files})

        found = self.files_in(self.request_of(delivery))
        self.assertEqual(
            [("documents", "a.txt"), ("documents", "b.txt")], [e[:2] for e in found]
        )
        with self.refused("must be", ValidationError):
            endpoint.queue_delivery({}, files={"documents": []})
