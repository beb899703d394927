"""What the documentation says can be typed, followed and opened: its commands, links and paths."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import pytest
import typer

from tests.pages import HERE, PAGES, blocks, commands, prose
from thinkus import compose, config, paths
from thinkus.cli import STAGES, app
from thinkus.compose import jobs
from thinkus.config import StageConfig
from thinkus.endpoint import Endpoint
from thinkus.errors import ConfigError
from thinkus.help import groups, yaml_value
from thinkus.llm import store
from thinkus.schema import IndifferentMark, Schema

CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("thinkus", "conf", "prompts", "tests", "docs", "bench", "scripts")
"""What lies in these is named by its path."""
OTHERS = {"source", "export", "git", "cd", "hf", "sbatch", "scancel"}
"""Commands that are not ours."""
WRONG_ON_PURPOSE = {("thinkus", "sft", "model=nope")}
"""To be timed."""
TABLE_ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


class Said(NamedTuple):
    page: str
    words: tuple[str, ...]
    is_inline: bool

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def said(page: Path) -> Iterator[Said]:
    """Every command of a page: those in its consoles, and those of ours between the lines."""
    for block in blocks(page):
        if block.kind == "console":
            yield from (Said(page.name, tuple(words), False) for words in commands(block.text))
    for text in CODE.findall(prose(page)):
        if re.match(r"([A-Z_]+=\S+ )*(thinkus|make|pip) ", text) and "..." not in text:
            yield from (Said(page.name, tuple(words), True) for words in commands(text.replace("\\|", "|")))


ALL = [one for page in PAGES for one in said(page)]
OURS = [one for one in ALL if one.words[0] == "thinkus"]


def stands_for_something(one: Said) -> bool:
    """`data=NAME`, `thinkus STAGE`: in prose, for any."""
    group_of_any = (word.partition("=") for word in one.words)
    options = {group for stage in STAGES for group in groups(stage)}
    return one.is_inline and any(
        (key in options and value.isupper()) or key == "STAGE" for key, _, value in group_of_any
    )


def parsed(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """By the command line's own parser: the command, and what it would be called with."""
    command: Any = typer.main.get_command(app)
    name, rest, above = "thinkus", list(words), None
    while hasattr(command, "resolve_command"):
        if not rest or rest[0].startswith("-"):  # those act as they are read
            assert set(rest) <= {"--help", *(option for one in command.params for option in one.opts)}
            return name, {}
        above = command.make_context(name, rest, parent=above)
        name, command, rest = command.resolve_command(above, [*above._protected_args, *above.args])
    if rest == ["--help"]:
        return name, {}
    return name, command.make_context(name, rest, parent=above).params


@cache
def composed(stage: str, words: tuple[str, ...]) -> Any:
    return hydra.compose(stage, list(words), return_hydra_config=True)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred commands have most of their files in common, and each takes Hydra a while."""
    monkeypatch.setattr(compose, "compose", lambda stage, words, **_: composed(stage, tuple(words)))


@pytest.mark.parametrize("one", OURS, ids=str)
def test_a_command_of_ours_is_understood(one: Said) -> None:
    if stands_for_something(one):
        return
    name, told = parsed(one.words[1:])
    stage = "simulate" if name == "chat" else name
    if one.words in WRONG_ON_PURPOSE:
        with pytest.raises(ConfigError):
            jobs(stage, told["words"], sweep=told["multirun"])
    elif (
        stage in STAGES and told and one.page != "extending.md"
    ):  # that has a test of its own, which adds files
        assert jobs(stage, told["words"] or (), sweep=told.get("multirun", False))


@cache
def targets() -> set[str]:
    """As make itself reads them; it makes nothing."""
    asked = ["make", "--print-data-base", "--no-builtin-rules", "--question", "help"]
    shown = subprocess.run(asked, capture_output=True, text=True, cwd=HERE).stdout
    return set(re.findall(r"^([a-z][\w-]*):", shown, re.MULTILINE))


@pytest.mark.parametrize("one", [one for one in ALL if one.words[0] == "make"], ids=str)
def test_a_target_of_make_is_there(one: Said) -> None:
    for word in one.words[1:]:
        assert "=" in word or word.startswith("-") or word in targets()


def test_make_says_only_what_is_there() -> None:
    """The Makefile's own lines compose as well, but for what make puts in."""
    for line in re.findall(r"^\t@?\$\(BIN\)/thinkus (.+)$", (HERE / "Makefile").read_text(), re.MULTILINE):
        name, told = parsed([word for word in line.split() if "$" not in word])
        assert name in STAGES or name == "runs", (line, told)


@pytest.mark.parametrize("one", [one for one in ALL if one.words[0] == "pip"], ids=str)
def test_an_extra_is_there(one: Said) -> None:
    extras = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"(?:thinkus|\.)\[([\w,]+)\]", " ".join(one.words)):
        assert set(names.split(",")) <= set(extras)
    for file in (word for before, word in zip(one.words, one.words[1:], strict=False) if before == "-c"):
        assert (HERE / file).exists()


def test_no_other_command_is_in_a_console() -> None:
    """What is, has a test of its own, or is nobody's to hold."""
    known = {"thinkus", "make", "pip", "sqlite3", *OTHERS}
    assert [str(one) for one in ALL if one.words[0] not in known] == []


@pytest.mark.parametrize("one", [one for one in ALL if one.words[0] == "sqlite3"], ids=str)
def test_a_question_to_the_store_is_one_that_it_can_answer(one: Said, tmp_path: Path) -> None:
    assert Path(one.words[1]).name == store.NAME
    connection = store.opened(tmp_path / store.NAME)
    connection.execute(one.words[2])
    connection.close()


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda one: one.name if isinstance(one, Path) else one)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    place, _, anchor = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    assert target.exists()
    assert HERE in target.parents
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_by_its_path_is_there(page: Path) -> None:
    for text in CODE.findall(prose(page)):
        for word in re.findall(rf"(?<![\w./~-])(?:{'|'.join(FOLDERS)})/[\w./<>{{}}*-]*", text):
            if not re.search(r"[<>{}]|[A-Z]{2}", word):  # those stand for any
                assert list(HERE.glob(word.rstrip("./"))), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_is_named_alone_is_somewhere(page: Path) -> None:
    known = {file.name for folder in FOLDERS for file in (HERE / folder).rglob("*.*")}
    known |= {file.name for file in HERE.iterdir()}
    for text in CODE.findall(prose(page)):
        if re.fullmatch(r"\w+\.(py|md|yaml|toml)", text) and text not in MADE:
            assert text in known, text


MADE = {"config.yaml", "report.md"}
"""By a run, and so not here."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_is_python_and_what_it_imports_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "python":
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("thinkus"):
                    module = import_module(str(node.module))
                    assert all(hasattr(module, alias.name) for alias in node.names)


# What pages say of the configuration and of the code ---------------------------------------------


def rows(page: str, section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    text = (HERE / "docs" / page).read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [row.split(" | ") for row in TABLE_ROW.findall(text)][1:]


def test_the_groups_are_those_of_the_page() -> None:
    found: dict[str, tuple[list[str], list[str]]] = {}
    for stage in STAGES:
        for group, options in groups(stage).items():
            found.setdefault(group, ([], options))[0].append(stage)
    told = {
        row[0].strip("`"): (row[1].split(", "), row[3].split()) for row in rows("configuration.md", "Groups")
    }
    assert told.keys() == found.keys()
    for group, (stages, options) in found.items():
        assert told[group][0] == stages
        assert group == "experiment" or sorted(told[group][1]) == options


@pytest.mark.parametrize("row", rows("configuration.md", "Names"), ids=lambda row: str(row[0]))
def test_names_are_those_of_the_page(row: list[str]) -> None:
    ((_, stage, *words),) = commands(row[0].strip("`"))
    (job,) = jobs(stage, words, sweep=False)
    assert f"outputs/{stage}/{job.name}" == row[1].strip("`")


def indifferent(schema: type[Schema]) -> set[str]:
    fields = schema.model_fields.items()
    return {key for key, field in fields if any(isinstance(mark, IndifferentMark) for mark in field.metadata)}


def test_what_changes_nothing_is_what_the_page_says() -> None:
    types: dict[str, type[Schema]] = {
        "every stage": StageConfig,
        "`data`": config.Data,
        "`model`": config.Model,
        "an endpoint": Endpoint,
        **{stage: getattr(config, f"{stage.capitalize()}Config") for stage in STAGES},
    }
    told = {
        row[0]: set(CODE.findall(row[1])) for row in rows("configuration.md", "What makes another result")
    }
    assert told == {
        of: indifferent(schema) - (indifferent(StageConfig) if of in STAGES else set())
        for of, schema in types.items()
    }


def test_variables_with_keys_are_those_of_the_page() -> None:
    told = {
        row[0].strip("`"): set(CODE.findall(row[1])) for row in rows("configuration.md", "Endpoints and keys")
    }
    for group in ("annotator", "judge"):
        for option in paths.group_options(group):
            if variable := yaml_value(paths.CONF / group / f"{option}.yaml", "api_key_env"):
                assert told[variable] & {f"{group}={option}", option}


def test_every_room_and_every_file_at_the_top_is_on_the_map() -> None:
    cells = [row[0] for row in rows("architecture.md", "The rooms")]
    named = {text.removeprefix("thinkus/") for cell in cells for text in CODE.findall(cell)}
    here = {file.name for file in paths.PACKAGE.glob("*.py")} - {"__init__.py"}
    here |= {f"{file.parent.name}/" for file in paths.PACKAGE.glob("*/__init__.py")}
    assert here <= named, here - named
