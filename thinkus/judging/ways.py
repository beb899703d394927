"""All ways of judging, by the name of their task."""

from thinkus.judging import ending, goals, hindsight, likeness, online, pairwise, terminal
from thinkus.judging.task import Way

WAYS: dict[str, Way] = {
    "pairwise": pairwise,
    "terminal": terminal,
    "goals": goals,
    "online": online,
    "ending": ending,
    "likeness": likeness,
    "hindsight": hindsight,
}
