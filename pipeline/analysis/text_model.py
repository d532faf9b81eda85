"""Getting the text model: PP-OCRv4's small detector out of a rapidocr wheel (Apache-2.0), checked, cached per user."""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import atomic
from pipeline.analysis.pose_model import download_wheel

WHEEL = "rapidocr-onnxruntime==1.4.4"
MEMBER = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
SHA256 = "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"
ELSE = "Get the text detector of PP-OCRv4 as an .onnx file and name it in LONGDANCE_TEXT_MODEL."


def cached_text_model() -> Path:
    """Where the network is kept for this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "longdance" / "text_detector_ppocr_v4.onnx"


def text_model_path() -> Path:
    """The text model: $LONGDANCE_TEXT_MODEL, or the cached one, taken from its wheel now if it is not there.

    Raises:
        LongdanceError: the named file is missing, or no wheel could be had.
    """
    chosen = os.environ.get("LONGDANCE_TEXT_MODEL")
    if chosen:
        if not Path(chosen).is_file():
            raise LongdanceError(
                f"LONGDANCE_TEXT_MODEL names {chosen!r}, which is no file: name an .onnx file or unset it."
            )
        return Path(chosen)
    path = cached_text_model()
    if not path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            network = read_network(download_wheel(WHEEL, Path(folder), "text model", ELSE))
        with atomic(path) as temp:
            temp.write_bytes(network)
    return path


def read_network(wheel: Path) -> bytes:
    """The detector in a wheel.

    Raises:
        LongdanceError: it is not the one that is expected.
    """
    with zipfile.ZipFile(wheel) as source:
        network = source.read(MEMBER)
    found = hashlib.sha256(network).hexdigest()
    if found != SHA256:
        raise LongdanceError(f"{MEMBER} in {wheel.name} has sha256 {found}, expected {SHA256}: it is not used.")
    return network
