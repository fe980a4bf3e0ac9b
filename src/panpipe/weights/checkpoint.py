"""One view of a checkpoint's weights, whatever files they are in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import CheckpointNotFound, CorruptCheckpoint, UnsafeCheckpoint
from .base import Checkpoint, TensorInfo, Tensors
from .safetensors_file import SafetensorsFile
from .source import WEIGHT_FILES, Folder, Source, check_file_name, read_json

__all__ = ["Checkpoint", "ShardedCheckpoint", "TensorInfo", "open_checkpoint"]

_MAX_SHARDS = 10_000


def open_checkpoint(source: Source | str | os.PathLike[str]) -> Checkpoint:
    """The weights of a source (`hub.resolve`), of a folder, or of one file (.safetensors, .bin, or an index .json).

    Only headers are read.   Raises CheckpointNotFound (no weights), CorruptCheckpoint, UnsafeCheckpoint.
    """
    if not isinstance(source, Source):
        path = Path(source)
        if not path.is_dir():
            return _open(path, Folder(path.parent))
        source = Folder(path)
    found = source.first(*WEIGHT_FILES)
    if found is None:
        raise CheckpointNotFound(
            f"{source.name!r} has no weights{_instead(source)}. panpipe reads {', '.join(WEIGHT_FILES)}."
        )
    return _open(found, source)


def _instead(source: Source) -> str:
    other = [name for name in source.files() if name.endswith((".h5", ".msgpack", ".ckpt", ".onnx", ".ot", ".gguf"))]
    return f" for panpipe, only {', '.join(other[:4])}" if other else ""


def _open(path: Path, source: Source) -> Checkpoint:
    if path.name.endswith(".index.json"):
        return ShardedCheckpoint(path, source)
    return _open_file(path)


def _open_file(path: Path) -> Checkpoint:
    if path.suffix == ".safetensors":
        return SafetensorsFile(path)
    from .torch_file import TorchFile

    return TorchFile(path)


class ShardedCheckpoint(Checkpoint):
    """Several files and the index that says which tensor is in which: {"weight_map": {tensor: file}}.

    Raises CorruptCheckpoint (index and files disagree), UnsafeCheckpoint (a file that is not inside the folder).
    """

    def __init__(self, index: Path, source: Source) -> None:
        self.path = index
        weight_map = _checked_weight_map(index)
        suffix = ".safetensors" if "safetensors" in index.name else ".bin"
        self._shards: dict[str, Checkpoint] = {}
        try:
            for shard in dict.fromkeys(weight_map.values()):
                if not shard.endswith(suffix):
                    raise UnsafeCheckpoint(f"{index} names the file {shard!r:.200}; its shards must be {suffix} files.")
                self._shards[shard] = _open_file(_inside_folder(source.require(shard), index))
            self._home = _homes(index, weight_map, self._shards)
        except BaseException:
            self.close()
            raise

    def names(self) -> list[str]:
        """Every tensor's name, shard by shard."""
        return list(self._home)

    def info(self, name: str) -> TensorInfo:
        """The stored dtype and shape."""
        return self._home[name].info(name)

    def read(self, name: str) -> Tensors:
        """See `Checkpoint.read`."""
        return self._home[name].read(name)

    def release(self, name: str) -> None:
        """See `Checkpoint.release`."""
        self._home[name].release(name)

    def close(self) -> None:
        """Lets go of the files."""
        for shard in self._shards.values():
            shard.close()

    def __contains__(self, name: object) -> bool:
        return name in self._home


def _checked_weight_map(index: Path) -> dict[str, str]:
    content = read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptCheckpoint(f'{index} must have a "weight_map" of tensor names to file names.')
    for shard in dict.fromkeys(map(_text, weight_map.values())):
        check_file_name(shard, f"{shard} (in {index.name})")
    if len(set(weight_map.values())) > _MAX_SHARDS:
        raise CorruptCheckpoint(f"{index} names more than {_MAX_SHARDS} files.")
    return weight_map


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise CorruptCheckpoint(f'the values of "weight_map" must be file names, not {value!r:.80}.')
    return value


def _inside_folder(shard: Path, index: Path) -> Path:
    """The shard's path.   Raises UnsafeCheckpoint for a link out of the folder, but for the Hub cache's own.

    The cache keeps a file's bytes in models--owner--name/blobs (or blobs, shared by all models) and links to them from
    models--owner--name/snapshots/<commit>.
    """
    target = shard.resolve()
    allowed = [index.parent.resolve()]
    for parent in index.absolute().parents:
        if parent.name == "snapshots":
            allowed += [parent.parent.resolve() / "blobs", parent.parent.parent.resolve() / "blobs"]
            break
    if not any(folder in target.parents for folder in allowed):
        raise UnsafeCheckpoint(
            f"{shard} is a link to {target}, outside of the checkpoint's folder. Copy the file there."
        )
    return shard


def _homes(index: Path, weight_map: Mapping[str, str], shards: Mapping[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Tensor -> its shard; index and shards must say the same."""
    homes: dict[str, Checkpoint] = {}
    for file_name, shard in shards.items():
        for name in shard.names():
            if weight_map.get(name) != file_name:
                where = f"in {weight_map[name]}" if name in weight_map else "nowhere"
                raise CorruptCheckpoint(f"{index}: tensor {name!r} is in {file_name}, the index has it {where}.")
            homes[name] = shard
    missing = [name for name in weight_map if name not in homes]
    if missing:
        raise CorruptCheckpoint(
            f"{index}: {len(missing)} tensors are not in their files ({', '.join(missing[:3])}, …)."
        )
    return homes
