"""What counts as a word, and as one with content."""

import pytest

from thinkus.scoring.words import content_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD!", ["hello", "world"]),
        ("don't / don\u2019t / 'quoted'", ["don't", "don't", "quoted"]),
        ("snake_case x2 3.5", ["snake", "case", "x2", "3", "5"]),
        ("Stra\u00dfe", ["strasse"]),
        ("\u4f60\u597d GPT", ["\u4f60", "\u597d", "gpt"]),
        ("??? :-)", ["???", ":-)"]),
        ("ok ???", ["ok"]),
        (" \n", []),
        ("", []),
    ],
)
def test_a_text_has_these_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_content_is_what_the_text_is_about() -> None:
    assert content_words("I'd like to plan a trip, for my parents: to Rome.") == {
        "like", "plan", "trip", "parents", "rome",
    }  # fmt: skip
    assert not content_words("What is it that you don't have?")
