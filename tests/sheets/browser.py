"""A real Chromium, spoken to over its own protocol: a page opened in it, typed into, and seen at any width."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_S = 30


class Browser:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said: dict[str, Any] = await self._socket.receive_json(timeout=WAIT_S)
            if said.get("id") == number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result

    async def open(self, page: Path) -> None:
        await self.ask("Page.navigate", url=page.as_uri())
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while not await self.run(script):
                await asyncio.sleep(0.05)

    async def press(self, *keys: str) -> None:
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            await self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def look(self, width: int, height: int, scheme: str = "light") -> None:
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.ask("Emulation.setEmulatedMedia", features=features)

    async def picture(self) -> bytes:
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """With a profile of its own; what is saved goes to `folder`."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder / 'profile'}",
        "about:blank",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port = await _port(folder / "profile" / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as listed:
                    pages = [one for one in json.loads(await listed.text()) if one["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    browser = Browser(socket)
                    await browser.ask(
                        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder)
                    )
                    yield browser
        finally:
            process.terminate()


async def _port(file: Path) -> str:
    async with asyncio.timeout(WAIT_S):
        while not file.exists() or not file.read_text():
            await asyncio.sleep(0.05)
    return file.read_text().splitlines()[0]
