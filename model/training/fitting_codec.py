"""Before latents are made: do the first weights and the codec fit? Else the sentence, with what mends it."""

from __future__ import annotations

from pathlib import Path

from data_catalog.base.files import read_json
from data_catalog.base.paths import RunFolder
from model.config import EncodeConfig, TrainConfig
from model.data.codec import codec_hash
from model.data.latents import codec_folder
from model.errors import CodecError
from model.runs.record import read_record
from model.runs.run import run_checkpoint
from model.sources import CODEC_FILE, EmbeddedCodec, OtherRun, Pretrained, SavedCodec


def with_codec_of_run(data: Path, config: TrainConfig) -> TrainConfig:
    """The config, with the codec of the run that it begins with where this data set would be given a new one.

    An embedded codec is fitted on one data set: on another it is taken from the run. Raises RunError for no run.
    """
    init, encode = config.init_source, config.encode
    if not isinstance(init, OtherRun) or not isinstance(encode.codec_source, EmbeddedCodec):
        return config
    trained = read_record(init.path)["identity"]["data"]["codec"]
    if _is_at_home(init.path, data) or _hash_to_be(data, encode) == trained:
        return config
    brought = encode.model_copy(update={"codec": str(RunFolder(init.path).codec)})
    return config.model_copy(update={"encode": brought})


def as_begun(run: Path, config: TrainConfig) -> TrainConfig:
    """The same of a run that is there: its codec stays the one that it was given, wherever the other run is by now."""
    was, init = read_record(run)["identity"]["config"], config.init_source
    if not isinstance(init, OtherRun) or was["encode"]["codec"] != str(RunFolder(init.path).codec):
        return config
    return config.model_copy(update={"encode": config.encode.model_copy(update={"codec": was["encode"]["codec"]})})


def check_init(data: Path, config: TrainConfig, fork: Path | None = None) -> None:
    """Refuse first weights that these latents could not be given to.

    Raises CodecError, and RunError for a run that is none or has no checkpoint yet.
    """
    found = _hash_to_be(data, config.encode)
    if fork is not None:
        run_checkpoint(fork)
        if found or not _is_at_home(fork, data):
            _check_run(fork, found)
        return
    match config.init_source:
        case OtherRun(path):
            run_checkpoint(path)
            if found or not _is_at_home(path, data):
                _check_run(path, found)
        case Pretrained(name) if (Path(name) / CODEC_FILE).is_file():
            from model.runs.init_weights import check_codec_of_export

            check_codec_of_export(Path(name), found or "")
        case Pretrained(name):
            _check_channels(Path(name), config.encode)


def _check_run(run: Path, codec: str | None) -> None:
    from model.runs.init_weights import check_codec_of_run  # seconds of import that most runs do not need here

    check_codec_of_run(run, codec or "")


def _is_at_home(run: Path, data: Path) -> bool:
    """Whether a run was begun on this data set: the codec that is fitted there, now or again, is its own."""
    return bool(read_record(run)["environment"].get("data") == str(data.resolve()))


def _hash_to_be(data: Path, encode: EncodeConfig) -> str | None:
    """The hash of the codec that latents are made with, as far as it is known before it is fitted."""
    kept = codec_folder(data, encode)
    if (kept / CODEC_FILE).is_file():
        return codec_hash(kept)
    source = encode.codec_source
    return codec_hash(source.folder) if isinstance(source, SavedCodec) else None


def _check_channels(folder: Path, encode: EncodeConfig) -> None:
    """Raise CodecError if a network in diffusers' format takes latents of another number of channels."""
    configs = [path for path in (folder / "unet" / "config.json", folder / "config.json") if path.is_file()]
    if not configs:
        return  # on a hub, or no network: loading it says so
    from model.training.shapes import latent_shape

    takes, gets = read_json(configs[0]).get("out_channels"), latent_shape(encode)[0]
    if takes is not None and takes != gets:
        raise CodecError(
            f"The network in {folder} makes latents of {takes} channels, those of codec {encode.codec!r} have {gets}: "
            f"encode with its own VAE by --set encode.codec={folder}."
        )
