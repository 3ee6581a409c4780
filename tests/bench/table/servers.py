"""What is measured and what it stands before or beside: the origin, Redis, the floor, Larder and the peers."""

import dataclasses
import gzip
import json
import os
import random
import shutil
import string
import tempfile

from . import processes
from .report import Skipped

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
LUA_MODULES = "/usr/lib/nginx/modules"
LUA_REDIS = "/usr/share/lua/5.1/nginx/redis.lua"
KIB = 1024
GIB = 1024**3


class Template(string.Template):
    """`@{name}` is filled in; `$name` belongs to nginx."""

    delimiter = "@"


def render(name, **values):
    """The text of a template; a value that is missing is an error."""
    with open(os.path.join(TEMPLATES, name), encoding="utf-8") as file:
        return Template(file.read()).substitute(values)


def _said_hit(fields):
    return fields.get("x-cache") == "HIT"


def _has_age(fields):
    return "age" in fields


def _varnish_hit(fields):
    return len(fields.get("x-varnish", "").split()) == 2


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that listens. `is_hit` tells from a response's fields whether its cache answered."""

    child: processes.Child
    port: int
    is_hit: object = _said_hit


def json_body(size):
    """A JSON document of exactly `size` bytes, the same in each run."""
    numbers = random.Random(size)
    items, length = [], 2
    while length < size:
        items.append(json.dumps({"id": len(items), "name": f"user{numbers.randrange(10**6):06}",
                                 "score": round(numbers.random() * 100, 3)}))
        length += len(items[-1]) + 1
    return ("[" + ",".join(items) + "]").encode().ljust(size)[:size]


class Bodies:
    """The origin's files. `sizes` has the number of bytes of each as it is sent."""

    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory)
        coded = gzip.compress(json_body(4 * KIB), mtime=0)
        self.sizes = {"1k": KIB, "100k": 100 * KIB, "1m": KIB * KIB, "coded": len(coded), "1g": GIB}
        for name in ("1k", "100k", "1m"):
            self._write(f"{name}.json", json_body(self.sizes[name]))
        self._write("coded.json", json_body(4 * KIB))
        self._write("coded.json.gz", coded)
        self._write("identity.json", json_body(len(coded)))
        with open(self.path("1g.bin"), "wb") as file:
            file.truncate(GIB)  # takes no space

    def path(self, name):
        return os.path.join(self.directory, name)

    def _write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)


class Servers:
    """Starts each server when it is first asked for, and keeps it. All are in `children`, which ends them."""

    def __init__(self, children, cores, build):
        self._children = children
        self._cores = cores
        self._build = build
        self._started = {}
        self._memory = None
        self.bodies = Bodies(os.path.join(children.directory, "bodies"))

    def close(self):
        """Removes what lies outside of the children's directory; after they have ended."""
        if self._memory:
            shutil.rmtree(self._memory, ignore_errors=True)

    def program(self, name):
        """Path of a program or library of the build; skips what needs it where it is not there."""
        path = os.path.join(self._build, name)
        if not os.access(path, os.X_OK):
            raise Skipped(f"{name} is not built")
        return path

    def get(self, name):
        """A server by its name, one of the methods below."""
        if name not in self._started:
            self._started[name] = getattr(self, f"_{name}")()
        return self._started[name]

    @property
    def origin_url(self):
        return f"http://127.0.0.1:{self.get('origin').port}"

    # Larder, in as many ways as the rows need.
    def larder(self, *options, workers=1, cores=None, redis="off", **variables):
        """A new Larder before the origin, with `variables` added to its environment."""
        child = self._children.start(self.larder_command("0", *options, workers=workers, redis=redis),
                                     cores or [self._cores.server], **variables)
        return Server(child, child.wait_for_port())

    def larder_command(self, port, *options, workers=1, redis="off"):
        return [self.program("larder"), "serve", "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0",
                "--workers", str(workers), "--origin", self.origin_url, "--redis", redis, *options]

    def _larder(self):
        # Room for all that is measured; what the size of the memory tier is costs nothing.
        return self.larder("--memory", "1GiB")

    def _larder_redis(self):
        return self.larder("--memory", "off", redis=f"redis://127.0.0.1:{self.get('redis').port}/0")

    def _larder_two(self):
        return self.larder("--memory", "1GiB", workers=2, cores=self._cores.two_workers()[0])

    # What stands behind and under it.
    def _origin(self):
        return self._nginx_like("origin.nginx.conf", self._cores.load, bodies=self.bodies.directory)

    def _redis(self):
        port = processes.unused_port()
        return self._listen([processes.require("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--save",
                             "", "--appendonly", "no", "--dir", self._directory("redis")], port)

    def floor(self, body):
        """The floor with one of the bodies' names."""
        if ("floor", body) not in self._started:
            child = self._children.start([self.program("tests/bench/bench_floor"), self.bodies.path(f"{body}.json")],
                                         [self._cores.server])
            self._started["floor", body] = Server(child, child.wait_for_port())
        return self._started["floor", body]

    # The peers.
    def _nginx(self):
        return self._nginx_like("nginx.conf", self._cores.server, cache=self._memory_directory("nginx"),
                                origin_port=self.get("origin").port)

    def _nginx_redis(self):
        if not os.path.exists(f"{LUA_MODULES}/ngx_http_lua_module.so") or not os.path.exists(LUA_REDIS):
            raise Skipped("libnginx-mod-http-lua or lua-nginx-redis is not installed")
        return self._nginx_like("nginx-redis.conf", self._cores.server, modules=LUA_MODULES,
                                origin_port=self.get("origin").port, redis_port=self.get("redis").port)

    def _haproxy(self):
        program, port = processes.require("haproxy"), processes.unused_port()
        configuration = self._write("haproxy.cfg", port=port, origin_port=self.get("origin").port)
        return self._listen([program, "-db", "-f", configuration], port, _has_age)

    def _varnish(self):
        program, port = processes.require("varnishd", "varnish"), processes.unused_port()
        configuration = self._write("varnish.vcl", origin_port=self.get("origin").port)
        return self._listen([program, "-F", "-a", f"127.0.0.1:{port}", "-f", configuration, "-n",
                             self._directory("varnish"), "-s", "malloc,1G", "-p", "thread_pools=1", "-p",
                             "thread_pool_min=100"], port, _varnish_hit)

    def _nginx_like(self, template, core, **values):
        program, port = processes.require("nginx"), processes.unused_port()
        configuration = self._write(template, port=port, directory=self._directory(f"{template}.files"), **values)
        return self._listen([program, "-e", "stderr", "-c", configuration], port, core=core)

    # Details of starting.
    def _listen(self, command, port, is_hit=_said_hit, core=None):
        child = self._children.start(command, [self._cores.server if core is None else core])
        return Server(child, child.wait_for_port(port), is_hit)

    def _write(self, template, **values):
        path = os.path.join(self._children.directory, template)
        with open(path, "w", encoding="utf-8") as file:
            file.write(render(template, **values))
        return path

    def _directory(self, name):
        path = os.path.join(self._children.directory, name)
        os.mkdir(path)
        return path

    def _memory_directory(self, name):
        """A directory in memory where the system offers one."""
        if not os.access("/dev/shm", os.W_OK):
            return self._directory(name)
        self._memory = tempfile.mkdtemp(prefix="larder-bench-", dir="/dev/shm")
        os.chmod(self._memory, 0o755)
        path = os.path.join(self._memory, name)
        os.mkdir(path)
        return path
