"""Who is trained on and who is tested on: drawn by a seed, whatever the order of the rows.

Conversations that belong together (a user's, a near-duplicate's) are one group and never
stand on both sides, so that a test conversation has no twin in train.
"""

import hashlib
from collections.abc import Iterable, Sequence, Set

from thinkus.records import Split


def joined(count: int, labellings: Iterable[Sequence[object]]) -> list[int]:
    """The finest grouping that keeps every labelling's groups whole; a group is named by its first member.

    A label of None belongs to nobody.
    """
    parent = list(range(count))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for labels in labellings:
        first: dict[object, int] = {}
        for member, label in enumerate(labels):
            if label is None:
                continue
            one, other = root(first.setdefault(label, member)), root(member)
            parent[max(one, other)] = min(one, other)
    return [root(member) for member in range(count)]


def draw(
    ids: Sequence[str],
    groups: Sequence[int],
    *,
    train: int | None,
    test: int,
    seed: int,
    held_out: Set[str] = frozenset(),
) -> list[Split | None]:
    """Test first, then train, group by group in an order that the seed decides; None: not drawn.

    What the test set has no more room for is not drawn at all rather than trained on; of a group
    with held-out members only these are tested on.
    """
    splits: list[Split | None] = ["test" if name in held_out else None for name in ids]
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    free = [group for group in members.values() if all(splits[index] is None for index in group)]
    for together in free:
        together.sort(key=lambda index: ids[index])
    free.sort(key=lambda together: _lot(ids[together[0]], seed))

    room: dict[Split, int] = {
        "test": max(0, test - len(held_out)),
        "train": len(ids) if train is None else train,
    }
    for together in free:
        side: Split = "test" if room["test"] > 0 else "train"
        for index in together[: room[side]]:
            splits[index] = side
        room[side] -= min(len(together), room[side])
    return splits


def _lot(name: str, seed: int) -> bytes:
    """A draw that is the same on every machine, and as good as independent for each name and seed."""
    return hashlib.blake2b(name.encode(), digest_size=16, key=seed.to_bytes(8, "little")).digest()
