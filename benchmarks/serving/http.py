"""An HTTP/1.1 client that costs next to nothing, so that the load generator does not compete with what it measures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httptools


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        host: of the server.
        port: of the server.
        path: of the endpoint.
    """

    host: str
    port: int
    path: str

    def request(self, body: bytes) -> bytes:
        """A POST request of JSON, ready to be sent."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
        return f"{head}Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One connection, which is kept open and used for one request at a time."""

    answer: asyncio.Future[tuple[int, bytes]] | None = None
    transport: asyncio.Transport | None = None
    _parser: httptools.HttpResponseParser | None = None
    _body: bytearray = field(default_factory=bytearray)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits."""
        self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        assert self._parser is not None
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser: the answer is whole."""
        assert self._parser is not None
        if not self._parser.should_keep_alive() and self.transport is not None:
            self.transport.close()
            self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    async def send(self, request: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send a request and wait for its answer.

        Returns:
            Status and body.

        Raises:
            ConnectionError: the connection broke.
            TimeoutError: no answer came in time.
        """
        if self.transport is None:
            raise ConnectionError("the connection is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(timeout_s):
                return await self.answer
        except TimeoutError:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


async def connect(target: Target) -> Connection:
    """Open a connection.

    Raises:
        OSError: nobody listens.
    """
    _, connection = await asyncio.get_running_loop().create_connection(Connection, target.host, target.port)
    return connection
