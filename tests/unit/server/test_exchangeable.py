"""An application's place is taken by another while somebody waits for its answer."""

from __future__ import annotations

import asyncio

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.waits import until_async

from nodisk.server.exchangeable import Exchangeable


def saying(word: str, after: asyncio.Event, begun: list[str]) -> ASGIApp:
    async def answer(_: Scope, __: Receive, send: Send) -> None:
        begun.append(word)
        await after.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": word.encode()})

    return answer


def test_each_request_ends_where_it_began() -> None:
    async def run() -> None:
        closed, begun = list[str](), list[str]()

        def close(word: str) -> asyncio.Future[None]:
            closed.append(word)
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

        held, at_once, served = asyncio.Event(), asyncio.Event(), Exchangeable()
        at_once.set()
        transport = httpx2.ASGITransport(served)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:

            async def ask() -> str:
                return (await client.get("/")).text

            served.use(saying("first", held, begun), lambda: close("first"))
            waiting = [asyncio.create_task(ask()) for _ in range(3)]
            await until_async(lambda: begun == ["first"] * 3)
            served.use(saying("second", at_once, begun), lambda: close("second"))
            assert await ask() == "second"
            assert closed == []  # somebody is still asking the first
            held.set()
            assert await asyncio.gather(*waiting) == ["first"] * 3
            await until_async(lambda: closed == ["first"])

            served.use(saying("third", at_once, begun), lambda: close("third"))
            await until_async(lambda: closed == ["first", "second"])  # nobody asked it any more
            assert await ask() == "third"
        await served.close()
        assert closed == ["first", "second", "third"]

    asyncio.run(run())
