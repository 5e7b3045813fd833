"""Receives messages over MLLP with PyPI's hl7; prints its port, then what it reads of each as JSON.

A message of a patient named REFUSE is answered AE, every other AA.
"""
import asyncio
import json

from hl7.mllp import start_hl7_server


async def serve(reader, writer):
    try:
        while True:
            message = await reader.readmessage()
            family = str(message.segment("PID")(5)).split("^")[0]
            print(json.dumps({
                "id": str(message.segment("MSH")(10)), "family": family,
                "value": str(message.segment("OBX")(5)),
            }), flush=True)
            writer.writemessage(message.create_ack("AE" if family == "REFUSE" else "AA"))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    server = await start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8")
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
