"""What a training begins with: settings `init`, `encode.codec` and `encode.text`, parsed once into what they mean.

Each is a word of ours, or names a folder or hub id. `str()` of what was parsed is the setting again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CODEC_FILE = "codec.json"
"""In a folder that holds a codec as `model.data.codec` saves it."""


SHOWCASE = Path(__file__).resolve().parent.parent / "showcase"
"""Our own small network and its codec, in the folder that longdance is installed from."""


@dataclass(frozen=True)
class Pretrained:
    """A folder in diffusers' format, or a hub id."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def on_hub(self) -> bool:
        """Whether there is not a folder of that name here."""
        return not Path(self.name).is_dir()


@dataclass(frozen=True)
class Scratch:
    """Weights drawn at random."""

    def __str__(self) -> str:
        return "scratch"


@dataclass(frozen=True)
class OtherRun:
    """The newest checkpoint of another run."""

    path: Path

    def __str__(self) -> str:
        return f"{_RUN}{self.path}"


@dataclass(frozen=True)
class EmbeddedCodec:
    """Patches with a PCA that is fitted on the data set."""

    def __str__(self) -> str:
        return "embedded"


@dataclass(frozen=True)
class SavedCodec:
    """The very codec of another data set, in a folder."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True)
class NoText:
    """Zeros instead of an embedded prompt."""

    def __str__(self) -> str:
        return "zeros"


Init = Scratch | OtherRun | Pretrained
CodecSource = EmbeddedCodec | SavedCodec | Pretrained
TextSource = NoText | Pretrained
_RUN = "run:"


def parse_init(setting: str) -> Init:
    """Where the first weights come from."""
    if setting == str(Scratch()):
        return Scratch()
    if setting.startswith(_RUN):
        return OtherRun(Path(setting.removeprefix(_RUN)))
    return Pretrained(setting)


def parse_codec(setting: str) -> CodecSource:
    """Where the codec comes from."""
    if setting == str(EmbeddedCodec()):
        return EmbeddedCodec()
    if (Path(setting) / CODEC_FILE).is_file():
        return SavedCodec(Path(setting))
    return Pretrained(setting)


def parse_text(setting: str | None, codec: CodecSource) -> TextSource:
    """Where the text encoder comes from; by default where an AutoencoderKL does, and nowhere beside other codecs."""
    if setting is None:
        return codec if isinstance(codec, Pretrained) else NoText()
    return NoText() if setting == str(NoText()) else Pretrained(setting)


def absolute(setting: str) -> str:
    """One of these settings with the whole path of its folder, if it names one that is there.

    Words of ours are no folders, even where a folder has that name; `showcase` is longdance's own where there is no
    other. Hub ids stay as they are.
    """
    if setting in (str(Scratch()), str(EmbeddedCodec()), str(NoText())):
        return setting
    source = parse_init(setting)
    folder = Path(str(source.path if isinstance(source, OtherRun) else source)).expanduser()
    if setting == SHOWCASE.name and not folder.is_dir():
        folder = SHOWCASE
    if not folder.is_dir():
        return setting
    return str(OtherRun(folder.resolve()) if isinstance(source, OtherRun) else Pretrained(str(folder.resolve())))
