"""A laboratory, with PyPI's hl7: takes orders over MLLP, and sends a result for each new one. laboratory.py PORT

Prints its port, then what it reads of each order as JSON. A result is sent to PORT once its order was acknowledged; a
cancelled order gets none.
"""
import asyncio
import json
import os
import sys
import traceback

import hl7
from hl7.mllp import open_hl7_connection, start_hl7_server

RESULTS = int(sys.argv[1])


def result(order):
    pid, orc, obr = order.segment("PID"), order.segment("ORC"), order.segment("OBR")
    number, filler, asked = str(orc(2)), f"L-{str(orc(2)).split('^')[0]}^LAB", str(obr(4))
    lines = [
        f"MSH|^~\\&|LIS|LAB|CHART|HOSPITAL|20260301100000+0100||ORU^R01^ORU_R01|R{order.segment('MSH')(10)}|P|2.5|||||FRA|UNICODE UTF-8",
        f"PID|1||{pid(3)}||{pid(5)}||{pid(7)}|{pid(8)}",
        f"ORC|RE|{number}|{filler}",
        f"OBR|1|{number}|{filler}|{asked}|||20260301093500+0100|||||||||||||||20260301100000+0100||CH|F",
        f"OBX|1|NM|{asked}||4.20|mmol/L|3.5-5.1|N|||F|||20260301093500+0100",
    ]
    return hl7.parse("\r".join(lines) + "\r")


async def report(order):
    reader, writer = await open_hl7_connection("127.0.0.1", RESULTS, encoding="utf-8")
    writer.writemessage(result(order))
    await writer.drain()
    code = str((await reader.readmessage()).segment("MSA")(1))
    print(json.dumps({"reported": str(order.segment("ORC")(2)), "code": code}), flush=True)
    writer.close()


async def serve(reader, writer):
    try:
        while True:
            order = await reader.readmessage()
            control, number = str(order.segment("ORC")(1)), str(order.segment("ORC")(2))
            patient, name = str(order.segment("PID")(3)), str(order.segment("PID")(5))
            print(json.dumps({"control": control, "order": number, "patient": patient, "name": name}), flush=True)
            writer.writemessage(order.create_ack("AA"))
            await writer.drain()
            if control == "NW":
                await report(order)
    except asyncio.IncompleteReadError:
        writer.close()
    except Exception:
        # A test that waits for its next word hears that there is none.
        traceback.print_exc()
        os._exit(1)


async def main():
    server = await start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8")
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
