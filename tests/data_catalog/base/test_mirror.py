"""Records lie here and in the store, large files in the store alone; what is finished is never written over."""

import pytest

from data_catalog.base.large_files import stored_size
from data_catalog.base.mirror import Mirror
from data_catalog.base.store import Store


@pytest.fixture
def mirror(bucket, tmp_path):
    return Mirror(Store.at(f"s3://{bucket}/data"), tmp_path / "here")


def pulled(mirror: Mirror) -> bool:
    """Whether a pull found the records here stale."""
    said: list[bool] = []
    mirror.pull(lambda: said.append(True))
    return bool(said)


def write(mirror: Mirror, key: str, content: str) -> None:
    (mirror.folder / key).parent.mkdir(parents=True, exist_ok=True)
    (mirror.folder / key).write_text(content)


def there(mirror: Mirror) -> dict[str, bytes]:
    return {info.key: mirror.store.read(info.key)[0] for info in mirror.store.listed()}


def test_records_come_here_and_large_files_stay_there_yet_can_be_read(mirror):
    for key in ("clips/set/a.json", "latents/c/one.json", "latents/c/text-1.safetensors", "analysis/key/a.json"):
        mirror.store.create(key, b"{}")
    mirror.store.create("shards/one.tar", b"0123456789")
    assert pulled(mirror)
    assert not pulled(mirror)
    here = {str(path.relative_to(mirror.folder)) for path in mirror.folder.rglob("*") if path.suffix}
    assert here == {"clips/set/a.json", "latents/c/one.json", "latents/c/text-1.safetensors"}
    assert stored_size(mirror.folder / "shards" / "one.tar") == 10


def test_what_is_gone_from_the_store_goes_here(mirror):
    mirror.store.create("clips/set/a.json", b"{}")
    mirror.store.create("shards/one.tar", b"01")
    mirror.pull()
    mirror.store.delete("clips/set/a.json", "shards/one.tar")
    assert pulled(mirror)
    assert not (mirror.folder / "clips/set/a.json").exists()
    with pytest.raises(FileNotFoundError):
        stored_size(mirror.folder / "shards/one.tar")


def test_what_was_made_here_is_put_but_for_what_workers_read_and_what_is_another_s(mirror):
    mirror.store.create("failures/set/x.json", b'"theirs"')
    mirror.store.create("rows/run-1.json", b'"of the head that trains it"')
    for key in ("failures/set/x.json", "failures/set/y.json", "work/s.json", "paths.json", "clips/.tmp-1.json"):
        write(mirror, key, '"mine"')
    write(mirror, "rows/run-1.json", '"older"')
    mirror.store.create("paths.json", b'"old"')
    mirror.push()
    assert there(mirror) == {
        "failures/set/x.json": b'"theirs"', "failures/set/y.json": b'"mine"', "paths.json": b'"mine"',
        "rows/run-1.json": b'"of the head that trains it"',
    }  # fmt: skip


def test_rows_of_a_run_are_replaced_by_who_trains_it_and_come_to_others(mirror):
    mirror.store.create("rows/run-1.json", b'"step 2"')
    mirror.pull()
    write(mirror, "rows/run-1.json", '"step 4"')
    mirror.put([mirror.folder / "rows" / "run-1.json"])
    other = Mirror(mirror.store, mirror.folder.with_name("other head"))
    other.pull()
    assert (other.folder / "rows/run-1.json").read_text() == '"step 4"'


def test_what_a_dead_worker_left_without_a_manifest_is_replaced_and_what_has_one_stays(mirror):
    for key in ("latents/c/dead.f16", "latents/c/done.f16", "latents/c/done.json"):
        mirror.store.create(key, b"theirs")
    made = ["latents/c/done.json", "latents/c/done.f16", "latents/c/dead.json", "latents/c/dead.f16"]
    for key in made:
        write(mirror, key, "mine")
    mirror.put(mirror.folder / key for key in made)
    assert there(mirror) == {
        "latents/c/dead.f16": b"mine", "latents/c/dead.json": b"mine", "latents/c/done.f16": b"theirs",
        "latents/c/done.json": b"theirs",
    }  # fmt: skip
