"""Nothing that is written anywhere holds a credential or a signed address: Ray's logs, Prefect's database, mirrors."""

import pytest

from data_catalog.base.store import Store
from tests.object_store import SECRETS, failing_before, s3_server
from tests.object_store import environment as s3_environment
from tests.stored import objects_below
from tests.two_hosts.hosts import (
    GATEWAY,
    cluster,
    draw_videos,
    fill_buckets,
    hosts,
    kill,
    models,
    need_rights,
    on_cluster,
    written_with,
)
from tests.two_hosts.test_object_storage import build, killed, until

pytest.importorskip("ray")
pytest.importorskip("obstore")

TOKEN = "aSessionTokenThatIsWrittenNowhere"


def test_a_build_on_a_cluster_from_a_bucket_leaves_no_credential_and_no_signed_address_anywhere(tmp_path, monkeypatch):
    need_rights()
    raw = draw_videos(tmp_path / "raw", (12,), 30)
    with hosts(1, share_folders=False) as [host], s3_server(GATEWAY) as s3:
        fill_buckets(s3, raw, monkeypatch)
        with failing_before(s3, 0.1, GATEWAY) as (flaky, failed):
            more = {**s3_environment(flaky), "AWS_SESSION_TOKEN": TOKEN, **models()}
            with cluster([host], more) as address:
                env = on_cluster(host, address, more)
                words = build("s3://raw/in", "s3://data/dance")
                with killed(host.command(words), env, tmp_path / "said") as first:
                    until(lambda: host.pids("ray::Worker.run"), first)
                    kill(host, "ray::Worker")  # a crash has its say in logs, too
                    assert first.wait(300) == 0
                nowhere = host.run(*build("s3://nobucket", "s3://data/no"), env=env, check=False)
        made = objects_below(Store("s3://data/dance"), "")
        assert failed[0]
        assert any("/ray/session_" in found for found in written_with(host, ["raylet"]))
        assert any("/prefect/" in found for found in written_with(host, ["build-dataset"]))
        assert any("/cache/longdance/mirrors/" in found for found in written_with(host, ["s3://raw/in"]))
        assert written_with(host, [*SECRETS, TOKEN]) == []
    said = (tmp_path / "said").read_text() + nowhere.stdout + nowhere.stderr
    assert nowhere.returncode == 2
    assert not [
        word for word in (*SECRETS, TOKEN) if word in said or any(word.encode() in body for body in made.values())
    ]
