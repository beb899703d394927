"""Words as numbers: what finding twins and formulas works on, the same on every machine."""

import re
import zlib

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

MOST_REMEMBERED = 500_000
# Scripts that put no space between words: there each character counts as one.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


class _WordHashes(dict[str, int]):
    """Words said often are looked up, not computed; it starts anew rather than grow without end."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[word] = value = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return value


_hashes = _WordHashes()


def word_hashes(text: str) -> Hashes:
    """A number for each word; case and punctuation do not count, unless there is nothing else."""
    words = _WORD.findall(text.casefold()) or text.split()
    return np.array([_hashes[word] for word in words], dtype=np.uint64)


def mixed(values: Hashes) -> Hashes:
    """Each value spread over all 64 bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
