"""A user's first session: scripts/run.sh, and the curl lines that it prints."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import unittest

from .support.larder_process import PROGRAM, REPOSITORY, clean_environment
from .support.origin import Origin
from .support.waiting import DEADLINE, eventually

RUN = os.path.join(REPOSITORY, "scripts", "run.sh")


class Script:
    """scripts/run.sh before an already built program."""

    def __init__(self, *arguments):
        environment = clean_environment({"LARDER": PROGRAM, "LARDER_LISTEN": "127.0.0.1:0",
                                         "LARDER_ADMIN": "127.0.0.1:0"})
        # A session of its own, so that an interrupt can be sent to all of it, as a terminal does.
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment, text=True, start_new_session=True)
        self.output = ""
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, pattern):
        return eventually(lambda: re.search(pattern, self.output), f"run.sh prints {pattern}")

    def interrupt(self):
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)
        self.process.stdout.close()


def session_members(process_group):
    """Processes still alive in the group."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rpartition(")")[2].split()
                if int(fields[2]) == process_group and fields[0] != "Z":
                    members.append(name)
            except (OSError, IndexError):
                pass
    return members


class Demo(unittest.TestCase):
    def start(self, *arguments):
        script = Script(*arguments)
        self.addCleanup(script.close)
        return script

    def test_the_printed_session(self):
        script = self.start()
        script.wait_for("Ctrl-C ends both")
        lines = re.findall(r"^ +(curl .*)$", script.output, re.MULTILINE)
        answers = [subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=DEADLINE, check=True)
                   .stdout for line in lines]
        outcomes = [re.search(r"^X-Cache: (\w+)", answer, re.MULTILINE) for answer in answers]
        self.assertEqual([outcome and outcome.group(1) for outcome in outcomes[:2]], ["MISS", "HIT"], script.output)
        self.assertIn(" 200 ", answers[2].splitlines()[0])
        self.assertEqual(outcomes[3].group(1), "MISS")
        self.assertIn('"price": 199', answers[3])
        self.assertNotIn('"price": 199', answers[1])
        self.assertEqual(outcomes[4].group(1), "MISS")
        self.assertEqual(json.loads(answers[5])["status"], "success")
        self.assertEqual(subprocess.run(["bash", "-c", lines[1]], capture_output=True, text=True, check=True).stdout
                         .count("X-Cache: HIT"), 1)

    def test_an_interrupt_ends_everything(self):
        script = self.start()
        script.wait_for("Ctrl-C ends both")
        script.interrupt()
        eventually(lambda: not session_members(script.process.pid), "nothing of it is left")

    def test_before_the_users_own_api(self):
        site = Origin()
        self.addCleanup(site.kill)
        site.answers("/mine", "mine")
        script = self.start("--origin", site.url, "--listen", "127.0.0.1:0", "--admin", "off", "--redis", "off")
        port = int(script.wait_for(r"listening on \S*:(\d+)").group(1))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request("GET", "/mine")
        self.assertEqual(connection.getresponse().read(), b"mine")
        script.interrupt()
        eventually(lambda: not session_members(script.process.pid), "nothing of it is left")


class DemoApi(unittest.TestCase):
    """The API itself, without Larder."""

    def setUp(self):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["python3", os.path.join(REPOSITORY, "scripts", "demo_api.py")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self.addCleanup(self.connection.close)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body))
        response = self.connection.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data else None

    def test_writes_change_what_is_read(self):
        self.assertEqual(self.ask("GET", "/api/products/1")[1]["price"], 249)
        self.assertEqual(self.ask("PATCH", "/api/products/1", {"price": 5})[1]["name"], "Oak table")
        self.assertEqual(self.ask("GET", "/api/products/1")[1]["price"], 5)
        status, created = self.ask("POST", "/api/products", {"name": "New", "price": 1})
        self.assertEqual((status, created["id"]), (201, 4))
        self.assertEqual(self.ask("DELETE", "/api/products/4"), (204, None))
        self.assertEqual(self.ask("GET", "/api/products/4")[0], 404)
        self.assertEqual(self.ask("GET", "/api/search?q=lamp")[1]["results"][0]["id"], 3)
        self.assertEqual(self.ask("GET", "/api/dashboard")[1]["writes"], 3)
        self.assertEqual(self.ask("GET", "/api/users/42")[1]["name"], "Ada")
        self.assertEqual(self.ask("PUT", "/api/users/42", [])[0], 400)


if __name__ == "__main__":
    unittest.main()
