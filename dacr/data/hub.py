"""A data set's file from the Hugging Face Hub: pinned, resumed, cached, and checked by our own sum.

``HF_ENDPOINT`` (a mirror), ``HF_HOME`` (the cache) and ``HF_HUB_OFFLINE`` are the Hub client's and work
as its manual says. A file in the cache is used without asking the network.
"""

import os
import re
from pathlib import Path

from dacr.core import files
from dacr.core.errors import UserError

REPO = "withmartian/routerbench"
REVISION = "784021482c3f320c6619ed4b3bb3b41a21424fcb"
FILE = "routerbench_raw.pkl"

SHA256 = {
    "routerbench_0shot.pkl": "ba4f77f19517610a707c374e99322d7750c30fc4ae7ff5527888595a1e65d36d",
    "routerbench_5shot.pkl": "fbd7d3d16fba2759a18fa0ad44409d3e0e92ba80d03d90827eed1a6d084c9ffe",
}
"""Sums on record for :data:`REVISION` of :data:`REPO`, from one source each."""

_OTHER_WAYS = "give a local copy with --pkl FILE, or use the embedded benchmark with --sample 5000"


def fetch(repo: str = REPO, revision: str = REVISION, file: str = FILE, sha256: str = "") -> Path:
    """Return the local path of ``file``, downloading it if the cache has none.

    Parameters
    ----------
    sha256 : str
        The sum to expect; ``""`` means the one on record, if any; ``"any"`` accepts every file.

    Raises
    ------
    UserError
        The Hub can't be reached or has no such file, or the sum differs.
    """
    if sha256 not in ("", "any") and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"--hf_sha256 should be 64 hexadecimal digits or 'any', got {sha256!r}")
    path = _download(repo, revision, file)
    expected = sha256.lower() or (SHA256.get(file, "") if (repo, revision) == (REPO, REVISION) else "")
    if expected in ("", "any"):
        return path
    got = files.sha256(path)
    if got != expected:
        raise UserError(
            f"{file} differs from what was recorded: its SHA-256 is {got}, expected {expected}; if the download was "
            f"damaged delete {str(path)!r} and run again, else accept it with --hf_sha256 {got} (or --hf_sha256 any)"
        )
    return path


def _download(repo: str, revision: str, file: str) -> Path:
    import huggingface_hub  # takes a while to import, and most runs don't need it
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    huggingface_hub.logging.set_verbosity_error()  # its warnings on retries would stand beside our one line
    what = f"{file!r} of {repo!r} at revision {revision!r}"
    try:
        path = huggingface_hub.hf_hub_download(repo, file, repo_type="dataset", revision=revision)
    except LocalEntryNotFoundError as error:
        raise UserError(f"can't reach the Hub at {_endpoint()} for {what}{_reason(error)}; {_OTHER_WAYS}") from None
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UserError(
            f"the Hub at {_endpoint()} has no {what} ({type(error).__name__}); check --hf_repo, --hf_revision and "
            f"--hf_file, or {_OTHER_WAYS}"
        ) from None
    except UserError:
        raise
    except Exception as error:
        # The client lets through what its HTTP library raises, which differs between its versions.
        raise UserError(
            f"the download of {what} from {_endpoint()} failed{_reason(error)}; run again, {_OTHER_WAYS}"
        ) from None
    return Path(path)


def push_card(repo: str, text: str) -> str:
    """Send a card, and nothing else, to a data set on the Hub as its README.md; return the commit's address.

    A data set that is not there is made, and is private. The token is the Hub client's: ``HF_TOKEN``, or what
    ``hf auth login`` stored.

    Raises
    ------
    UserError
        No token, a Hub that can't be reached, or one that refuses.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    huggingface_hub.logging.set_verbosity_error()
    if huggingface_hub.get_token() is None:
        raise UserError("--push needs a token of the Hub that may write: set HF_TOKEN, or run: hf auth login")
    api = huggingface_hub.HfApi()
    try:
        api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        sent = api.upload_file(
            path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id=repo, repo_type="dataset",
            commit_message="Card written by dacr",
        )  # fmt: skip
    except HFValidationError:
        raise UserError(
            f"--push: got {repo!r}, expected OWNER/NAME of a data set, such as me/routing-results"
        ) from None
    except Exception as error:  # as in a download: what the HTTP library raises differs between versions
        raise UserError(f"the Hub at {_endpoint()} did not take the card of {repo!r}{_reason(error)}") from None
    return str(sent.commit_url)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _reason(error: BaseException) -> str:
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    text = str(root).split("\n")[0].strip()
    return f" ({type(root).__name__}: {text[:200]})" if text else f" ({type(root).__name__})"
