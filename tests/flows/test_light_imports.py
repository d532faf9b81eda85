"""What a command imports before it begins, which everybody waits for: nothing heavy that it does not use."""

import subprocess
import sys


def said_by(code: str) -> list[str]:
    """What a new Python prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_flows_leave_networks_and_video_analysis_to_those_who_work() -> None:
    unused = {"diffusers", "accelerate", "transformers", "scenedetect", "mediapipe", "librosa", "ray"}
    modules = "flows.train_stage, flows.score_and_prune, model.training.fitting_codec, model.scoring.score_table"
    assert said_by(f"import sys, {modules}; print(*{unused!r} & set(sys.modules))") == []


def test_a_training_and_a_scoring_leave_bitsandbytes_alone_until_it_is_wanted() -> None:
    unused = {"bitsandbytes", "torch._inductor.compile_fx", "mediapipe"}
    began = f"import sys, model.training.train, model.scoring.score; print(*{unused!r} & set(sys.modules))"
    assert said_by(f"{began}\nfrom bitsandbytes import functional; print(functional.__name__)") == [
        "bitsandbytes.functional"
    ]
