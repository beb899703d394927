"""A real browser for tests: a page of Chromium's, driven over its debugging protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60


class Tab:
    """A page, and what it complained of and asked the network for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.session = ""
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                self._waiting.pop(event["id"]).set_result(event)
            else:
                self._note(event["method"], event["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(json.dumps(params["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    async def ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        told = {"id": number, "method": method, "params": params}
        await self._socket.send_json(told | ({"sessionId": self.session} if self.session else {}))
        event = await asyncio.wait_for(answer, PATIENCE_S)
        assert "error" not in event, event
        return event["result"]

    async def open(self, address: str) -> None:
        """As one who follows a link from elsewhere."""
        await self.ask("Page.navigate", url="about:blank")
        await self.ask("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def js(self, expression: str) -> Any:
        found = await self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, condition: str) -> None:
        for _ in range(PATIENCE_S * 20):
            if await self.js(f"Boolean({condition})"):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never: {condition}")

    async def key(self, name: str) -> None:
        told = {"key": name} | ({"text": name} if len(name) == 1 else {"windowsVirtualKeyCode": _CODES[name]})
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **told)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=name)

    async def keys(self, *names: str) -> None:
        for name in names:
            await self.key(name)

    async def look(self, width: int, height: int, scheme: str = "light") -> None:
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme_of = {"name": "prefers-color-scheme", "value": scheme}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme_of])

    async def screenshot(self, file: Path) -> None:
        picture = await self.ask("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(picture["data"]))


_CODES = {"ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "PageDown": 34, "Tab": 9, "Enter": 13}


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """Ended with the block; its profile lies in the folder, and what is saved goes there."""
    profile = folder / "profile"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage")
    command = [
        str(CHROMIUM),
        *flags,
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = await _address(profile / "DevToolsActivePort")
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            listening = asyncio.create_task(tab.listen())
            target = await tab.ask("Target.createTarget", url="about:blank")
            session = await tab.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = session["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.ask(f"{domain}.enable")
            await tab.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
            yield tab
            listening.cancel()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def _address(file: Path) -> tuple[str, str]:
    for _ in range(PATIENCE_S * 20):
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return lines[0], lines[1]
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")
