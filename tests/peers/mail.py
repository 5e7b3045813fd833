"""A mail server that is not ours: says its port, then each letter that it takes as a line of JSON.

With a certificate and a key it takes letters only over TLS (STARTTLS), from the user `relais` with the password `secret`.
A receiver whose name begins with `later` is put off twice, one that begins with `never` is refused.
"""

import base64
import json
import socket
import ssl
import sys
import threading
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Taking:
    def __init__(self):
        self.put_off = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("later") and self.put_off < 2:
            self.put_off += 1
            return "451 4.3.0 later"
        if address.startswith("never"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = message_from_bytes(envelope.content, policy=policy.default)
        files = [
            {"name": part.get_filename(), "type": part.get_content_type(),
             "bytes": base64.b64encode(part.get_payload(decode=True)).decode()}
            for part in letter.iter_attachments()
        ]
        text = letter.get_body(("plain",))
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": letter["Subject"],
            "head_from": letter["From"], "identity": letter["Message-ID"], "automatic": letter["Auto-Submitted"],
            "text": text.get_content() if text else None, "files": files,
            "tls": session.ssl is not None, "authenticated": session.authenticated,
        }), flush=True)
        return "250 OK taken"


def known(server, session, envelope, mechanism, data):
    is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"relais", b"secret")
    return AuthResult(success=is_known, handled=is_known)


def main():
    settings = {}
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        settings = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": known}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Taking(), hostname="127.0.0.1", port=port, **settings)
    controller.start()
    print(port, flush=True)
    threading.Event().wait()


main()
