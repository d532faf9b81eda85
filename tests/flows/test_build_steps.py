"""A shard in object storage whose clips kill workers is packed without them."""

from data_catalog.base.files import read_json
from data_catalog.base.store import Store
from flows.build_steps import encode_stored
from pipeline.batches.prepare_sources import build_keys
from pipeline.batches.stored_work import prepare_stored
from pipeline.workers.workers import WorkerDiedError, Workers


class Mortal(Workers):
    """Workers that are function calls, and die of one job."""

    def __init__(self, deadly):
        self.count, self.deadly, self.deaths = 1, deadly, 0

    def run(self, work, *arguments):
        jobs = arguments[0]
        if self.deadly in jobs or self.deadly in (jobs[0] if isinstance(jobs[0], list) else []):
            self.deaths += 1
            raise WorkerDiedError("killed")
        return work(*arguments)

    def close(self):
        """Nothing runs."""


def test_a_shard_is_packed_without_the_clips_that_kill_its_worker(bucket, built, dancer, pose_model):
    raw, data = Store.at(f"s3://{bucket}/raw"), Store.at(f"s3://{bucket}/data")
    raw.create("dancer.mp4", dancer)
    path, config = f"{raw.url}/dancer.mp4".encode(), built.config
    clips = built.data.clips(built.source_id, build_keys(config).clip_set)
    first, second = (clip["clip_id"] for clip in read_json(clips)["clips"])
    prepare_stored([(built.source_id, path)], data.url, config, pose_model)
    jobs = [(built.source_id, path, [first]), (built.source_id, path, [second])]
    workers = Mortal(jobs[1])
    worked = encode_stored.fn(workers, jobs, data.url, config, pose_model, [first, second], "shard 0")
    assert worked.killers == [jobs[1]]
    [packed] = worked.results
    assert packed.manifest is not None
    assert {row["clip_id"] for row in packed.manifest["samples"]} == {first}
    assert data.read(f"shards/{packed.manifest['shard']}")[0]
    assert workers.deaths == 2
