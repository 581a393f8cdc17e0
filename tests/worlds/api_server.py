"""An API server that answers as a test says: plain HTTP, and a kubeconfig that leads there."""

import json
from contextlib import asynccontextmanager

from aiohttp import web

from orchestrator.cluster.place import Place


@asynccontextmanager
async def serving(folder, answer):
    """Yield where it is; `answer` is given each request."""

    async def answered(request):
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answered)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        file = folder / "config"
        file.write_text(json.dumps(config))
        yield Place(kubeconfig=str(file), namespace="n")
    finally:
        await runner.cleanup()
