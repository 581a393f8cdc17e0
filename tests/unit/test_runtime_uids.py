from orchestrator.runtime import uids

RANGE = (1000, 50)


def test_a_name_always_has_the_same_uid():
    assert uids.find("owner", "alpha", set(), RANGE) == uids.find("owner", "alpha", set(), RANGE)


def test_projects_of_one_machine_differ():
    found = {uids.find(f"owner-{number}", "alpha", set(), RANGE) for number in range(40)}
    assert len(found) > 20


def test_a_taken_uid_gives_way_to_the_next_free_one():
    first = uids.find("owner", "alpha", set(), RANGE)
    second = uids.find("owner", "alpha", {first}, RANGE)
    assert second == (first + 1 - 1000) % 50 + 1000


def test_every_uid_of_the_range_is_found_before_one_is_used_twice():
    taken = set()
    for number in range(50):
        taken.add(uids.find("owner", f"plugin-{number}", taken, RANGE))
    assert taken == set(range(1000, 1050))


def test_the_usual_range_is_out_of_everybodys_way(tmp_path):
    whole = tmp_path / "uid_map"
    whole.write_text("         0          0 4294967295\n")
    assert uids.uid_range(whole) == (uids.FIRST, uids.COUNT)
    assert uids.FIRST + uids.COUNT < 2**31


def test_a_container_of_few_uids_has_a_smaller_range(tmp_path):
    rootless = tmp_path / "uid_map"
    rootless.write_text("         0       1000          1\n         1     100000      65535\n")
    assert uids.uid_range(rootless) == (uids.SMALL_FIRST, uids.SMALL_COUNT)
