"""Getting the pose model: two networks out of a mediapipe 0.10.21 wheel, checked, bundled, cached per user.

mediapipe's newer wheels carry no model. The older one (Apache-2.0) does, but without the image
normalisation metadata that `PoseLandmarker` asks for, so that is added here. The part that draws a
segmentation mask is taken out, a third of the landmark network's time; the whole network lies beside it, for
the passes that want masks.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

from pipeline.model_files import ModelFile

LANDMARKS = "pose_landmarks_detector.tflite"
WITH_MASKS = "with_masks/" + LANDMARKS
MASK_OUTPUT, HEATMAP_OUTPUT = 2, 3  # of the landmark network: landmarks, presence, mask, heatmap, world landmarks
MODELS = {  # name in the bundle: (path in the wheel, sha256)
    "pose_detector.tflite": (
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    **dict.fromkeys(
        (LANDMARKS, WITH_MASKS),
        (
            "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
    ),
}
IMAGE = {"pose_detector.tflite": (127.5, 127.5)}
"""Mean and deviation of a network's input image, where they are not those of the others: 0 and 255."""


def cached_model() -> Path:
    """Where the bundle is kept for this user."""
    return MODEL_FILE.cached()


def pose_model_path(keep: bool = False) -> Path:
    """The pose model: $LONGDANCE_POSE_MODEL, or the cached one, made now if it is not there; see `ModelFile.path`."""
    return MODEL_FILE.path(keep)


def bundle_with_masks(model: Path) -> bytes:
    """A `.task` bundle whose landmark network draws masks, out of our own; a file of the user's is taken as it is."""
    whole = io.BytesIO()
    with zipfile.ZipFile(model) as source:
        if WITH_MASKS not in source.namelist():
            return model.read_bytes()
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as target:
            for name in ("pose_detector.tflite", LANDMARKS):
                target.writestr(zipfile.ZipInfo(name), source.read(WITH_MASKS if name == LANDMARKS else name))
    return whole.getvalue()


def _adapt(name: str, network: bytes) -> bytes:
    mean, std = IMAGE.get(name, (0.0, 255.0))
    return adapted(network, mean, std, drops_mask=name == LANDMARKS)


MODEL_FILE = ModelFile(
    what="pose model",
    name="pose_landmarker_full.task",
    variable="LONGDANCE_POSE_MODEL",
    wheel="mediapipe==0.10.21",
    kind="a pose_landmarker .task file",
    members=MODELS,
    adapt=_adapt,
)


def adapted(network: bytes, mean: float, std: float, drops_mask: bool) -> bytes:
    """The tflite model with normalisation metadata, and without the mask if it `drops_mask`."""
    import flatbuffers
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    model = tflite.ModelT.InitFromPackedBuf(network, 0)
    if drops_mask:
        _drop_mask(model.subgraphs[0])
    _add_normalisation(model, mean, std)
    whole = flatbuffers.Builder(0)
    whole.Finish(model.Pack(whole), b"TFL3")
    return bytes(whole.Output())


def _drop_mask(graph: Any) -> None:
    """Keep only the operators that the other outputs need. PoseLandmarker counts outputs, so the heatmap stands in."""
    graph.outputs = [int(tensor) for tensor in graph.outputs]
    graph.outputs[MASK_OUTPUT] = graph.outputs[HEATMAP_OUTPUT]
    makers = {tensor: number for number, operator in enumerate(graph.operators) for tensor in operator.outputs}
    needed: set[int] = set()
    open_tensors = list(graph.outputs)
    while open_tensors:
        number = makers.get(open_tensors.pop())
        if number is not None and number not in needed:
            needed.add(number)
            open_tensors += [int(tensor) for tensor in graph.operators[number].inputs]
    graph.operators = [operator for number, operator in enumerate(graph.operators) if number in needed]


def _add_normalisation(model: Any, mean: float, std: float) -> None:
    """TFLite metadata that states the one image input's normalisation."""
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as meta
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    unit = meta.ProcessUnitT()
    unit.optionsType, unit.options = (
        meta.ProcessUnitOptions.NormalizationOptions,
        meta.NormalizationOptionsT(),
    )
    unit.options.mean, unit.options.std = [mean], [std]
    content = meta.ContentT()
    content.contentPropertiesType, content.contentProperties = (
        meta.ContentProperties.ImageProperties,
        meta.ImagePropertiesT(),
    )
    content.contentProperties.colorSpace = meta.ColorSpaceType.RGB
    image = meta.TensorMetadataT()
    image.name, image.content, image.processUnits = "image", content, [unit]
    graph = meta.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [meta.TensorMetadataT() for _ in model.subgraphs[0].outputs]
    described = meta.ModelMetadataT()
    described.name, described.subgraphMetadata = "pose", [graph]
    packed = flatbuffers.Builder(0)
    packed.Finish(described.Pack(packed), b"M001")
    buffer, entry = tflite.BufferT(), tflite.MetadataT()
    buffer.data = list(packed.Output())
    model.buffers.append(buffer)
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
