"""A TCP connection between two processes that a test can cut and mend: one end is lost to the other, both live on."""

import socket
import threading

from .origin import reset


class TcpLink:
    """Relays connections to a port on this machine. While cut, connections are reset and refused at once; while stalled
    they stay open and nothing gets through."""

    def __init__(self, target_port):
        self.target_port = target_port
        self._lock = threading.Lock()
        self._pairs = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = None
        self.port = 0
        self.mend()

    def mend(self):
        """Listens again, on the same port as before."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self):
        """Resets all connections and refuses new ones."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for sock in pair:
                try:
                    sock.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
                reset(sock)

    def stall(self):
        self._flowing.clear()

    def flow(self):
        self._flowing.set()

    def close(self):
        self.flow()
        self.cut()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port), 5)
            except OSError:
                reset(near)
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.add((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source, sink):
        try:
            while True:
                data = source.recv(1 << 16)
                self._flowing.wait()
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
        except OSError:
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
