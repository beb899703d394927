"""Personal data that stands in clear: addresses, telephone, card and account numbers.

A net for what corpora's own redaction left, not a proof that nothing is there.
"""

import re

PATTERNS = {
    "e-mail address": re.compile(r"\b[\w.+-]+@(?!example\.)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"),
    "card number": re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w.-])"),
    "bank account": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    # Only where it is written as one: digits with spaces between them are too many other things.
    "telephone number": re.compile(
        r"(?<![\w.+-])(?:\+\d{1,3}(?:[ .-]?\(?\d{2,4}\)?){2,4}"
        r"|\(\d{2,5}\)[ .-]?\d{3,4}[ .-]\d{3,4}|\d{3}[.-]\d{3}[.-]\d{4})(?![ .-]?\d)"
    ),
}


def personal_data(text: str) -> str | None:
    """What kind of personal data a text holds, if any."""
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            if kind == "card number" and not _is_card(match[0]):
                continue
            if kind == "bank account" and not _is_account(match[0]):
                continue
            return kind
    return None


def _is_card(text: str) -> bool:
    """By the check digit that all card numbers carry (Luhn)."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [
        digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1


def _is_account(text: str) -> bool:
    """By the check digits of an IBAN."""
    compact = text.replace(" ", "")
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
