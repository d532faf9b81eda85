"""Is a stored data set what its manifests say? Checksums, members, and every clip decoded."""

import io
import json
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import is_sealed, read_json, sha256_file
from pipeline.picture_size import PictureSize
from pipeline.shards import encode_clip
from pipeline.shards.cut_sound import verify_sound
from pipeline.shards.frame_hands import read_hands
from pipeline.shards.masks import mask_shape, read_masks
from pipeline.shards.tar import HANDS, MASKS, MEMBERS, OPTIONAL, SOUND, column_of, read_member


def verify_shards(folder: Path, decode: bool) -> Iterator[tuple[str, list[str]]]:
    """(shard, one sentence per problem) of every shard of a folder.

    Raises:
        LongdanceError: there is no shard folder.
    """
    if not folder.is_dir():
        raise LongdanceError(f"{str(folder)!r} is not there: build a data set first.")
    for path in sorted({*folder.glob("*.tar"), *(p.with_suffix(".tar") for p in folder.glob("*.json"))}):
        yield path.name, list(_problems(path, decode))


def _problems(path: Path, decode: bool) -> Iterator[str]:
    if not path.is_file():
        yield "the manifest names a shard that is not there."
        return
    if not path.with_suffix(".json").is_file():
        yield "it has no manifest, so nothing in it is trusted."
        return
    try:
        manifest = read_json(path.with_suffix(".json"))
        said = [manifest[name] for name in ("shard", "bytes", "sha256", "plan_key", "samples")]
        if "seal" in manifest and not is_sealed(manifest):
            raise ValueError("it has been altered")
    except (ValueError, KeyError, TypeError) as error:
        yield f"its manifest is damaged ({type(error).__name__}: {error})."
        return
    if said[0] != path.name:
        yield f"its manifest is that of {said[0]}."
        return
    if (size := path.stat().st_size) != manifest["bytes"]:
        yield f"it has {size} bytes, its manifest says {manifest['bytes']}."
        return
    if (found := sha256_file(path)) != manifest["sha256"]:
        yield f"its sha256 is {found[:12]}, its manifest says {manifest['sha256'][:12]}."
    if decode:
        for sample in manifest["samples"]:
            try:
                _check_sample(path, sample)
            except Exception as error:  # whatever a library says about damaged bytes is what is wrong with them
                yield f"{sample['sample_key']}: {error or type(error).__name__}"


def _check_sample(shard: Path, sample: dict[str, Any]) -> None:
    """Members parse, agree with each other, and the clip has the frames, size and rate that it should."""
    kinds = (*MEMBERS, *(kind for kind in OPTIONAL.values() if f"{column_of(kind)}_offset" in sample))
    places = {kind: (sample[f"{column_of(kind)}_offset"], sample[f"{column_of(kind)}_length"]) for kind in kinds}
    members = {kind: read_member(shard, *place) for kind, place in places.items()}
    meta = json.loads(members["json"])
    landmarks = np.load(io.BytesIO(members["npy"]), allow_pickle=False)
    frames = meta["clip"]["frames"]
    if meta["sample_key"] != sample["sample_key"] or landmarks.shape != (frames, 33, 4):
        raise ValueError(f"its landmarks have shape {landmarks.shape}, expected {(frames, 33, 4)}.")
    for name, kind in OPTIONAL.items():
        if bool(meta.get(name)) != (kind in members):
            raise ValueError(f"its json says that it has {'a' if meta.get(name) else 'no'} {name}, its shard does not.")
    if MASKS in members and read_masks(members[MASKS], frames).shape[1:] != mask_shape(clip_size(meta)):
        raise ValueError("its masks are not of the clip's shape.")
    if HANDS in members and read_hands(members[HANDS]).shape[0] != frames:
        raise ValueError(f"its hands are not those of {frames} frames.")
    if SOUND in members:
        verify_sound(members[SOUND], meta["sound"])
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(members["mp4"])
        file.flush()
        encode_clip.verify(Path(file.name), frames, clip_size(meta), Fraction(meta["fps"]))


def clip_size(meta: dict[str, Any]) -> PictureSize:
    """From a sample's json; older ones hold the side of a square."""
    size = meta["size"]
    return PictureSize(size, size) if isinstance(size, int) else PictureSize(*size)
