"""Sends the requests of a file by HTTP with PyPI's aiohttp; prints status, type and body of each answer as JSON."""
import asyncio
import json
import sys

import aiohttp


async def main(port, path):
    with open(path, encoding="utf-8") as file:
        requests = json.load(file)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for one in requests:
            auth = aiohttp.BasicAuth("lab", one["password"], "utf-8") if "password" in one else None
            sent = session.request(one.get("method", "POST"), one["path"], data=one["body"].encode(), auth=auth)
            async with sent as answer:
                print(json.dumps({
                    "status": answer.status, "type": answer.content_type, "body": await answer.text(),
                }), flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
