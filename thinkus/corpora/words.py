"""Words as numbers: what finding twins and formulas works on, the same on every machine."""

import re
import zlib

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")


def word_hashes(text: str) -> Hashes:
    """A number for each word; case and punctuation do not count."""
    words = _WORD.findall(text.casefold())
    return np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words], dtype=np.uint64)


def mixed(values: Hashes) -> Hashes:
    """Each value spread over all 64 bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
