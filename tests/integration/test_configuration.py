"""The command line, and what is said of wrong configurations."""

import os
import re
import socket
import unittest

from .support.files_case import FilesCase
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import REPOSITORY, run_program, settings
from .support.origin import unused_port

ORIGIN = "origin: { servers: [http://127.0.0.1:3000] }\n"

# (what is wrong, text of the server's file, line, what the fault must say)
SETTINGS_FAULTS = [
    ("unknown key", ORIGIN + "lisen: 127.0.0.1:80\n", 2, "lisen"),
    ("unknown key in a section", ORIGIN + "client:\n  head_sise: 1KiB\n", 3, "head_sise"),
    ("wrong type", ORIGIN + "workers: many\n", 2, "workers"),
    ("list for a scalar", ORIGIN + "workers: [1]\n", 2, "workers"),
    ("port too high", ORIGIN + "listen: 127.0.0.1:70000\n", 2, "listen"),
    ("no size", ORIGIN + "memory: { capacity: much }\n", 2, "capacity"),
    ("negative duration", ORIGIN + "client:\n  idle_timeout: -5s\n", 3, "idle_timeout"),
    ("unknown unit", ORIGIN + "client:\n  idle_timeout: 5 parsecs\n", 3, "idle_timeout"),
    ("duplicate key", ORIGIN + "workers: 1\nworkers: 2\n", 3, "workers"),
    ("no origin URL", "origin: { servers: [\"ftp://x\"] }\n", 1, "servers"),
    ("no YAML", ORIGIN + "client: {\n", None, ""),
    ("undefined variable", ORIGIN + "workers: ${NO_SUCH_VARIABLE_HERE}\n", 2, "NO_SUCH_VARIABLE_HERE"),
]

# (what is wrong, text of the rules file, line, what the fault must say)
RULES_FAULTS = [
    ("unknown key", "types: { a: {} }\nroute: []\n", 2, "route"),
    ("unknown key of a type", "types:\n  a: { tll: 5m }\n", 2, "tll"),
    ("unknown key of a route", "types: { a: {} }\nroutes:\n  - match: GET /\n    cach: a\n", 4, "cach"),
    ("unknown type", "types: { a: {} }\nroutes:\n  - match: GET /\n    cache: b\n", 4, "b"),
    ("no match", "types: { a: {} }\nroutes:\n  - cache: a\n", 3, "match"),
    ("unknown method", "types: { a: {} }\nroutes:\n  - match: GETT /\n    cache: a\n", 3, "GETT"),
    ("bad pattern", "types: { a: {} }\nroutes:\n  - match: GET a\n    cache: a\n", 3, ""),
    ("unclosed capture", "types: { a: {} }\nroutes:\n  - match: \"GET /{id\"\n    cache: a\n", 3, ""),
    ("unknown variable", "types: { a: {} }\nroutes:\n  - match: GET /{id}\n    cache: a\n    key: \"u:{uid}\"\n", 5,
     "uid"),
    ("only and ignore", "types: { a: {} }\nroutes:\n  - match: GET /\n    cache: a\n"
                        "    query: { only: [a], ignore: [b] }\n", 5, "only"),
    ("bad ttl", "types:\n  a: { ttl: soon }\n", 2, "ttl"),
    ("bad status", "types: { a: {} }\nroutes:\n  - match: GET /\n    cache: a\n    status: { 9999: 5s }\n", 5, "9999"),
    ("bad priority", "types:\n  a: { priority: urgent }\n", 2, "priority"),
    ("bad store_despite", "types: { a: {} }\nroutes:\n  - match: GET /\n    cache: a\n    store_despite: [all]\n", 5,
     "all"),
    ("bad identity", "types: { a: {} }\nroutes:\n  - match: GET /\n    cache: a\n    identity: Authorization\n", 5,
     "identity"),
    ("purge outside of cache:", "types: { a: {} }\nroutes:\n  - match: POST /\n    purge: [ { key: \"session:*\" } ]\n",
     4, "session"),
    ("purge of an unknown type", "types: { a: {} }\nroutes:\n  - match: POST /\n    purge: [ { type: b } ]\n", 4, "b"),
    ("bad client_directives", "client_directives: maybe\ntypes: { a: {} }\n", 1, "client_directives"),
]


class Check(FilesCase):
    def assert_fault(self, ended, path, line, text):
        output = ended.stdout + ended.stderr
        self.assertNotEqual(ended.returncode, 0, output)
        where = re.escape(path) + (rf":{line}: " if line else r":\d+: ")
        found = re.search(f"^{where}(.+)$", output, re.MULTILINE)
        self.assertTrue(found, f"no fault at {path}:{line} in:\n{output}")
        self.assertIn(text, found.group(1))
        self.assertRegex(found.group(1), r".+, .+", "what is wrong, what would be right")

    def test_settings(self):
        for fault, text, line, says in SETTINGS_FAULTS:
            with self.subTest(fault):
                path = self.write("larder.yaml", text)
                self.assert_fault(run_program("check", "--config", path), path, line, says)

    def test_rules(self):
        config = self.write("larder.yaml", ORIGIN)
        for fault, text, line, says in RULES_FAULTS:
            with self.subTest(fault):
                path = self.write("rules.yaml", text)
                self.assert_fault(run_program("check", "--config", config, "--rules", path), path, line, says)

    def test_all_faults_are_told_at_once(self):
        path = self.write("larder.yaml", ORIGIN + "lisen: x\nworkers: many\nclient:\n  fields: -1\n")
        ended = run_program("check", "--config", path)
        self.assertGreaterEqual(len(re.findall(rf"^{re.escape(path)}:\d+: ", ended.stdout + ended.stderr, re.M)), 3)

    def test_faults_stop_the_start(self):
        path = self.write("larder.yaml", ORIGIN + "lisen: x\n")
        ended = run_program("serve", "--config", path)
        self.assert_fault(ended, path, 2, "lisen")

    def test_no_such_file(self):
        for command in ("check", "serve"):
            ended = run_program(command, "--config", "/no/such/file.yaml")
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("/no/such/file.yaml", ended.stdout + ended.stderr)

    def test_good_ones(self):
        config = self.write("larder.yaml", ORIGIN)
        ended = run_program("check", "--config", config, "--rules", self.write("rules.yaml", HOUR_RULES))
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_the_files_that_come_with_it(self):
        conf = os.path.join(REPOSITORY, "conf")
        for rules in ("rules.yaml", "demo-rules.yaml"):
            ended = run_program("check", "--config", f"{conf}/larder.yaml", "--rules", f"{conf}/{rules}")
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_variables_are_substituted(self):
        path = self.write("larder.yaml", "origin: { servers: [\"http://${SITE_HOST}:${SITE_PORT:-3000}\"] }\n")
        self.assertEqual(run_program("check", "--config", path, environment={"SITE_HOST": "a"}).returncode, 0)
        self.assertNotEqual(run_program("check", "--config", path).returncode, 0)

    def test_secrets_are_not_told(self):
        path = self.write("larder.yaml", ORIGIN + "redis: { url: \"redis://u:top-secret@h:notaport/0\" }\n"
                                                  "admin: { token: short-secret }\n")
        ended = run_program("check", "--config", path)
        self.assertNotEqual(ended.returncode, 0)
        self.assertNotIn("secret", ended.stdout + ended.stderr)


class CommandLine(IntegrationCase):
    def test_version_and_help(self):
        self.assertRegex(run_program("--version").stdout, r"\d+\.\d+\.\d+")
        text = run_program("--help").stdout
        for word in ("serve", "check"):
            self.assertIn(word, text)
        text = run_program("serve", "--help").stdout
        for option in ("--config", "--listen", "--admin", "--origin", "--redis", "--rules", "--workers", "--memory",
                       "--token"):
            self.assertIn(option, text)

    def test_wrong_usage(self):
        for arguments in (["nonsense"], ["serve", "--nonsense"], ["serve", "--listen", "nowhere"],
                          ["serve", "--origin", "ftp://x"], ["serve", "--workers", "many"],
                          ["serve", "--memory", "much"]):
            with self.subTest(arguments):
                ended = run_program(*arguments)
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(arguments[-2] if len(arguments) > 2 else arguments[-1], ended.stdout + ended.stderr)

    def test_a_port_in_use_is_an_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for option in ("--listen", "--admin"):
                arguments = {"--listen": "127.0.0.1:0", "--admin": "127.0.0.1:0", option: f"127.0.0.1:{port}"}
                ended = run_program("serve", "--origin", "http://127.0.0.1:1", "--redis", "off",
                                    *[word for pair in arguments.items() for word in pair])
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(str(port), ended.stdout + ended.stderr)

    def test_options_win_over_the_file(self):
        site = self.origin()
        site.numbered("/")
        port = unused_port()
        text = f"listen: 127.0.0.1:{port}\norigin: {{ servers: [http://127.0.0.1:1] }}\n" + settings(
            memory={"capacity": "off"})
        proxy = self.larder(site, settings=text, memory="1MiB", rules=HOUR_RULES)
        self.assertNotEqual(proxy.port, port)
        self.assert_outcome(proxy.get("/"), "MISS", "1")
        self.assert_outcome(proxy.get("/"), "HIT", "1")

    def test_without_rules_it_is_a_plain_rfc_9111_cache(self):
        site = self.origin()
        site.numbered("/fresh", {"Cache-Control": "max-age=60"})
        site.numbered("/silent")
        proxy = self.larder(site)
        self.assert_outcome(proxy.get("/fresh"), "MISS", "1")
        self.assert_outcome(proxy.get("/fresh"), "HIT", "1")
        proxy.get("/silent")
        self.assertEqual(proxy.get("/silent").text, "2")

    def test_the_file_alone_suffices(self):
        site = self.origin()
        site.numbered("/", {"Cache-Control": "max-age=60"})
        proxy = self.larder(settings=f"origin: {{ servers: [{site.url}] }}\n")
        self.assert_outcome(proxy.get("/"), "MISS", "1")


if __name__ == "__main__":
    unittest.main()
