"""Receives messages by HTTP/2 with PyPI's hypercorn; http2_receive.py PORT CERTIFICATE KEY. Prints its port, then what it reads.

Of each request as JSON: the version of HTTP it came by, the connection (the client's port), and the body.
"""
import asyncio
import json
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    print(json.dumps({"version": scope["http_version"], "connection": scope["client"][1], "body": body.decode()}), flush=True)
    await send({"type": "http.response.start", "status": 201, "headers": [(b"location", b"/orders/7")]})
    await send({"type": "http.response.body", "body": b""})


async def main(port, certificate, key):
    config = Config()
    config.bind, config.certfile, config.keyfile = [f"127.0.0.1:{port}"], certificate, key
    config.errorlog = config.accesslog = None
    print(port, flush=True)
    await serve(app, config)


asyncio.run(main(*sys.argv[1:]))
