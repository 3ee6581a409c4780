"""A real prometheus, which scrapes what it is told to; and promtool."""

import http.client
import json
import shutil
import subprocess
import tempfile
import urllib.parse

from .origin import unused_port
from .waiting import DEADLINE, eventually


def promtool(*arguments, stdin=None):
    """Runs promtool; returns the completed process, output as text."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False,
                          input=stdin)


class PrometheusProcess:
    """prometheus with this configuration (the text of its file), on a port chosen by the system."""

    def __init__(self, configuration):
        self._directory = tempfile.mkdtemp(prefix="larder-prometheus-")
        self._configuration = f"{self._directory}/prometheus.yaml"
        with open(self._configuration, "w", encoding="utf-8") as file:
            file.write(configuration)
        self._log = open(f"{self._directory}/log", "wb")  # pylint: disable=consider-using-with
        for _ in range(5):
            # Between looking for a port and binding it another may take it.
            self.port = unused_port()
            if self._start_once():
                return
        raise AssertionError("prometheus does not start: " + self.log())

    def log(self):
        with open(f"{self._directory}/log", encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def _start_once(self):
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["prometheus", f"--config.file={self._configuration}", f"--storage.tsdb.path={self._directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)

        def ready():
            if self._process.poll() is not None:
                return "ended"
            try:
                return "ready" if self._ask("/-/ready")[0] == 200 else None
            except (OSError, http.client.HTTPException):
                return None

        return eventually(ready, "prometheus is ready") == "ready"

    def _ask(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def api(self, target):
        """The data of an answer of its HTTP API."""
        status, body = self._ask("/api/v1/" + target)
        answer = json.loads(body)
        if status != 200 or answer["status"] != "success":
            raise AssertionError(f"prometheus answers {target} with {status}: {body[:500]}")
        return answer["data"]

    def query(self, expression):
        """The values of an instant query: {labels as a sorted tuple of pairs: number}."""
        data = self.api("query?" + urllib.parse.urlencode({"query": expression}))
        return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in data["result"]}

    def value(self, expression):
        """The one value of a query; None where there is none."""
        values = list(self.query(expression).values())
        if len(values) > 1:
            raise AssertionError(f"{expression} has {len(values)} values")
        return values[0] if values else None

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE)
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)
