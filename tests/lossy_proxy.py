"""A proxy that loses connections, for tests of what speaks to servers."""

import random
import socket
import threading
from contextlib import suppress

BYTES_AT_ONCE = 4096


class LossyProxy:
    """Forwards connections to a server, and cuts some of them after a number of bytes by chance.

    Args:
        port: of the server.
        share: of the connections that are cut.
    """

    def __init__(self, port, share):
        self._port, self._share, self._rng, self.cut = port, share, random.Random(5), 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            left = self._rng.randrange(60_000) if self._rng.random() < self._share else None
            threading.Thread(target=self._join, args=(client, left), daemon=True).start()

    def _join(self, client, left):
        server = socket.create_connection(("127.0.0.1", self._port))
        threading.Thread(target=self._copy, args=(server, client, None), daemon=True).start()
        self._copy(client, server, left)

    def _copy(self, source, target, left):
        with suppress(OSError):
            while data := source.recv(BYTES_AT_ONCE):
                if left is not None and (left := left - len(data)) < 0:
                    self.cut += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()
