"""A Hub on the loopback interface that misbehaves on demand: HEAD and GET of /{id}/resolve/{revision}/{file}."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Repo:
    """One model: its files, and who may have them."""

    files: dict[str, bytes]
    commit: str = COMMIT
    branches: tuple[str, ...] = ("main",)
    token: str | None = None
    gated: bool = False


@dataclass
class Answer:
    """An HTTP answer; `body` may be an endless iterator of chunks."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""


@dataclass
class Hub:
    """The running server.

    requests: 'METHOD /path' of each that came.   override: answers in the place of the true ones.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    override: Callable[[str, str, Answer], Answer] | None = None
    url: str = ""
    stop: Callable[[], None] = lambda: None

    def of(self, kind: str, repo: str = "") -> list[str]:
        """The requests of a method that speak of a repository."""
        return [request for request in self.requests if request.startswith(kind) and repo in request]

    def answer(self, method: str, path: str, token: str | None) -> Answer:
        """What a well-behaved Hub says."""
        if "/resolve/" not in path:
            return Answer(404)
        repo_id, _, rest = path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        revision, name = urllib.parse.unquote(revision), urllib.parse.unquote(name)
        repo = self.repos.get(repo_id)
        if repo is None or (repo.token is not None and token != f"Bearer {repo.token}" and not repo.gated):
            return Answer(401, {"X-Error-Code": "RepoNotFound"})
        if revision not in (*repo.branches, repo.commit):
            return Answer(404, {"X-Error-Code": "RevisionNotFound"})
        if repo.gated and token != f"Bearer {repo.token}":
            return Answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Ask for access."})
        if name not in repo.files:
            return Answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        content = repo.files[name]
        return Answer(200, {"X-Repo-Commit": repo.commit, "ETag": f'"{etag_of(name, content)}"'}, content)


def etag_of(name: str, content: bytes) -> str:
    """The Hub's name for a file: sha256 for a large kind, git's sha1 for the rest."""
    if name.endswith((".safetensors", ".bin")):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextlib.contextmanager
def serve(repos: dict[str, Repo] | None = None) -> Iterator[Hub]:
    """Runs a Hub for the length of the block."""
    hub = Hub(repos or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            hub.tokens.append(self.headers["Authorization"])
            answer = hub.answer(self.command, self.path, self.headers["Authorization"])
            if hub.override is not None:
                answer = hub.override(self.command, self.path, answer)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                if not any(name.lower() == "content-length" for name in answer.headers):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                chunks = iter([answer.body])
            else:
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                chunks = answer.body
            with contextlib.suppress(OSError):  # the client may leave
                for chunk in chunks if with_body else ():
                    self.wfile.write(chunk)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    hub.stop = stop
    try:
        yield hub
    finally:
        if thread.is_alive():
            stop()
