"""Data files of a Hugging Face dataset repository at a pinned commit; never its code."""

import fnmatch
import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.names import checked_name
from seedbed.corpora.source import Facts, FetchContext

DATA_ENDINGS = (".parquet", ".json", ".jsonl", ".csv", ".tsv", ".txt")
COMPRESSIONS = (".gz", ".xz")


def is_data(name: str) -> bool:
    """Whether a file of the repository is data: never a script, a pickle or an archive."""
    for ending in COMPRESSIONS:
        name = name.removesuffix(ending)
    return name.lower().endswith(DATA_ENDINGS)


class HuggingFaceConfig(Strict):
    name: Literal["huggingface"]
    repo: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="dataset repository: owner/name")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="commit; a branch could change under us")
    files: tuple[str, ...] = Field(min_length=1, description="names or patterns (data/train-*.parquet)")
    max_bytes: int = Field(10 << 30, ge=1, description="of all files together")

    def fetch(self, into: Path, *, context: FetchContext) -> Facts:
        """Get the files from the mirror if it has every one of them, else from the hub."""
        if not self._from_mirror(into, context):
            self._from_hub(into, context)
        return {"origins": [{"dataset": self.repo, "revision": self.revision}]}

    def _from_mirror(self, into: Path, context: FetchContext) -> bool:
        """Only plain names can be served: for a pattern the mirror cannot know that it has all."""
        if context.mirror is None or any(set(name) & set("*?[") for name in self.files):
            return False
        repo = f"huggingface.co/datasets/{self.repo}"
        found = [context.mirror.find_origin(repo, self.revision, name) for name in self.files]
        for name, file in zip(self.files, found, strict=True):
            self._check_data(name)
            if file is None:
                return False
        for name, file in zip(self.files, found, strict=True):
            assert file is not None
            target = into / checked_name(name, "huggingface source")
            target.parent.mkdir(parents=True, exist_ok=True)
            context.mirror.get_raw(file, target, scratch=context.scratch)
        return True

    def _from_hub(self, into: Path, context: FetchContext) -> None:
        # Imported here: the hub client costs most of a second and only this source needs it.
        import httpx2
        from huggingface_hub import HfApi, hf_hub_download

        where = f"huggingface source {self.repo}@{self.revision[:8]}"
        cache = context.scratch / "huggingface"
        try:
            info = HfApi().dataset_info(self.repo, revision=self.revision, files_metadata=True)
            sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or []}
            chosen = sorted(
                name for name in sizes if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.files)
            )
            for pattern in self.files:
                if not fnmatch.filter(chosen, pattern):
                    raise UserError(f"{where}: no file matches {pattern!r}; correct `files`")
            for name in chosen:
                self._check_data(name)
            total = sum(sizes[name] for name in chosen)
            if total > self.max_bytes:
                raise UserError(f"{where}: {total} bytes are more than max_bytes {self.max_bytes}")
            for name in chosen:
                got = hf_hub_download(
                    self.repo, name, repo_type="dataset", revision=self.revision, local_dir=cache
                )
                target = into / checked_name(name, where)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(got, target)
        except (httpx2.HTTPError, OSError) as error:
            # The hub's own errors are OSErrors too, without a number.
            if getattr(error, "errno", None) is not None:
                raise  # a full disk or a forbidden folder speaks for itself
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"{where}: the hub cannot serve it ({line[:200]}); "
                "check repo and revision, or set `mirror` in the machine file"
            ) from None
        shutil.rmtree(cache, ignore_errors=True)

    def _check_data(self, name: str) -> None:
        if not is_data(name):
            raise UserError(
                f"huggingface source {self.repo}: {name!r} is not a data file; "
                f"allowed endings: {', '.join(DATA_ENDINGS)} (also .gz, .xz)"
            )
