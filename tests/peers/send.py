"""Sends the messages of a file over MLLP with PyPI's hl7; prints code and id of each acknowledgement as JSON."""
import asyncio
import json
import sys

import hl7
from hl7.mllp import open_hl7_connection


async def main(port, path, encoding):
    with open(path, encoding="utf-8") as file:
        messages = json.load(file)
    reader, writer = await open_hl7_connection("127.0.0.1", port, encoding=encoding)
    for message in messages:
        writer.writemessage(hl7.parse(message))
        await writer.drain()
        answer = await reader.readmessage()
        header, said = answer.segment("MSH"), answer.segment("MSA")
        print(json.dumps({
            "code": str(said(1)), "id": str(said(2)), "kind": str(header(9)), "charset": str(header(18)),
        }), flush=True)
    writer.close()
    await writer.wait_closed()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
