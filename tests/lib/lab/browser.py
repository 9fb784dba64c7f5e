# SPDX-License-Identifier: MIT
"""Debian's Chromium without a window, for what is to be seen of drover-web's page."""
import base64
import functools
import json
import os
import shutil
import subprocess
import unittest

from .core import BUILD, ROOT, Failed, wait_for

PICTURES = os.path.join(BUILD, "test-logs")
NEEDED = ("chromium", "chromedriver")


def needs_browser(test):
    """Skip, with the reason, where there is none."""
    missing = [p for p in NEEDED if not shutil.which(p)]
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing.append("python3-selenium")
    return unittest.skipIf(missing, f"there is no {' and no '.join(missing)}")(test)


@functools.lru_cache(None)
def axe():
    """The source of axe-core, or None and the reason why there is none."""
    done = subprocess.run([os.path.join(ROOT, "tools", "fetch-axe")], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
    with open(done.stdout.strip(), encoding="utf-8") as f:
        return f.read(), None


class Browser:
    """One page; what it logged and asked for is kept."""

    def __init__(self, lab, width=1280, height=1400, dark=False):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-dev-shm-usage", "--disable-background-networking",
                     "--disable-component-update", "--no-proxy-server", "--hide-scrollbars",
                     f"--user-data-dir={lab.path('chromium')}"):
            options.add_argument(word)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=Service(shutil.which("chromedriver"), env=lab.environ,
                                             log_path=os.devnull))
        lab.cleanup(self.close)
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 500)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.asked, self.logged = [], []

    def command(self, name, **values):
        return self.driver.execute_cdp_cmd(name, values)

    def open(self, address):
        self.driver.get(address)

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def text(self, selector):
        """What is seen of it; "" where it is not."""
        return self.run("const n = document.querySelector(arguments[0]);"
                        "return n ? n.innerText : ''", selector)

    def fact(self, selector, word):
        """The value beside that word in a list of facts."""
        return self.run(
            "const d = [...document.querySelectorAll(arguments[0] + ' dt')]"
            ".find(n => n.textContent === arguments[1]);"
            "return d ? d.nextElementSibling.innerText : null", selector, word)

    def wait_text(self, selector, wanted, timeout=20):
        try:
            return wait_for(f"{wanted!r} in {selector}",
                            lambda: wanted in (seen := self.text(selector)) and seen, timeout, 0.2)
        except Failed as e:
            raise Failed(f"{e}; there is {self.text(selector)!r}, and {self.console()}") from None

    def violations(self):
        """What axe-core finds, a line each."""
        source, why = axe()
        if not source:
            raise unittest.SkipTest(why)
        if not self.run("return !!window.axe"):
            self.run(source)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(r => done(r.violations))")
        return [f"{v['id']}: {v['help']}: {node['target']}: {node['failureSummary']}"
                for v in found for node in v["nodes"]]

    def console(self):
        """All that went wrong, as the browser says it."""
        self.logged += [e["message"] for e in self.driver.get_log("browser")
                        if e["level"] in ("SEVERE", "WARNING")]
        return self.logged

    def foreign(self, origin):
        """What it asked for elsewhere; the browser's own pages have no host."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        return [a for a in self.asked
                if not a.startswith((f"{origin}/", "chrome:", "data:", "about:"))]

    def picture(self, name):
        """The whole page, kept for people."""
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return document.documentElement.clientWidth")
        data = self.command("Page.captureScreenshot", captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        os.makedirs(PICTURES, exist_ok=True)
        path = os.path.join(PICTURES, f"page-{name}.png")
        with open(path, "wb") as f:
            f.write(base64.b64decode(data["data"]))
        return path

    def close(self):
        self.driver.quit()
