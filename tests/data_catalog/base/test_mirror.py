"""Records lie here and in the store, large files in the store alone, and both are read alike."""

import pytest

from data_catalog.base.mirror import Mirror, read_part, size_of
from data_catalog.base.store import Store


@pytest.fixture
def mirror(bucket, tmp_path):
    return Mirror(Store.at(f"s3://{bucket}/data"), tmp_path / "here")


def test_records_come_here_and_large_files_stay_there_yet_can_be_read(mirror):
    mirror.store.create("clips/set/a.json", b"{}")
    mirror.store.create("analysis/key/a.json", b"{}")
    mirror.store.create("shards/one.tar", b"0123456789")
    assert mirror.pull()
    assert not mirror.pull()
    here = {str(path.relative_to(mirror.folder)) for path in mirror.folder.rglob("*") if path.suffix}
    assert here == {"clips/set/a.json"}
    tar = mirror.folder / "shards" / "one.tar"
    assert (size_of(tar), read_part(tar, 3, 4)) == (10, b"3456")
    with pytest.raises(FileNotFoundError):
        size_of(tar.with_name("two.tar"))
    assert read_part(tar.with_name("two.tar"), 0, 1) is None


def test_what_is_gone_from_the_store_goes_here(mirror):
    mirror.store.create("clips/set/a.json", b"{}")
    mirror.store.create("shards/one.tar", b"01")
    mirror.pull()
    mirror.store.delete("clips/set/a.json", "shards/one.tar")
    assert mirror.pull()
    assert not (mirror.folder / "clips/set/a.json").exists()
    with pytest.raises(FileNotFoundError):
        size_of(mirror.folder / "shards/one.tar")


def test_what_was_made_here_is_put_but_for_what_workers_read_and_what_is_another_s(mirror):
    mirror.store.create("failures/set/x.json", b'"theirs"')
    for key in ("failures/set/x.json", "failures/set/y.json", "work/s.json", "paths.json", "clips/.tmp-1.json"):
        (mirror.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (mirror.folder / key).write_text('"mine"')
    mirror.store.create("paths.json", b'"old"')
    mirror.push()
    there = {info.key: mirror.store.read(info.key)[0] for info in mirror.store.listed()}
    assert there == {
        "failures/set/x.json": b'"theirs"', "failures/set/y.json": b'"mine"', "paths.json": b'"mine"',
    }  # fmt: skip
