"""What there is at Hugging Face, or at the mirror that HF_ENDPOINT names.

huggingface_hub knows tokens, mirrors and being offline, and tells every file with its size and hash in one answer.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pochade.errors import FileError, MalformedFileError, MissingFileError, UsageError
from pochade.files.folders import INDEX
from pochade.library.downloads.access import Access, bearer
from pochade.library.downloads.addresses import origin_of, shown_address
from pochade.library.downloads.answers import refuse_busy
from pochade.library.downloads.choosing import candidate_of, choose
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.names import safe_name
from pochade.library.downloads.packages import Order, Package, Remote
from pochade.library.downloads.sources import HubSource, mirror

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_MODELS = {".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin"}
_DESCRIPTIONS = {".json", ".txt", ".model"}
_WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<variant>[a-z]\w*))?(?:-\d{5}-of-\d{5})?"
    r"\.(?P<ending>safetensors|bin)(?:\.index(?:\.(?P<late>\w+))?\.json)?"
)
_GENERIC = re.compile(r"(?:diffusion_pytorch_model|pytorch_model|pytorch_lora_weights|model)(?=\.)")
_SECONDS = 30.0
_ADVICE = "it may be private or want its terms accepted on its page; then set HF_TOKEN to a token of huggingface.co"


def package_of(source: HubSource, order: Order, connection: Connection) -> Package:
    """The file that a source names, or the whole folder of a model in parts.

    Raises UsageError where several files may be meant, FileError when the repository cannot be asked.
    """
    access, found = _access(order), _described(source, order)
    files = _remotes(found, source)
    chosen, folder = _chosen(source, order, files, access, connection)
    name = found.id if isinstance(found.id, str) else source.repo
    page = f"{_endpoint()}/{name}"
    return Package(source.shown, page, tuple(chosen), folder, access, revision=found.sha or "")


def offered(source: HubSource, order: Order) -> list[Remote]:
    """Every model file of a repository, and what goes with the parts of a model in parts."""
    files = _remotes(_described(source, order), source)
    suffixes = _MODELS | _DESCRIPTIONS if any(each.name == INDEX for each in files) else _MODELS
    return [each for each in files if PurePosixPath(each.name).suffix.lower() in suffixes]


def _endpoint() -> str:
    from huggingface_hub import constants  # deferred: other verbs need no hub

    return mirror("HF_ENDPOINT", constants.ENDPOINT)


def _access(order: Order) -> Access:
    from huggingface_hub import get_token  # deferred with the rest

    token = order.token or get_token() or ""
    return Access(origin_of(_endpoint()), bearer(token), _ADVICE)


def _described(source: HubSource, order: Order) -> "ModelInfo":
    from huggingface_hub import HfApi, is_offline_mode  # deferred with the rest

    if is_offline_mode():
        raise UsageError(f"{source.shown} is not downloaded, for HF_HUB_OFFLINE is set; unset it to go online.")
    api = HfApi(endpoint=_endpoint(), token=order.token or None)

    def ask() -> "ModelInfo":
        with _told(source):
            return api.model_info(source.repo, revision=source.revision or None, files_metadata=True, timeout=_SECONDS)

    return order.patience.get(ask)


@contextmanager
def _told(source: HubSource) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence."""
    from httpx2 import HTTPError  # deferred with the rest
    from huggingface_hub import errors

    place = f"{shown_address(_endpoint())}/{source.repo}"
    try:
        yield
    except errors.HFValidationError as error:
        raise UsageError(f"{source.repo} can be no repository: {error!s:.200}") from error
    except errors.GatedRepoError as error:
        raise FileError(place, f"its owner lets in only whom they accepted; {_ADVICE}") from error
    except errors.RepositoryNotFoundError as error:
        raise MissingFileError(place, f"there is no such repository; check its name, or {_ADVICE}") from error
    except errors.RevisionNotFoundError as error:
        raise MissingFileError(place, f"has no revision {source.revision!r}; check what stands behind the @") from error
    except errors.HfHubHTTPError as error:
        refuse_busy(error.response, place)
        raise FileError(place, f"the server answers {error.response.status_code}; {_ADVICE}") from error
    except (HTTPError, OSError) as error:
        raise FileError(place, f"cannot be asked: {str(error) or type(error).__name__}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedFileError(place, f"answers with something else than a repository: {error!s:.200}") from error


def _remotes(found: "ModelInfo", source: HubSource) -> list[Remote]:
    """The files below the source's path, pinned to the commit that was found; names are those in the repository."""
    with _told(source):
        return list(_each_remote(found, source))


def _each_remote(found: "ModelInfo", source: HubSource) -> Iterator[Remote]:
    from huggingface_hub import hf_hub_url  # deferred with the rest

    for each in found.siblings or ():
        name = each.rfilename
        is_below = not source.path or name == source.path or name.startswith(f"{source.path}/")
        if is_below and all(part not in ("", ".", "..") for part in name.split("/")):
            address = hf_hub_url(source.repo, name, revision=found.sha or source.revision or None, endpoint=_endpoint())
            sha256, git = (each.lfs.sha256, "") if each.lfs else ("", each.blob_id or "")
            yield Remote(address, name, int(each.size or 0) or None, sha256.lower(), git.lower())


def _chosen(
    source: HubSource, order: Order, files: list[Remote], access: Access, connection: Connection
) -> tuple[list[Remote], str]:
    """The files to bring, under the names that they get, and the name of their folder if they make one."""
    if not files:
        raise MissingFileError(source.shown, "has no such file; `pochade download --list` shows what there is")
    prefix = f"{source.path}/" if source.path and files[0].name != source.path else ""
    index = next((each for each in files if each.name == prefix + INDEX), None)
    if index is not None and not order.file:
        parts = _parts(connection.json(index.address, access), source)
        return list(_folder(files, prefix, parts, order)), safe_name(PurePosixPath(prefix or source.repo).name)
    models = [each for each in files if PurePosixPath(each.name).suffix.lower() in _MODELS]
    if len(files) == 1 and files[0].name == source.path:
        models = files  # a file that the user names may be anything
    place = choose([candidate_of(each.name) for each in models], order, source.shown)
    return [replace(models[place], name=_name(models[place].name, source.repo))], ""


def _name(path: str, repo: str) -> str:
    """What a file is called here: one of a thousand of its name is called after its repository."""
    name = PurePosixPath(path).name
    return safe_name(_GENERIC.sub(PurePosixPath(repo).name, name, count=1) if _GENERIC.match(name) else name)


def _parts(index: Any, source: HubSource) -> list[str]:
    """The parts that the description of a whole model names."""
    found = index.items() if isinstance(index, dict) else ()
    parts = [name for name, place in found if isinstance(place, list) and any(place) and re.fullmatch(r"\w+", name)]
    if not parts:
        raise MalformedFileError(f"{source.shown}/{INDEX}", "names no parts of a model")
    return parts


def _folder(files: Iterable[Remote], prefix: str, parts: list[str], order: Order) -> Iterator[Remote]:
    """The files that a model in parts needs: descriptions, and the weights of each part once."""
    inside = [replace(each, name=each.name.removeprefix(prefix)) for each in files]
    yield from (each for each in inside if each.name == INDEX)
    for part in parts:
        of_part = [each for each in inside if each.name == f"{part}/{safe_name(PurePosixPath(each.name).name)}"]
        matches = {each.name: _WEIGHTS.fullmatch(PurePosixPath(each.name).name) for each in of_part}
        kept = _kept({match for match in matches.values() if match}, order.precision or "")
        for each in of_part:
            match = matches[each.name]
            is_description = not match and PurePosixPath(each.name).suffix.lower() in _DESCRIPTIONS
            if is_description or (match and _form(match) == kept):
                yield each


def _kept(matches: Iterable["re.Match[str]"], precision: str) -> tuple[str, str]:
    """The form of a part's weights to bring: in the precision that is asked for, else whole; safetensors if there."""
    forms = {_form(match) for match in matches}
    return min(
        forms, default=("", ""), key=lambda form: (form[0] != precision, form[0] != "", form[1] != "safetensors")
    )


def _form(match: "re.Match[str]") -> tuple[str, str]:
    return match["variant"] or match["late"] or "", match["ending"]
