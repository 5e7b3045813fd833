"""Takes traces by OTLP over HTTP with PyPI's oteltap; prints its port, then each span as JSON."""

import asyncio
import socket

from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings


async def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = OtelTapHttpProtobufReceiverSettings(http_port=port, print_traces_as_ndjson=True)
    async with OtelTapHttpProtobufReceiver(settings):
        print(port, flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
