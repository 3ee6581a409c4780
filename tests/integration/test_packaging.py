"""The systemd units, the Debian package and the Dockerfile say what is true: of paths, packages, options and the program."""

import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from .support.larder_process import PROGRAM, REPOSITORY
from .support.waiting import SANITIZER

CONF = os.path.join(REPOSITORY, "conf")
BUILD = os.path.dirname(os.path.abspath(PROGRAM))


def read(*path):
    with open(os.path.join(REPOSITORY, *path), encoding="utf-8") as file:
        return file.read()


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def options_of(command):
    return set(re.findall(r"--[a-z-]+", run(PROGRAM, command, "--help").stdout))


def installed_packages():
    """What scripts/install.sh knows by name: {list: packages}."""
    return {name: set(re.sub(r"#.*", "", body).split())
            for name, body in re.findall(r"^(\w+)_packages=\(([^)]*)\)", read("scripts", "install.sh"), re.MULTILINE)}


class Units(unittest.TestCase):
    def setUp(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        directory = tempfile.TemporaryDirectory(prefix="larder-units-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        # With a program that is there.
        for name in ("larder.service", "larder.socket"):
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
                file.write(read("conf", name).replace("/usr/bin/larder ", PROGRAM + " "))
        self.service = os.path.join(self.directory, "larder.service")
        self.socket = os.path.join(self.directory, "larder.socket")

    def test_verify(self):
        ended = run("systemd-analyze", "verify", self.service, self.socket)
        ours = [line for line in ended.stderr.splitlines() if "larder" in line and "Cannot add dependency" not in line]
        self.assertEqual(ours, [])
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_verify_finds_what_is_wrong(self):
        with open(self.service, "a", encoding="utf-8") as file:
            file.write("[Service]\nRestrt=always\n")
        self.assertIn("Restrt", run("systemd-analyze", "verify", self.service).stderr)

    def test_hardening(self):
        ended = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", self.service)
        self.assertEqual(ended.returncode, 0, ended.stdout[-3000:] + ended.stderr)

    def test_it_says_what_larder_has(self):
        service = read("conf", "larder.service")
        command = re.search(r"^ExecStart=(.*)$", service, re.MULTILINE).group(1).split()
        self.assertEqual(command[:2], ["/usr/bin/larder", "serve"])
        self.assertLessEqual({word for word in command if word.startswith("--")}, options_of("serve"))
        self.assertIn("/etc/larder/larder.yaml", command)
        self.assertIn("Type=notify\n", service)
        # systemd must not kill what is still within its own deadline.
        stop = int(re.search(r"^TimeoutStopSec=(\d+)s$", service, re.MULTILINE).group(1))
        deadline = int(re.search(r"^  deadline: (\d+)s", read("conf", "larder.yaml"), re.MULTILINE).group(1))
        self.assertGreater(stop, deadline)
        listen = re.search(r"^listen: (\S+)", read("conf", "larder.yaml"), re.MULTILINE).group(1)
        self.assertIn(f"ListenStream={listen}\n", read("conf", "larder.socket"))


class Dockerfile(unittest.TestCase):
    def setUp(self):
        text = re.sub(r"^#.*\n", "", read("conf", "Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
        self.steps = [line.split(None, 1) for line in text.splitlines() if line.strip()]

    def of(self, *names):
        return [rest for name, rest in self.steps if name in names]

    def test_each_instruction_is_one(self):
        known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
        self.assertEqual({name for name, _ in self.steps} - known, set())
        self.assertEqual(self.steps[0][0], "FROM")
        for image in self.of("FROM"):
            self.assertRegex(image, r"^debian:12(-slim)?( AS \w+)?$")

    def test_what_it_copies_is_there(self):
        stages = {image.split(" AS ")[1] for image in self.of("FROM") if " AS " in image}
        for step in self.of("COPY"):
            words = step.split()
            if words[0].startswith("--from="):
                self.assertIn(words[0].removeprefix("--from="), stages)
                continue
            for source in words[:-1]:
                self.assertTrue(os.path.exists(os.path.join(REPOSITORY, source)), source)

    def test_what_the_build_needs_is_copied(self):
        copied = {source for step in self.of("COPY") if not step.startswith("--from=") for source in step.split()[:-1]}
        cmake = read("CMakeLists.txt") + read("scripts", "package.cmake")
        for path in re.findall(r"(?:include\(|install\(FILES |EXTRA \$\{CMAKE_CURRENT_SOURCE_DIR\}/)([\w./ -]+)", cmake):
            for one in path.split(" DESTINATION")[0].split():
                if os.path.exists(os.path.join(REPOSITORY, one)):
                    self.assertTrue(one in copied or one.split("/")[0] in copied, f"{one} is not copied")

    def test_scripts_and_their_arguments_are_there(self):
        for step in self.of("RUN"):
            for script, argument in re.findall(r"(scripts/[\w.]+) (\w+)", step):
                self.assertTrue(os.access(os.path.join(REPOSITORY, script), os.X_OK), script)
                self.assertIn(argument, installed_packages())
            for option in re.findall(r"-D(LARDER_\w+)", step):
                self.assertIn(f"option({option}", read("CMakeLists.txt"))

    def test_the_program_is_called_as_it_wants(self):
        entry = json.loads(self.of("ENTRYPOINT")[0])
        command = json.loads(self.of("CMD")[0])
        self.assertEqual(command[0], "serve")
        self.assertLessEqual({word for word in command if word.startswith("--")}, options_of("serve"))
        targets = {step.split()[-1] for step in self.of("COPY")}
        self.assertIn(entry[0], targets)
        config = command[command.index("--config") + 1]
        self.assertIn(os.path.dirname(config) + "/", targets)
        for option in ("--listen", "--admin"):
            self.assertIn(command[command.index(option) + 1].split(":")[1], self.of("EXPOSE")[0].split())

    @unittest.skipIf(SANITIZER, "a sanitizer brings libraries of its own")
    def test_the_image_has_the_libraries_that_the_program_needs(self):
        packages = {word for step in self.of("RUN") for body in re.findall(r"--no-install-recommends([^&]*)", step)
                    for word in body.split()}
        needed = set()
        for path in re.findall(r"=> (/\S+)", run("ldd", PROGRAM).stdout):
            # dpkg knows the file by its path before /usr was merged, or after.
            for candidate in (os.path.realpath(path), os.path.realpath(path).removeprefix("/usr")):
                owner = run("dpkg", "-S", candidate)
                if owner.returncode == 0:
                    needed.add(owner.stdout.split(":")[0])
                    break
            else:
                self.fail(f"no package has {path}")
        self.assertGreater(len(needed), 5)
        self.assertEqual(needed - packages - {"libc6", "libgcc-s1"}, set())
        for package in packages:
            self.assertTrue(package in needed or package == "ca-certificates", f"{package} is not needed")


@unittest.skipIf(SANITIZER, "a sanitizer's build is not packed")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="larder-package-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        ended = run(os.path.join(REPOSITORY, "scripts", "package.sh"), cls.directory,
                    env={**os.environ, "LARDER_BUILD": BUILD})
        assert ended.returncode == 0, ended.stdout + ended.stderr
        cls.package = ended.stdout.strip()
        cls.root = os.path.join(cls.directory, "root")
        for command in (("-x", cls.package, cls.root), ("-e", cls.package, os.path.join(cls.root, "DEBIAN"))):
            unpacked = run("dpkg-deb", *command)
            assert unpacked.returncode == 0, unpacked.stderr

    def control(self, name):
        with open(os.path.join(self.root, "DEBIAN", name), encoding="utf-8") as file:
            return file.read()

    def test_one_package_and_nothing_else_is_made(self):
        self.assertEqual(glob.glob(self.directory + "/*.deb"), [self.package])
        version = run(PROGRAM, "--version").stdout.split()[1]
        self.assertRegex(os.path.basename(self.package), rf"^larder_{re.escape(version)}_\w+\.deb$")

    def test_what_it_depends_on(self):
        control = self.control("control")
        depends = re.search(r"^Depends: (.*)$", control, re.MULTILINE).group(1)
        for package in ("libc6", "libssl3", "libhiredis0.14", "libyaml-cpp0.7", "adduser"):
            self.assertIn(package, depends)
        self.assertRegex(control, r"(?m)^Package: larder$")

    def test_what_is_in_it(self):
        listed = run("dpkg-deb", "-c", self.package).stdout
        for path in ("usr/bin/larder", "etc/larder/larder.yaml", "etc/larder/rules.yaml", "etc/default/larder",
                     "lib/systemd/system/larder.service", "lib/systemd/system/larder.socket",
                     "usr/share/doc/larder/copyright"):
            self.assertRegex(listed, rf"(?m)^-\S+ root/root .* \./{re.escape(path)}$")
        self.assertNotIn("/usr/local", listed)
        for path in self.control("conffiles").split():
            self.assertTrue(os.path.exists(self.root + path), path)
        for script in ("postinst", "prerm", "postrm"):
            self.assertTrue(os.access(os.path.join(self.root, "DEBIAN", script), os.X_OK))
            self.assertEqual(run("sh", "-n", os.path.join(self.root, "DEBIAN", script)).returncode, 0)

    def test_the_program_and_its_configuration_work(self):
        program = self.root + "/usr/bin/larder"
        self.assertEqual(run(program, "--version").stdout, run(PROGRAM, "--version").stdout)
        ended = run(program, "check", "--config", self.root + "/etc/larder/larder.yaml")
        self.assertEqual(ended.returncode, 0, ended.stdout)
        self.assertIn("EnvironmentFile=-/etc/default/larder", read("conf", "larder.service"))


if __name__ == "__main__":
    unittest.main()
