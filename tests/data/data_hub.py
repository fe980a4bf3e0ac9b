"""A Hub of data sets on the loopback interface: also lists their files, and has the parquet files it made of them."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator

from ..weights.hub_server import Answer, Hub, Repo, etag_of, serve

CONVERTED = "refs/convert/parquet"
COMMIT_OF_CONVERTED = "beef" * 10


@contextlib.contextmanager
def serve_data(repos: dict[str, Repo], converted: dict[str, dict[str, bytes]] | None = None) -> Iterator[Hub]:
    """Runs it for the length of the block.   converted: id → files of the revision that the Hub itself made."""
    made = {name: Repo(files, COMMIT_OF_CONVERTED, (CONVERTED,)) for name, files in (converted or {}).items()}
    with serve({f"datasets/{name}": repo for name, repo in repos.items()}) as hub:

        def answer(method: str, path: str, usual: Answer) -> Answer:
            parts = urllib.parse.unquote(path).strip("/")
            is_listing = parts.startswith("api/")
            name, _, rest = parts.removeprefix("api/").partition("/revision/" if is_listing else "/resolve/")
            revision = CONVERTED if rest.startswith((CONVERTED, COMMIT_OF_CONVERTED)) else rest.split("/")[0]
            repo = hub.repos.get(name)
            if revision == CONVERTED:
                repo = made.get(name.removeprefix("datasets/"))
                if repo is None:
                    return Answer(404, {"X-Error-Code": "RevisionNotFound"})
                if not is_listing:
                    file = rest.removeprefix(CONVERTED).removeprefix(COMMIT_OF_CONVERTED).strip("/")
                    content = repo.files[file]
                    headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{etag_of(file, content)}"'}
                    return Answer(200, headers, content)
            if not is_listing:
                return usual
            if repo is None or (repo.token is not None and hub.tokens[-1] != f"Bearer {repo.token}"):
                return Answer(401, {"X-Error-Code": "RepoNotFound"})
            if revision not in (*repo.branches, repo.commit):
                return Answer(404, {"X-Error-Code": "RevisionNotFound"})
            listed = {"sha": repo.commit, "siblings": [{"rfilename": file} for file in repo.files]}
            return Answer(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())

        hub.override = answer
        yield hub
