"""One writer for each run, whatever happens to the writers."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from thinkus import claims
from thinkus.claims import Claim, Owner, holder
from thinkus.errors import RunRefused


def write_claim(directory: Path, owner: Owner, generation: int = 1, age_s: float = 0) -> Path:
    path = directory / f"claim-{generation}.json"
    path.write_text(json.dumps(asdict(owner)))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_second_claim_is_refused_and_names_the_owner(tmp_path: Path) -> None:
    with Claim.take(tmp_path), pytest.raises(RunRefused, match=f"process {os.getpid()} on "):
        Claim.take(tmp_path)
    with Claim.take(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_owner_is_replaced_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from thinkus.claims import Claim; "
        "Claim.take(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert holder(tmp_path) is not None
        with pytest.raises(RunRefused):
            Claim.take(tmp_path)
        child.send_signal(signal.SIGKILL)
    assert holder(tmp_path) is None
    with Claim.take(tmp_path) as claim:
        assert claim.path.name == "claim-2.json"
        assert [path.name for path in tmp_path.iterdir()] == ["claim-2.json"]


def test_an_owner_on_another_host_lives_as_long_as_its_heartbeat(tmp_path: Path) -> None:
    elsewhere = replace(Owner.here(), host="elsewhere", pid=1)
    write_claim(tmp_path, elsewhere, age_s=claims.STALE_AFTER_S / 2)
    with pytest.raises(RunRefused, match="elsewhere"):
        Claim.take(tmp_path)
    write_claim(tmp_path, elsewhere, age_s=claims.STALE_AFTER_S * 2)
    with Claim.take(tmp_path):
        pass


def test_another_process_with_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    write_claim(tmp_path, replace(Owner.here(), pid_start="1"))
    with Claim.take(tmp_path) as claim:
        assert claim.path.name == "claim-2.json"


def test_an_owner_in_another_container_is_not_looked_up_here(tmp_path: Path) -> None:
    write_claim(tmp_path, replace(Owner.here(), pid=2**22 + 1, pid_space="pid:[1]"))
    with pytest.raises(RunRefused):
        Claim.take(tmp_path)


def test_a_claim_from_another_boot_is_judged_by_its_age(tmp_path: Path) -> None:
    """It may be this machine before a reboot, or another machine of the same name."""
    before = replace(Owner.here(), boot="before")
    write_claim(tmp_path, before)
    with pytest.raises(RunRefused):
        Claim.take(tmp_path)
    write_claim(tmp_path, before, age_s=claims.STALE_AFTER_S * 2)
    with Claim.take(tmp_path):
        pass


def test_a_living_owner_on_this_machine_keeps_its_claim_whatever_the_clock_says(tmp_path: Path) -> None:
    with Claim.take(tmp_path) as claim:
        os.utime(claim.path, (0, 0))
        with pytest.raises(RunRefused, match="is being written by"):
            Claim.take(tmp_path)
        claim.check()


def test_a_claim_of_the_same_name_by_another_is_not_ones_own(tmp_path: Path) -> None:
    with Claim.take(tmp_path) as claim:
        write_claim(tmp_path, Owner.here())
        with pytest.raises(RunRefused, match="another took the run over"):
            claim.check()
    assert claim.path.exists()  # the other's: not ours to remove


def test_a_process_that_proc_hides_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claim(tmp_path, Owner.here())
    monkeypatch.setattr(claims, "_process_start", lambda pid: claims.UNKNOWN)
    with pytest.raises(RunRefused):
        Claim.take(tmp_path)


def test_a_claim_cut_off_while_written_is_judged_by_its_age(tmp_path: Path) -> None:
    path = tmp_path / "claim-1.json"
    path.write_text('{"host": ')
    with pytest.raises(RunRefused, match="another process"):
        Claim.take(tmp_path)
    os.utime(path, (0, 0))
    with Claim.take(tmp_path):
        pass


def test_whoever_lost_its_claim_notices_before_it_writes(tmp_path: Path) -> None:
    with Claim.take(tmp_path) as claim:
        claim.check()
        claim.path.unlink()
        with pytest.raises(RunRefused, match="another took the run over"):
            claim.check()


def test_the_heartbeat_touches_the_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_S", 0.01)
    with Claim.take(tmp_path) as claim:
        os.utime(claim.path, (0, 0))
        deadline = time.monotonic() + 5
        while claim.path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert claim.path.stat().st_mtime > 0


def _race(directory: Path, start: Barrier, wins: "multiprocessing.Queue[int]") -> None:
    start.wait()
    try:
        claim = Claim.take(directory)
    except RunRefused:
        wins.put(0)
        return
    wins.put(1)
    time.sleep(0.3)
    claim.release()


def test_of_many_that_find_a_dead_claim_one_gets_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        write_claim(directory, replace(Owner.here(), pid_start="1"))
        start, wins = context.Barrier(8), context.Queue()
        racers = [context.Process(target=_race, args=(directory, start, wins)) for _ in range(8)]
        for racer in racers:
            racer.start()
        won = sum(wins.get(timeout=20) for _ in racers)
        for racer in racers:
            racer.join()
        assert won == 1


def _take_often(directory: Path, rounds: int, inside: "multiprocessing.Queue[tuple[int, int]]") -> None:
    """Hold the claim for moments; a witness file says whether anybody else is inside."""
    held = meetings = 0
    witness = directory.parent / "inside"
    for _ in range(rounds):
        try:
            claim = Claim.take(directory)
        except RunRefused:
            continue
        try:
            witness.open("x").close()
        except FileExistsError:
            meetings += 1
        else:
            held += 1
            witness.unlink()
        claim.release()
    inside.put((meetings, held))


def test_nobody_meets_another_inside(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    directory = tmp_path / "run"
    directory.mkdir()
    inside = context.Queue()
    crowd = [context.Process(target=_take_often, args=(directory, 400, inside)) for _ in range(6)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    figures = [inside.get(timeout=5) for _ in crowd]
    assert sum(meetings for meetings, _ in figures) == 0
    assert sum(held for _, held in figures) > 10


def test_a_claim_is_withdrawn_when_another_appeared_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = claims._create

    def too_late(path: Path, content: str) -> bool:
        write_claim(tmp_path, replace(Owner.here(), host="elsewhere"), generation=2)
        return create(path, content)

    monkeypatch.setattr(claims, "_create", too_late)
    with pytest.raises(RunRefused, match="has just claimed it"):
        Claim.take(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["claim-2.json"]
