"""Receives messages by HTTP with PyPI's aiohttp; prints its port, then what it reads of each request as JSON.

Bodies that say REFUSE are answered 422, those that say BUSY 503 the first time, those that say CUT are cut off before
any answer the first time; every other 201 with a Location.
"""
import asyncio
import json

from aiohttp import web

seen = set()


async def take(request):
    body = (await request.read()).decode()
    headers = {name: request.headers.get(name) for name in ("Content-Type", "X-Id", "Idempotency-Key", "Authorization", "traceparent", "tracestate")}
    print(json.dumps({
        "method": request.method, "path": request.path, "query": dict(request.query), "headers": headers, "body": body,
    }), flush=True)
    first = body not in seen
    seen.add(body)
    if "CUT" in body and first:
        request.transport.abort()
    if "BUSY" in body and first:
        return web.Response(status=503, headers={"Retry-After": "1"})
    if "REFUSE" in body:
        return web.json_response({"error": "not wanted"}, status=422)
    return web.json_response({"id": 7}, status=201, headers={"Location": "/orders/7"})


async def main():
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
