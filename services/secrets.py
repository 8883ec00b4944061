# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets as they are stored: clear text, reference or ciphertext.

What a column holds is told by its beginning:

* ``enc:v1:<key id>:<base64>``: encrypted (AES-256-GCM) for one field of one model
* ``env:NAME``, ``file:/path``: a reference; the value is read when it is used
* ``text:...``: clear text that would otherwise be taken for one of these
* anything else: clear text
"""

import base64
import binascii
import os
import re
import stat
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import ServiceError, _lt

ENCRYPTED = "enc:"
VERSION = f"{ENCRYPTED}v1:"
TEXT = "text:"
ENV = "env:"
FILE = "file:"
REFERENCES = (ENV, FILE)
PREFIXES = (ENCRYPTED, TEXT, *REFERENCES)
SIZE_MAX = 64 * 1024  # bytes of a file or variable
NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2: 96 bits
KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretUnavailable(ServiceError):
    """A stored secret can't be read now; it may be later, without a change here."""


@dataclass(frozen=True)
class Keys:
    """The keys of odoo.conf; the first one encrypts, all of them decrypt."""

    by_id: dict = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text):
        """Keys of ``id:base64key, ...``.

        :raise SecretUnavailable: an entry is invalid; the message doesn't quote it
        """
        by_id = {}
        for number, entry in enumerate(_entries(text), 1):
            key_id, _colon, encoded = entry.partition(":")
            key_id = key_id.strip()
            try:
                key = base64.b64decode(encoded.strip(), validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
                raise SecretUnavailable(
                    _lt(
                        "entry %(number)s of secret_keys in odoo.conf is not a valid "
                        "key. Write id:key, with a key of 32 bytes as base64."
                    ),
                    number=number,
                )
            if key_id in by_id:
                raise SecretUnavailable(
                    _lt(
                        'secret_keys in odoo.conf has two keys "%(id)s". Give each '
                        "key an ID of its own."
                    ),
                    id=key_id,
                )
            by_id[key_id] = key
        return cls(by_id)

    @property
    def current(self):
        """The ID of the key that encrypts; empty without keys."""
        return next(iter(self.by_id), "")

    def encrypt(self, value, bound_to):
        """The stored form of a value.

        :param bound_to: model and field; another one can't decrypt it
        """
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(self.by_id[self.current])
        sealed = cipher.encrypt(nonce, value.encode(), _bound(self.current, bound_to))
        text = base64.urlsafe_b64encode(nonce + sealed).decode("ascii")
        return f"{VERSION}{self.current}:{text}"

    def decrypt(self, stored, bound_to):
        """The value of `encrypt`; raises SecretUnavailable."""
        key_id, _colon, text = stored.removeprefix(VERSION).partition(":")
        if not stored.startswith(VERSION) or not _KEY_ID.fullmatch(key_id):
            raise SecretUnavailable(
                _lt(
                    "the stored secret is encrypted in a form that this version "
                    "doesn't know. Enter the secret again."
                )
            )
        if key_id not in self.by_id:
            raise SecretUnavailable(
                _lt(
                    'the secret is encrypted with key "%(id)s", which secret_keys in '
                    "odoo.conf doesn't have. Add the key, or enter the secret again."
                ),
                id=key_id,
            )
        try:
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
            cipher = AESGCM(self.by_id[key_id])
            value = cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(key_id, bound_to)
            )
            return value.decode()
        except (InvalidTag, ValueError):  # binascii.Error and UnicodeError are, too
            raise SecretUnavailable(
                _lt(
                    'key "%(id)s" of odoo.conf doesn\'t decrypt the stored secret. '
                    "Restore the key that encrypted it, or enter the secret again."
                ),
                id=key_id,
            ) from None


@dataclass(frozen=True)
class Store:
    """How secrets are stored and read on this server, as odoo.conf says.

    names: environment variables that a reference may name
    folders: folders that the file of a reference may be in
    """

    keys: Keys
    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def parse(cls, keys="", names="", folders=""):
        """The store for the texts of three options; raises SecretUnavailable."""
        return cls(Keys.parse(keys), tuple(_entries(names)), tuple(_entries(folders)))

    def stored(self, entered, bound_to):
        """What is stored for an entered value: a reference as it is, else a secret.

        :raise SecretUnavailable: a reference is not allowed
        """
        if entered.startswith(REFERENCES):
            self._check_allowed(entered)
            return entered
        value = entered.removeprefix(TEXT)
        if not value:
            raise SecretUnavailable(
                _lt('there is nothing behind "text:". Enter the secret behind it.')
            )
        return self.sealed(value, bound_to)

    def sealed(self, value, bound_to):
        """What is stored for a secret itself: encrypted, if there is a key."""
        if self.keys.current:
            return self.keys.encrypt(value, bound_to)
        return as_clear_text(value)

    def value(self, stored, bound_to):
        """The secret behind a stored text, never empty; raises SecretUnavailable."""
        if stored.startswith(REFERENCES):
            return self._referenced(stored)
        if stored.startswith(ENCRYPTED):
            return self.keys.decrypt(stored, bound_to)
        return stored.removeprefix(TEXT)

    def is_current(self, stored):
        """Whether a rotation leaves it as it is."""
        prefix = f"{VERSION}{self.keys.current}:"
        return stored.startswith((*REFERENCES, prefix))

    def _check_allowed(self, reference):
        kind, name = reference.split(":", 1)
        if kind == "env" and (name not in self.names or not _NAME.fullmatch(name)):
            raise SecretUnavailable(
                _lt(
                    '"%(reference)s" is not allowed. Add the name to secret_env in '
                    "odoo.conf. A secret that begins like this is entered as "
                    "text:%(kind)s:..."
                ),
                reference=reference,
                kind=kind,
            )
        if kind == "file" and not self._is_inside(name):
            raise self._outside(reference)

    def _is_inside(self, path, resolve=os.path.normpath):
        if "\0" in path or os.path.normpath(path) != path:
            return False
        path = resolve(path)
        folders = [resolve(each) for each in self.folders if os.path.isabs(each)]
        return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)

    def _outside(self, reference):
        return SecretUnavailable(
            _lt(
                '"%(reference)s" is not in an allowed folder. Move the file, or add '
                "its folder to secret_folders in odoo.conf. A secret that begins "
                "like this is entered as text:file:..."
            ),
            reference=reference,
        )

    def _referenced(self, reference):
        self._check_allowed(reference)
        if reference.startswith(ENV):
            data = os.environb.get(reference.removeprefix(ENV).encode())
            if data is None:
                raise SecretUnavailable(
                    _lt(
                        '"%(reference)s": the server has no such environment '
                        "variable. Set it and restart the server."
                    ),
                    reference=reference,
                )
        else:
            data = self._content(reference)
        return _checked(reference, data)

    def _content(self, reference):
        path = reference.removeprefix(FILE)
        # Links are allowed within the folders: orchestrators replace secrets by them.
        if not self._is_inside(path, os.path.realpath):
            raise self._outside(reference)
        try:
            # Opened by its real path without following a link: none was swapped in.
            # Non-blocking: a pipe would stop the lane.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(os.path.realpath(path), flags)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise OSError(0, "not a regular file")
                with open(handle, "rb", closefd=False) as file:
                    return file.read(SIZE_MAX + 1)
            finally:
                os.close(handle)
        except OSError as error:
            raise SecretUnavailable(
                _lt(
                    '"%(reference)s" can\'t be read: %(problem)s. Put the secret '
                    "there, readable for the server's user."
                ),
                reference=reference,
                problem=error.strerror,
            ) from None


def as_clear_text(value):
    """Clear text as it is stored, which is never taken for anything else."""
    return TEXT + value if value.startswith(PREFIXES) else value


def as_entered(stored, value):
    """What to enter to store the same secret in another field."""
    return stored if stored.startswith(REFERENCES) else as_clear_text(value)


def _checked(reference, data):
    if len(data) > SIZE_MAX:
        raise SecretUnavailable(
            _lt(
                '"%(reference)s" is larger than 64 KiB. Name a file or variable that '
                "contains the secret only."
            ),
            reference=reference,
        )
    try:
        value = data.decode()
    except UnicodeDecodeError:
        value = None
    if value is None or "\0" in value:
        raise SecretUnavailable(
            _lt('"%(reference)s" is not text. Store the secret as UTF-8.'),
            reference=reference,
        )
    value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise SecretUnavailable(
            _lt('"%(reference)s" is empty. Store the secret there.'),
            reference=reference,
        )
    return value


def _bound(key_id, bound_to):
    return f"{VERSION}{key_id}:{bound_to}".encode()


def _entries(text):
    return [each.strip() for each in (text or "").split(",") if each.strip()]
