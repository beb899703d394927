import pytest

from thinkus.corpora.personal import personal_data


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail me at jane.doe+x@mail.host.org.", "e-mail address"),
        ("call +49 170 555 0123 after six", "telephone number"),
        ("my number is (212) 555-0147", "telephone number"),
        ("card 4111 1111 1111 1111 exp 12/27", "card number"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "bank account"),
    ],
)
def test_what_is_found(text: str, kind: str) -> None:
    assert personal_data(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.com is no one's address",
        "4111 1111 1111 1112 fails its check digit",
        "version 2.13.0, released 2024-05-13 12:30:45",
        "pi is 3.14159265358979 and 0000 0000 0000 0000 is nothing",
        "DE00 3704 0044 0532 0130 00 has a wrong check",
        "room 12 345 in 1984, 100 000 000 people, 192.168.0.1",
        "@dataclass and decorator@thing",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert personal_data(text) is None
