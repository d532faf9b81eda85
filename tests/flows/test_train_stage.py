"""The flow `train-stage` as a user runs it: killed and run again, it ends with the same weights."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from data_catalog.base.files import read_json
from data_catalog.connection import open_catalog
from tests.flows.conftest import STEPS, run_to_end, train, weights


def run_id(run: Path) -> str:
    """The id that the catalog knows a run by."""
    return read_json(run / "run.json")["run_id"]


def test_a_killed_training_run_again_ends_with_the_same_weights_and_is_in_the_catalog(data, trained, server, tmp_path):
    env, killed = server | {"OMP_NUM_THREADS": "1"}, tmp_path / "killed"
    process = subprocess.Popen(train(data, killed), env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = run_to_end(train(data, killed), env)
    assert again.returncode == 0, again.stdout + again.stderr
    assert weights(killed) == weights(trained)
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        runs = con.execute("SELECT stage, status, step FROM runs WHERE run = ?", [run_id(killed)]).fetchall()
        assert runs == [("starter", "finished", STEPS)]
        told = con.execute("SELECT bool_and(verified), max(step) FROM checkpoints WHERE run = ?", [run_id(killed)])
        assert told.fetchall() == [(True, STEPS)]


def test_ctrl_c_leaves_a_checkpoint_and_a_catalog_that_knows_it(data, server, tmp_path):
    run = tmp_path / "run"
    command = train(data, run, "--set=steps=100000", "--set=checkpoint_every=2")
    process = subprocess.Popen(
        command, env=server, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list(run.glob("checkpoints/step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(run.glob("checkpoints/step-*")), "there was no checkpoint in five minutes"
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert 0 <= said.find("Stopping: the training ends its step") < said.find("Stopped. Run the same command again")
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        ((status, step),) = con.execute("SELECT status, step FROM runs WHERE run = ?", [run_id(run)]).fetchall()
    assert (status, step) == ("stopped", max(int(path.name[-8:]) for path in run.glob("checkpoints/step-*")))
    assert step >= 2


def test_a_changed_setting_and_an_unknown_stage_are_refused_in_one_sentence(data, trained, server):
    changed = run_to_end(train(data, trained, "--set=learning_rate=0.5"), server)
    assert changed.returncode == 2
    (said,) = [line for line in changed.stderr.splitlines() if "learning_rate" in line]
    assert said.startswith("longdance: ")
    assert "Traceback" not in changed.stderr
    more = run_to_end(train(data, trained, "--processes", "2"), server)
    assert more.returncode == 2
    (said,) = [line for line in more.stderr.splitlines() if line.startswith("longdance: ")]
    assert "it began with something else (processes: 1 before, 2 now)" in said
    assert "with `--fork" in said
    assert "Traceback" not in more.stderr
    command = train(data, trained)
    unknown = run_to_end([*command[:4], "middle", *command[5:]], server)
    assert unknown.returncode == 2
    assert "'middle'" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_a_run_that_was_given_relative_folders_is_used_from_another_folder(data, trained, server, tmp_path):
    given = ["--set=encode.codec=codec", f"--set=init=run:../{trained.name}", "--set=steps=1"]
    done = run_to_end(train(data, tmp_path / "run", *given), server, trained)
    assert done.returncode == 0, done.stderr
    config = read_json(tmp_path / "run" / "run.json")["identity"]["config"]
    assert (config["encode"]["codec"], config["init"]) == (str(trained / "codec"), f"run:{trained}")
    command = [sys.executable, "-m", "flows.cli", "score", "--run", "run", "--data", str(data), "--k", "2"]
    done = run_to_end(command, server, tmp_path)
    assert done.returncode == 0, done.stderr


def test_verify_finds_latents_that_are_no_longer_what_was_written(data, trained, server, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    command = [sys.executable, "-m", "flows.cli", "verify", "--quick", "--data", str(copy)]
    assert run_to_end(command, server).returncode == 0
    latents = next(copy.glob("latents/*/*.f16"))
    latents.write_bytes(bytes([latents.read_bytes()[0] ^ 1]) + latents.read_bytes()[1:])
    done = run_to_end(command, server)
    assert done.returncode == 1
    assert f"{latents}: has other bytes than were written" in done.stdout


def test_a_dry_run_prints_config_parameters_memory_and_disk_and_makes_nothing(data, trained, server, tmp_path):
    done = run_to_end([*train(data, tmp_path / "run"), "--dry-run"], server)
    assert done.returncode == 0, done.stderr
    for words in ('"stage": "starter"', "parameters:", "predicted memory", "disk for checkpoints", "disk for latents"):
        assert words in done.stdout
    assert not (tmp_path / "run").exists()
