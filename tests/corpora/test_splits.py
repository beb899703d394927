from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from thinkus.corpora.splits import draw, joined

corpora = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 8)), unique_by=lambda row: row[0], max_size=40
)
sizes = st.integers(0, 12)


def split(rows: list[tuple[int, int]], train: int | None, test: int, seed: int) -> dict[str, str | None]:
    ids = [f"c{number}" for number, _ in rows]
    groups = joined(len(rows), [[user for _, user in rows]])
    return dict(zip(ids, draw(ids, groups, train=train, test=test, seed=seed), strict=True))


@given(corpora, sizes, sizes, st.integers(0, 3))
def test_no_group_stands_on_both_sides_and_sizes_are_kept(
    rows: list[tuple[int, int]], train: int, test: int, seed: int
) -> None:
    drawn = split(rows, train, test, seed)
    sides: dict[int, set[str | None]] = {}
    for number, user in rows:
        sides.setdefault(user, set()).add(drawn[f"c{number}"])
    assert not any({"train", "test"} <= side for side in sides.values())
    counts = Counter(drawn.values())
    assert counts["test"] == min(test, len(rows))
    assert counts["train"] <= train


@given(corpora, st.randoms(use_true_random=False), st.none() | sizes, sizes, st.integers(0, 3))
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[int, int]], random: object, train: int | None, test: int, seed: int
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert split(rows, train, test, seed) == split(shuffled, train, test, seed)


def test_another_seed_draws_others() -> None:
    rows = [(number, number) for number in range(200)]
    drawn = [
        {name for name, side in split(rows, None, 50, seed).items() if side == "test"} for seed in (0, 1)
    ]
    assert drawn[0] != drawn[1]
    assert 2 < len(drawn[0] & drawn[1]) < 30  # 12.5 expected of independent draws


def test_everyone_not_tested_is_trained_on_when_no_size_is_said() -> None:
    rows = [(number, number) for number in range(20)]
    assert Counter(split(rows, None, 5, 0).values()) == {"train": 15, "test": 5}


def test_labellings_join() -> None:
    #        a  a  b  b  c  c        x at 1 and 2 joins a with b
    users = [1, 1, 2, 2, None, None]
    twins = ["w", "x", "x", "y", "z", None]
    assert joined(6, [users, twins]) == [0, 0, 0, 0, 4, 5]
