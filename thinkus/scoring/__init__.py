"""Scoring: from verdicts, levels, endings and words to numbers. Pure: nothing here reads, asks or remembers."""
