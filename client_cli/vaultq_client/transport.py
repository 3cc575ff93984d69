"""HTTP/1.1 over our own TLS: bounded answers, problem details as errors, few and polite retries.

HTTP/1.1 because bulk runs faster on it than on HTTP/2. Nothing is taken from the environment: no
proxy, no certificate store. No redirect is followed, and no answer is ever decompressed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from vaultq_client.address import parse_address
from vaultq_client.problems import connection_error, error_of
from vaultq_core.errors import CannotConnect, Malformed, TooManyRequests, TooSlow, Unavailable
from vaultq_core.wire.limits import PROBLEM_BYTES

T = TypeVar("T")

ATTEMPTS = 3
LONGEST_WAIT = 10  # seconds; a server that asks for more gets its error shown
_TIMEOUTS = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=10.0)  # seconds; a commit may wait for a disk
_HEADERS = {"user-agent": "vaultq", "accept-encoding": "identity"}
_REFUSED = 300


@dataclass(frozen=True, slots=True)
class Body:
    """What a call sends: its media type, its bytes in one or many chunks, and their exact number."""

    media_type: str
    chunks: Iterable[bytes] = field(repr=False)
    length: int

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Body:
        """Return a body that is in memory, and so can be sent again."""
        return cls(media_type, (data,), len(data))

    @classmethod
    def json(cls, value: msgspec.Struct) -> Body:
        """Return `value` as a JSON body."""
        return cls.of(msgspec.json.encode(value), "application/json")


class Transport:
    """One listener of one vault. Every error that leaves it is a VaultQError."""

    def __init__(self, address: str, context: ssl.SSLContext, *, wait: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet; `address` is HOST:PORT (raises Usage), `wait` sleeps for seconds before a retry."""
        self.address = parse_address(address)
        self._wait = wait
        self._http = httpx.Client(
            base_url=f"https://{self.address}",
            verify=context,
            timeout=_TIMEOUTS,
            headers=_HEADERS,
            trust_env=False,
            follow_redirects=False,
        )

    def get(self, path: str, *, limit: int, query: Mapping[str, int | str] | None = None, bearer: str = "") -> bytes:
        """Return the answer's body, at most `limit` bytes; tried again when the vault says so."""
        return self.again(lambda: self._whole("GET", path, limit, query=query, bearer=bearer))

    def send(self, method: str, path: str, body: Body, *, limit: int, bearer: str = "") -> bytes:
        """Send a body that is in memory and safe to repeat; return the answer's body, at most `limit` bytes."""
        return self.again(lambda: self._whole(method, path, limit, body=body, bearer=bearer))

    def send_once(self, method: str, path: str, body: Body, *, limit: int) -> bytes:
        """Send a body that is not safe to repeat, once; return the answer's body, at most `limit` bytes."""
        return self._whole(method, path, limit, body=body)

    def upload(self, path: str, body: Body, *, limit: int) -> bytes:
        """Post a body once, as its chunks come. What they raise passes through, and the vault keeps nothing then."""
        return self._whole("POST", path, limit, body=body)

    @contextmanager
    def ask(self, path: str, body: Body) -> Iterator[Iterator[bytes]]:
        """Send a body that is safe to repeat and yield the answer's chunks as they come; the caller bounds them."""
        with closing(self.again(lambda: self._open("POST", path, body=body))) as response:
            yield _chunks(response)

    def again(self, call: Callable[[], T]) -> T:
        """Return what `call` does; a few times more when the vault asks to wait or the connection was lost."""
        for _ in range(ATTEMPTS - 1):
            try:
                return call()
            except (Unavailable, TooManyRequests) as error:
                if isinstance(error, CannotConnect | TooSlow) or error.retry_after > LONGEST_WAIT:
                    raise
                self._wait(error.retry_after)
        return call()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _whole(self, method: str, path: str, limit: int, **call: Any) -> bytes:
        with closing(self._open(method, path, **call)) as response:
            return _bounded(response, limit)

    def _open(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        query: Mapping[str, int | str] | None = None,
        bearer: str = "",
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        if body is not None:
            headers |= {"content-type": body.media_type, "content-length": str(body.length)}
        content = None if body is None else iter(body.chunks)
        request = self._http.build_request(method, path, params=query, headers=headers, content=content)
        try:
            response = self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise connection_error(error) from None
        if response.status_code >= _REFUSED:
            with closing(response):
                raise error_of(response.status_code, _bounded(response, PROBLEM_BYTES))
        return response


def decode_body(data: bytes, kind: type[T]) -> T:
    """Return an answer's JSON as `kind`. Raises Malformed."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(f"the vault's answer is not a {kind.__name__}") from None


def _bounded(response: httpx.Response, limit: int) -> bytes:
    data = bytearray()
    for chunk in _chunks(response):
        data += chunk
        if len(data) > limit:
            raise CannotConnect(f"the answer has more than {limit} bytes, so it is no vault's")
    return bytes(data)


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_raw()
    except httpx.HTTPError as error:
        raise connection_error(error) from None
