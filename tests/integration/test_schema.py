"""The JSON Schemas in conf/: the files beside them are valid, and what Larder refuses they refuse too."""

import json
import os
import re
import unittest

import jsonschema
import yaml

from .support.larder_process import REPOSITORY

CONF = os.path.join(REPOSITORY, "conf")


def read(name):
    with open(os.path.join(CONF, name), encoding="utf-8") as file:
        return file.read()


class TextKeys(yaml.SafeLoader):
    """As editors read YAML 1.2: `off` and `on` are texts."""


TextKeys.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
TextKeys.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def plain(document):
    """Keys as JSON has them."""
    if isinstance(document, dict):
        return {str(key): plain(value) for key, value in document.items()}
    return [plain(item) for item in document] if isinstance(document, list) else document


class Schema(unittest.TestCase):
    def validator(self, name):
        schema = json.loads(read(name))
        jsonschema.Draft7Validator.check_schema(schema)
        return jsonschema.Draft7Validator(schema)

    def errors(self, name, text):
        document = plain(yaml.load(text, TextKeys))
        return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
                for error in self.validator(name).iter_errors(document)]

    def test_the_files_are_valid_and_name_their_schema(self):
        for name, schema in (("larder.yaml", "larder.schema.json"), ("rules.yaml", "rules.schema.json"),
                             ("demo-rules.yaml", "rules.schema.json")):
            with self.subTest(name):
                text = read(name)
                self.assertEqual(text.split("\n", 1)[0], f"# yaml-language-server: $schema={schema}")
                self.assertEqual(self.errors(schema, text), [])

    def test_the_section_of_redis(self):
        text = re.sub(r"(?m)^#(redis:|  )", r"\1", read("larder.yaml"))
        self.assertIn("\nredis:\n  url: redis://", text)
        self.assertEqual(self.errors("larder.schema.json", text), [])

    def test_what_is_right(self):
        for text in ("", "redis: off", "redis: on", "admin: off", "memory: off", "memory: { capacity: 10MB }",
                     "client: { body_rate: off, idle_timeout: 90 }", "workers: ${N:-2}", "origin: { servers: http://a:1 }",
                     "kv: off", "kv: { memory: off }", "access_log: off", "access_log: { file: off, sample: 0.5% }",
                     "alerts: { rules: [ { name: a, when: redis_down, for: 10s } ] }", "request_id: { field: \"\" }"):
            with self.subTest(text):
                self.assertEqual(self.errors("larder.schema.json", text), [])
        for text in ("", "types: { a: }", "types: { a: { ttl: off } }",
                     "routes: [ { match: \"[GET, QUERY] /a\", cache: a }, { match: { methods: GET, path: /a }, cache: off } ]",
                     "routes: [ { match: \"* /a\", purge: { all: true } } ]", "mode: shadow", "verify: 1%", "verify: off",
                     "verify: { share: 0.1%, credentials: true }", "namespaces: { default: off, a: 5m }",
                     "namespaces: { a: { ttl: 5m, read: \"${A:-}\", write: [\"${B:-}\"] } }"):
            with self.subTest(text):
                self.assertEqual(self.errors("rules.schema.json", text), [])

    def test_what_is_wrong(self):
        for text in ("lisen: a:1", "client: { head_sise: 1 }", "workers: -1", "listen: nowhere", "log_level: loud",
                     "client: { idle_timeout: 5 parsecs }", "memory: { capacity: much }", "origin: { servers: [] }",
                     "client: off", "redis: { port: 70000 }", "kv: { max_keys: 0 }", "access_log: { sample: some }",
                     "access_log: { always: [all] }", "alerts: { rules: [ { name: a } ] }",
                     "alerts: { rules: [ { name: a b, when: redis_down } ] }",
                     "alerts: { rules: [ { name: a, when: redis_down, windw: 5m } ] }", "traceparent: maybe"):
            with self.subTest(text):
                self.assertNotEqual(self.errors("larder.schema.json", text), [])
        for text in ("route: []", "types: { a: { tll: 5m } }", "types: { off: {} }", "types: { a: { priority: urgent } }",
                     "routes: [ { cache: a } ]", "routes: [ { match: GET /a } ]", "routes: [ { match: GET a, cache: a } ]",
                     "routes: [ { match: GET /a, cache: a, query: { only: [a], ignore: [b] } } ]",
                     "routes: [ { match: GET /a, cache: a, store_despite: [all] } ]",
                     "routes: [ { match: POST /a, purge: [ { key: \"session:*\" } ] } ]",
                     "routes: [ { match: POST /a, purge: [ { tag: a, key: \"cache:b\" } ] } ]",
                     "tests: [ { request: GET /a } ]", "tests: [ { request: GET /a, expect: {} } ]",
                     "tests: [ { request: GET /a, expect: { tll: 5m } } ]", "mode: dark", "verify: much",
                     "verify: { credentials: true }", "namespaces: { a: { tll: 5m } }", "namespaces: { \"a b\": 5m }"):
            with self.subTest(text):
                self.assertNotEqual(self.errors("rules.schema.json", text), [])


if __name__ == "__main__":
    unittest.main()
