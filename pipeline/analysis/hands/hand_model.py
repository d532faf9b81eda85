"""Getting the hand model: two networks out of a mediapipe 0.10.21 wheel (Apache-2.0), as `pose_model` gets its own."""

from pathlib import Path

from pipeline.analysis.pose_model import adapted
from pipeline.model_files import ModelFile

MODELS = {  # name in the bundle: (path in the wheel, sha256)
    "hand_detector.tflite": (
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "hand_landmarks_detector.tflite": (
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}
MEAN, STD = 0.0, 255.0
"""Of both networks' input image."""


def hand_model_path(keep: bool = False) -> Path:
    """The hand model: $LONGDANCE_HAND_MODEL, or the cached one, made now if it is not there; see `ModelFile.path`."""
    return MODEL_FILE.path(keep)


MODEL_FILE = ModelFile(
    what="hand model",
    name="hand_landmarker_full.task",
    variable="LONGDANCE_HAND_MODEL",
    wheel="mediapipe==0.10.21",
    kind="a hand_landmarker .task file",
    members=MODELS,
    adapt=lambda name, network: adapted(network, MEAN, STD, drops_mask=False),
)
