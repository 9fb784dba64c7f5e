# SPDX-License-Identifier: MIT
"""The example alerts and the dashboard, against promtool and a real /metrics."""
import json
import os
import re
import shutil
import subprocess
import unittest

from lab import ROOT, Lab, needs, wait_for
from lab.host import PROGRAMS, Host
from lab.network import Network

PARALLEL = True
EXAMPLES = os.path.join(ROOT, "examples", "prometheus")
# Of Prometheus itself.
FOREIGN = {"up"}


def read(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
        return f.read()


def names_in(expression):
    """Of metrics: words that no bracket makes a function, outside of labels and texts."""
    bare = re.sub(r'\{[^}]*\}|"[^"]*"|\[[^]]*\]|\b(by|without|on|ignoring) *\([^)]*\)', " ",
                  expression)
    return {word for word in re.findall(r"[a-z_:][a-z0-9_:]*(?![a-z0-9_:]| *\()", bare)
            if "_" in word or ":" in word or word in FOREIGN}


def expressions(value):
    """Of everything in a dashboard that is a query."""
    if isinstance(value, list):
        return [e for one in value for e in expressions(one)]
    if not isinstance(value, dict):
        return []
    own = [value["expr"]] if "expr" in value else []
    if isinstance(value.get("query"), str):
        own.append(re.sub(r"label_values\((.*), *\w+\)", r"\1", value["query"]))
    return own + [e for one in value.values() for e in expressions(one)]


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.board = json.loads(read("drover.grafana.json"))

    def test_names_are_found_in_expressions(self):
        self.assertEqual(names_in('sum by (a_b) (rate(x_total{c_d="e_f"}[5m])) > y_z or up'),
                         {"x_total", "y_z", "up"})
        self.assertEqual(names_in("increase(drover:a:total[$__rate_interval])"),
                         {"drover:a:total"})

    def test_it_can_be_imported_anywhere(self):
        self.assertIsNone(self.board["id"])
        self.assertEqual(self.board["__inputs"][0]["name"], "DS_PROMETHEUS")
        panels = self.board["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        sources = re.findall(r'"uid": "([^"]*)"', read("drover.grafana.json"))
        self.assertEqual(set(sources), {"${DS_PROMETHEUS}", self.board["uid"]})
        taken = set()
        for at in (p["gridPos"] for p in panels):
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, at)
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells
        for p in panels:
            self.assertTrue(p["type"] == "row" or (p["targets"] and p["title"]), p)


@unittest.skipUnless(shutil.which("promtool"),
                     "there is no promtool: install the package prometheus")
class Rules(unittest.TestCase):
    def promtool(self, *words):
        done = subprocess.run(["promtool", *words], cwd=EXAMPLES, text=True, check=False,
                              capture_output=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_the_rules_are_rules(self):
        self.assertIn("13 rules found", self.promtool("check", "rules", "drover.rules.yml"))

    def test_each_alert_fires_and_does_not(self):
        self.promtool("test", "rules", "drover.rules-test.yml")
        alerts = re.findall(r"alert: (\w+)", read("drover.rules.yml"))
        tests = read("drover.rules-test.yml")
        for alert in alerts:
            self.assertRegex(tests, rf"alertname: {alert}\n *exp_alerts:\n", alert)

    def test_queries_of_the_dashboard_are_promql(self):
        found = expressions(json.loads(read("drover.grafana.json")))
        self.assertGreater(len(found), 20)
        with Lab() as lab:
            path = lab.path("rules.yml")
            with open(path, "w", encoding="utf-8") as f:
                json.dump({"groups": [{"name": "all", "rules": [
                    {"record": f"x{i}", "expr": e.replace("$__rate_interval", "5m")
                     .replace("$__interval", "1m")} for i, e in enumerate(found)]}]}, f)
            self.promtool("check", "rules", path)


@needs(*PROGRAMS)
class Real(unittest.TestCase):
    def test_every_metric_that_is_asked_for_is_there(self):
        lab = Lab()
        self.addCleanup(lab.close)
        network = Network(lab, ("alpha", "beta"), links=1)
        alpha = Host(lab, "alpha", network["alpha"], network.addresses("alpha")).start()

        def known():
            text = alpha.drover("metrics", check=False).stdout
            return re.findall(r"^# TYPE (\w+) (\w+)", text, re.M)
        there = {name + ("_bucket" if kind == "histogram" else "")
                 for name, kind in wait_for("a first sample", known, 20, 0.1)}
        rules = read("drover.rules.yml")
        there |= set(re.findall(r"record: (\S+)", rules))
        asked = set()
        for e in re.findall(r"expr: (?:>-\n)?((?:.|\n          )+)", rules):
            asked |= names_in(e)
        self.assertGreater(len(asked), 10)
        for e in expressions(json.loads(read("drover.grafana.json"))):
            asked |= names_in(e)
        self.assertEqual(asked - there - FOREIGN, set())


if __name__ == "__main__":
    unittest.main()
