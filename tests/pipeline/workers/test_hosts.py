"""A host that would make other bytes, or sees other files, is named in one sentence."""

import pytest

from pipeline.workers import hosts


def test_a_host_that_is_the_same_is_taken():
    assert hosts.difference("10.0.0.2", hosts.facts_here()) is None


@pytest.mark.parametrize("name", ["longdance", "Python", "mediapipe", "ffmpeg", "code"])
def test_another_version_is_one_sentence(name):
    said = hosts.difference("10.0.0.2", {**hosts.facts_here(), name: "0.0.1"})
    here = hosts.facts_here()[name]
    assert said == f"Host 10.0.0.2 has {name} 0.0.1, here it is {here}: install the same longdance on every host."


def test_a_version_that_a_host_does_not_tell_is_another():
    facts = hosts.facts_here()
    del facts["numpy"]
    assert "has numpy none" in str(hosts.difference("10.0.0.2", facts))


def test_a_file_that_is_missing_or_other_is_named_even_if_its_name_is_no_text(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "SEEN_S", 0.3)
    there, missing = tmp_path / "a", tmp_path / "b\udcff"
    there.write_bytes(b"12")
    [place] = hosts.places([there])
    assert hosts.unseen([place]) is None
    missing.write_bytes(b"3")
    wanted = hosts.places([there, missing])
    missing.unlink()
    assert hosts.unseen(wanted) == str(tmp_path / "b\\xff")
    there.write_bytes(b"123")
    assert hosts.unseen([place]) == str(there)
