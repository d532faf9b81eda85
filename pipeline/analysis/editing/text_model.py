"""Getting the text model: PP-OCRv4's small networks out of a rapidocr wheel (Apache-2.0), checked, cached per user."""

from pathlib import Path

from pipeline.model_files import ModelFile

MODELS = {  # name in the bundle: (path in the wheel, sha256)
    "detector.onnx": (
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "reader.onnx": (
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
}


def text_model_path(keep: bool = False) -> Path:
    """The text model: $LONGDANCE_TEXT_MODEL, or the cached one, made now if it is not there; see `ModelFile.path`."""
    return MODEL_FILE.path(keep)


MODEL_FILE = ModelFile(
    what="text model",
    name="text_ppocr_v4.zip",
    variable="LONGDANCE_TEXT_MODEL",
    wheel="rapidocr-onnxruntime==1.4.4",
    kind="PP-OCRv4's detector.onnx and reader.onnx in a .zip file",
    members=MODELS,
)
