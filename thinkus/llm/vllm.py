"""The keeper of `vllm serve`: starts it, one server a GPU, asks it over HTTP, and sees that it ends.

Import this module only where it is used: aiohttp takes its time.
"""

import asyncio
import math
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import aiohttp

from thinkus import facts, warden
from thinkus.console import say
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import wire
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.openai import OpenAI
from thinkus.paths import expanded

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.2
START_LIMIT_S = 3600.0
"""A large model on a slow network file system takes tens of minutes."""
END_LIMIT_S = 30.0
MOST_RESTARTS = 2
MOST_MEMORY = 0.9
"""Of a GPU's, unless it is said."""
WARDEN = Path(warden.__file__)
LAST_BYTES = 200_000
"""Of a log, in which the reason of an end is looked for."""

# Words for `vllm serve`: those that would part us from it, and those that change how fast an answer comes,
# not which.
OURS = frozenset({"--host", "--port", "--uds", "--fd", "--api-key", "--served-model-name", "--headless"})
INDIFFERENT = re.compile(
    r"--(?:max-num-seqs|max-num-batched-tokens|gpu-memory-utilization|kv-cache-memory-bytes|download-dir"
    r"|(?:tensor|pipeline|data)-parallel-size|api-server-count|uvicorn-log-level)|-(?:tp|pp|dp)"
)
_PARALLEL = re.compile(r"--(?:tensor|pipeline|data)-parallel-size|-(?:tp|pp|dp)")

# How logs say why: with the last line of a traceback, in pydantic's words, or in argparse's.
_PREFIX = re.compile(r"^(?:\([\w-]+ pid=\d+\) )?(?:[A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]+\] )?")
_REASON = re.compile(r"(?:[\w.]*(?:Error|Exception):|Value error,|[\w.]+: error:) \S")
_SAYS_NOTHING = re.compile(r"Engine core initialization failed|EngineDeadError|\d+ validation error")
_NOISE = re.compile(r"resource_tracker|warnings\.warn")


class Vllm:
    is_billed = False

    def __init__(
        self, endpoint: Endpoint, where: str, weights: str, identity_of_weights: str, log_directory: Path
    ) -> None:
        """`weights` is a folder or a name on the hub, as vLLM takes them."""
        if endpoint.vllm is None:
            raise ThinkusError(f"{where}.vllm: is null, but backend=vllm needs it; see conf/endpoint/")
        self._options = endpoint.vllm
        self.identity = wire.identity_of("vllm", endpoint) | {
            "model": identity_of_weights,
            "max_length": self._options.max_length,
            "arguments": telling(self._options.arguments),
        }
        self._endpoint = endpoint
        self._where = where
        self._weights = weights
        self._log_directory = log_directory
        self._servers: list[_Server] = []

    async def open(self) -> None:
        groups = self._gpu_groups()
        command = self._command(has_gpus=bool(groups))
        self._log_directory.mkdir(parents=True, exist_ok=True)
        logs = (self._log_directory / f"vllm-{self._where}-{index}.log" for index in range(len(groups) or 1))
        self._servers = [
            _Server(self._endpoint, self._where, command, gpus, log)
            for gpus, log in zip(groups or [""], logs, strict=True)
        ]
        began = time.monotonic()
        on = f"GPU {' / '.join(groups)}" if groups else "the CPU"
        say(f"{self._where}: vLLM starts with {self._weights} on {on}; that takes a minute, or several")
        try:
            async with asyncio.TaskGroup() as group:
                for server in self._servers:
                    group.create_task(server.open())
        except BaseException as error:
            await self.close()
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0] from None
            raise
        say(f"{self._where}: vLLM answers after {time.monotonic() - began:.0f} s")

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers))
        self._servers = []

    async def complete(self, request: Request) -> Completion:
        """The requests of a thread go to one server, whose cache holds their common beginning."""
        place = zlib.crc32((request.thread or request.item).encode()) % len(self._servers)
        return await self._servers[place].complete(request)

    def _gpu_groups(self) -> list[str]:
        """The GPUs of each server, as CUDA_VISIBLE_DEVICES wants them; none on a machine without."""
        gpus, size = facts.visible_gpus(), gpus_of_a_server(self._options.arguments)
        if gpus and len(gpus) < size:
            raise ThinkusError(
                f"{self._where}.vllm.arguments: ask for {size} GPUs, and there are {len(gpus)}; "
                "lower --tensor-parallel-size, or run it where there are more"
            )
        return [",".join(gpus[start : start + size]) for start in range(0, len(gpus) - size + 1, size)]

    def _command(self, *, has_gpus: bool) -> list[str]:
        """The same for all servers; mistakes are told before anything is started."""
        options, model = self._options, wire.checked_model(self._endpoint, self._where)
        for word in options.arguments:
            if _option(word) in OURS:
                raise ThinkusError(
                    f"{self._where}.vllm.arguments: {_option(word)} is said by thinkus itself; remove it"
                )
        python = python_with_vllm(options.python, self._where)
        command = [python, "-m", "vllm.entrypoints.cli.main", "serve", self._weights]
        # Under that name it answers, so that a reply shows who gave it.
        command += ["--host", HOST, "--served-model-name", model, "--disable-uvicorn-access-log"]
        command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
        # Without a word vLLM wants room for one text as long as the model's window, 16 GB for Llama 3.1 and its
        # 131,072 tokens, and ends where a GPU's share has less.
        command += ["--max-model-len", "auto" if options.max_length is None else str(options.max_length)]
        if has_gpus:
            command += ["--gpu-memory-utilization", str(options.memory_share or MOST_MEMORY)]
        else:
            command += ["--dtype", "bfloat16", "--enforce-eager"]
        return [*command, *options.arguments]  # the user's words have the last say


class _Server:
    """One `vllm serve` under a warden, started again when it dies."""

    def __init__(self, endpoint: Endpoint, where: str, command: list[str], gpus: str, log: Path) -> None:
        self._endpoint = endpoint
        self._where = where
        self._command = command
        self._gpus = gpus
        self._log = log
        self._log_start = 0
        self._name = f"vLLM on {f'GPU {gpus}' if gpus else 'the CPU'}"
        self._port = socket.socket()
        self._process: subprocess.Popen[bytes] | None = None
        self._client: OpenAI | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_settled = asyncio.Event()
        """It answers, or never will again."""
        self._lost: str | None = None
        """Why it never will again."""

    async def open(self) -> None:
        self._log.unlink(missing_ok=True)
        await self._start()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._client is not None:
            await self._client.close()
        await self._end()
        self._port.close()

    async def complete(self, request: Request) -> Completion:
        """While it is started again, requests wait."""
        await self._is_settled.wait()
        if self._lost is not None or self._client is None:
            raise AttemptFailed(Kind.NO_SERVER, self._lost or "")
        process, url = self._process, self._url
        try:
            return await self._client.complete(request)
        except AttemptFailed as failure:
            is_suspect = failure.kind in (Kind.DROPPED, Kind.NO_SERVER, Kind.SERVER_ERROR)
            if is_suspect and not await _is_healthy(url) and await _has_ended(process, END_LIMIT_S):
                raise AttemptFailed(Kind.NO_SERVER, f"{self._name} died; its log is {self._log}") from None
            raise

    async def _keep(self) -> None:
        """A long run should outlive a crash or two, but not hide that it crashes always."""
        try:
            for restart in range(1, MOST_RESTARTS + 1):
                await _has_ended(self._process, math.inf)
                self._is_settled.clear()
                say(f"{self._where}: {self._why()}; it is started again ({restart} of {MOST_RESTARTS})")
                with suppress(ThinkusError):  # the next round says why
                    await self._start()
            await _has_ended(self._process, math.inf)
            self._lost = self._why()
        except OSError as error:  # such as a log that cannot be written: nobody may wait for ever
            self._lost = f"{self._name} cannot be started again ({error})"
        finally:
            self._is_settled.set()

    async def _start(self) -> None:
        """Until it answers; where it ends instead, the error has the reason out of its log."""
        self._port.close()
        self._port = _reserved_port()
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(WARDEN),
                    "--",
                    *self._command,
                    "--port",
                    self._url.rpartition(":")[2],
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self._gpus),
                start_new_session=True,  # Ctrl-C is for us, and we end it
            )
        until = time.monotonic() + START_LIMIT_S
        while not await _is_healthy(self._url):
            if time.monotonic() > until:
                await self._end()
            if await _has_ended(self._process, LOOK_EVERY_S):
                raise ThinkusError(f"{self._where}: {self._why()}")
        if self._client is not None:
            await self._client.close()
        own = {"api_base": f"{self._url}/v1", "api_key_env": None}
        self._client = OpenAI(self._endpoint.model_copy(update=own), self._where)
        await self._client.open()
        self._is_settled.set()

    async def _end(self) -> None:
        """It is the warden that ends it; we only close the pipe, as the kernel would if we were killed."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            if not await _has_ended(self._process, END_LIMIT_S):
                say(f"{self._where}: {self._name} has not ended yet; its log is {self._log}")

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self._port.getsockname()[1]}"

    def _why(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - LAST_BYTES))
            text = log.read().decode(errors="replace")
        status = self._process.returncode if self._process else None
        return f"{self._name} ended: {reason(text, status)}; its log is {self._log}"


def gpus_of_a_server(arguments: Sequence[str]) -> int:
    """One, but for a model that is spread over several by the user's own words."""
    words = [part for word in arguments for part in word.partition("=")[::2] if part]
    pairs = pairwise(words)
    return math.prod(
        int(value) for word, value in pairs if _PARALLEL.fullmatch(_option(word)) and value.isdigit()
    )


def telling(arguments: Sequence[str]) -> list[str]:
    """Of the words for `vllm serve` those that can change an answer."""
    told, is_telling = [], True
    for word in arguments:
        if word.startswith("-"):
            is_telling = not INDIFFERENT.fullmatch(_option(word))
        if is_telling:
            told.append(word)
    return told


def reason(log: str, status: int | None) -> str:
    """Why a server ended, by its log: one line, without a key."""
    if status == 128 + 9:
        return "it was killed, as the system does when memory runs out"
    lines = [_PREFIX.sub("", line).strip() for line in log.splitlines() if not _NOISE.search(line)]
    reasons = [line for line in lines if _REASON.match(line)]
    telling_reasons = [line for line in reasons if not _SAYS_NOTHING.search(line)]
    last = (telling_reasons or reasons or [line for line in lines if line] or ["it said nothing"])[-1]
    return wire.one_line(last.removeprefix("Value error, "), wire.secrets_of_environment())


def _option(word: str) -> str:
    return word.partition("=")[0].replace("_", "-")


def python_with_vllm(named: str | None, where: str) -> str:
    python = str(expanded(named)) if named else sys.executable
    find = "import importlib.util as u, sys; s = u.find_spec('vllm'); sys.exit(not (s and s.origin))"
    try:
        found = subprocess.run([python, "-c", find], env=_environment(""), capture_output=True)
    except OSError as error:
        raise ThinkusError(
            f"{where}.vllm.python: {python} cannot be run ({error.strerror}); name the python of an environment"
        ) from None
    if found.returncode:
        raise ThinkusError(
            f"{where}.vllm.python: {python} has no vLLM; pip install 'thinkus[vllm]' there, or name the python "
            f"of an environment that has it: {where}.vllm.python=FOLDER/bin/python"
        )
    return python


def _environment(gpus: str) -> dict[str, str]:
    own = {"CUDA_VISIBLE_DEVICES": gpus, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    own["PYTHONSAFEPATH"] = "1"  # nothing in the current folder passes for a module
    return {"VLLM_CPU_KVCACHE_SPACE": "2"} | os.environ | own


def _reserved_port() -> socket.socket:
    """A port that is nobody else's while the socket is open, and not only until we looked away.

    As it never listens, a server that says SO_REUSEADDR as well (vLLM's does) may take the port all the same.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((HOST, 0))
    return reservation


async def _is_healthy(url: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/health") as answer:
            return answer.status == 200
    return False


async def _has_ended(process: "subprocess.Popen[bytes] | None", within_s: float) -> bool:
    until = time.monotonic() + within_s
    while process is not None and process.poll() is None:
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(min(LOOK_EVERY_S, within_s))
    return True
