"""Getting the text model: PP-OCRv4's small detector out of a rapidocr wheel (Apache-2.0), checked, cached per user."""

import hashlib
import zipfile
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from pipeline.model_files import ModelFile

MEMBER = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
SHA256 = "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"


def text_model_path(keep: bool = False) -> Path:
    """The text model: $LONGDANCE_TEXT_MODEL, or the cached one, made now if it is not there; see `ModelFile.path`."""
    return MODEL_FILE.path(keep)


def extract(wheel: Path, out: Path) -> None:
    """Write the detector of a wheel.

    Raises:
        LongdanceError: it is not the one that is expected.
    """
    with zipfile.ZipFile(wheel) as source:
        network = source.read(MEMBER)
    found = hashlib.sha256(network).hexdigest()
    if found != SHA256:
        raise LongdanceError(f"{MEMBER} in {wheel.name} has sha256 {found}, expected {SHA256}: it is not used.")
    out.write_bytes(network)


MODEL_FILE = ModelFile(
    what="text model",
    name="text_detector_ppocr_v4.onnx",
    variable="LONGDANCE_TEXT_MODEL",
    wheel="rapidocr-onnxruntime==1.4.4",
    kind="the text detector of PP-OCRv4 as an .onnx file",
    make=extract,
)
