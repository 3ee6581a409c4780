"""Headless Chromium, steered through chromedriver by the W3C WebDriver protocol: JSON over HTTP, so that the standard
library is enough."""

import http.client
import json
import re
import shutil
import subprocess
import tempfile

from .waiting import DEADLINE, eventually

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the protocol gives to references
ENTER, ESCAPE, TAB, ARROW_LEFT = "\ue007", "\ue00c", "\ue004", "\ue012"


class BrowserError(AssertionError):
    """The browser could not do what it was asked to."""


class Browser:
    """One chromedriver with one browser and one tab."""

    def __init__(self, width=1280, height=900, scheme="light"):
        self._profile = tempfile.mkdtemp(prefix="larder-browser-")
        self._driver, self._port, self._session = None, None, None
        try:
            self._start_driver()
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en",
                         f"--user-data-dir={self._profile}", f"--window-size={width},{height}"]
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self._session = answer["sessionId"]
            self.look(width, scheme, height)
        except BaseException:
            self.close()
            raise

    def _start_driver(self):
        # The port that it chooses it binds for IPv4 and IPv6, and gives up where one of them is taken.
        told = []
        for _ in range(10):
            self._driver = subprocess.Popen(  # pylint: disable=consider-using-with
                ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, text=True)
            for line in self._driver.stdout:
                told.append(line)
                started = re.search(r"started successfully on port (\d+)", line)
                if started:
                    self._port = int(started.group(1))
                    return
            self._end_driver()
        raise BrowserError("chromedriver does not start:\n" + "".join(told)[-2000:])

    def _end_driver(self):
        self._driver.terminate()
        self._driver.wait(DEADLINE)
        self._driver.stdout.close()

    def close(self):
        """Ends both; the browser goes with its session."""
        try:
            if self._session is not None:
                self._call("DELETE", f"/session/{self._session}")
        finally:
            if self._port is not None:
                self._end_driver()
            shutil.rmtree(self._profile, ignore_errors=True)

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE * 3)
        try:
            connection.request(method, path, json.dumps(body if body is not None else {}) if method == "POST" else None,
                               {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise BrowserError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def _do(self, path, **body):
        return self._call("POST", f"/session/{self._session}/{path}", body)

    def _devtools(self, command, **parameters):
        return self._do("goog/cdp/execute", cmd=command, params=parameters)

    # What it shows, and how.
    def open(self, url):
        self._do("url", url=url)

    def look(self, width, scheme, height=900):
        """The size of the window, and light or dark."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                       mobile=width < 500)
        self._devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def run(self, script, *arguments):
        """The value of a script: the body of a function of `arguments`."""
        return self._do("execute/sync", script=script, args=list(arguments))

    def text(self, selector):
        """What the elements that match show, as one text."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText).join('\\n')",
                        selector)

    def visible(self, selector):
        """How many that match can be seen."""
        return self.run("return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility()).length",
                        selector)

    def wait_for_text(self, selector, text):
        """Waits until the text is shown there; returns all that is shown there."""
        def shown():
            told = self.text(selector)
            return told if text in told else None
        try:
            return eventually(shown, f"{selector} shows {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {self.text(selector)!r}") from None

    def wait_for(self, selector):
        eventually(lambda: self.visible(selector), f"{selector} can be seen")

    def names(self, selector):
        """The accessible names of the visible elements that match, as a screen reader is told them."""
        found = self._do("elements", using="css selector", value=selector)
        return [self._call("GET", f"/session/{self._session}/element/{element[ELEMENT]}/computedlabel")
                for element in found if self.run("return arguments[0].checkVisibility()", element)]

    def focused(self):
        """The id of what has the focus."""
        return self.run("return document.activeElement.id")

    def console(self):
        """Its warnings and errors since the last call."""
        lines = self._do("se/log", type="browser")
        return [f"{line['level']} {line['message']}" for line in lines if line["level"] in ("WARNING", "SEVERE")]

    def cookies(self):
        return self._call("GET", f"/session/{self._session}/cookie")

    # What people do.
    def _find(self, selector):
        return self._do("element", using="css selector", value=selector)[ELEMENT]

    def click(self, selector):
        """Scrolls there and clicks with the mouse: fails where something else lies on top."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", selector)
        self._do(f"element/{self._find(selector)}/click")

    def type(self, selector, text, clear=True):
        element = self._find(selector)
        if clear:
            self._do(f"element/{element}/clear")
        self._do(f"element/{element}/value", text=text)

    def press(self, *keys):
        """Keys, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._do("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])
