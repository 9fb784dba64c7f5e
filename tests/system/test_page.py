# SPDX-License-Identifier: MIT
"""What is to be seen of drover-web's page in a real browser.

Pictures of each state are left in BUILD/test-logs/page-*.png.
"""
import json
import os
import re
import unittest

from lab import Lab, needs, slow, wait_for
from lab.browser import Browser, needs_browser
from lab.field import SLOW, Field
from lab.host import PROGRAMS
from lab.web import COCKPIT, PROGRAM, Web, in_cockpit

TIME_LIMIT = 400
PHONE = 360
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# What droverd's absence leaves there; a mistake of the page's says something else.
AWAY = re.compile(r"503 \(Service Unavailable\)")


def amount(text):
    number, unit = text.split()[:2]
    return float(number) * UNITS[unit]


@slow
@needs(*PROGRAMS, PROGRAM, "guest/drover-stress.elf")
@needs_browser
class Page(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def show(self, *, rate=SLOW, option="multichannel", start=True, **browser):
        self.field = Field(self.lab, links=2, rate=rate, limits={
            "option": option, "connections-per-card": 1, "outage-limit": "60s"})
        if start:
            self.field.start()
        else:
            self.field.alpha.start()
        self.web = Web(self.lab, self.field.alpha.socket, port=True)
        self.browser = Browser(self.lab, **browser)
        self.browser.open(self.web.address)
        self.browser.wait_text("#state", "As of")
        self.browser.wait_text("#graphs", "lan2")

    def clean(self, but=()):
        """No error of the page's, nothing from elsewhere, nothing that axe-core has to say."""
        self.assertEqual([line for line in self.browser.console()
                          if not any(b.search(line) for b in but)], [])
        self.assertEqual(self.browser.foreign(f"http://127.0.0.1:{self.web.port}"), [])
        self.assertEqual(self.browser.violations(), [])

    def seconds(self, card):
        """What the graph of a card is made of: {second: [sent, received]}"""
        return dict(self.browser.driver.execute_async_script(
            "const done = arguments[1]; import('/page.js').then("
            "m => done([...m.past.cards.get(arguments[0]).live]))", card))

    def test_idle(self):
        self.show()
        self.assertEqual(self.browser.text("h1"), "Drover alpha")
        self.assertNotIn("token", self.browser.driver.current_url)
        self.assertEqual(self.browser.text("#no-moves"), "Nothing moves.")
        self.browser.wait_text("#machine-list", "running")
        self.browser.wait_text("#peers", "beta")
        self.assertEqual(self.browser.text("#alert"), "")
        self.browser.picture("idle")
        self.clean()

    def test_keys_and_tables(self):
        from selenium.webdriver.common.keys import Keys
        self.show(start=False)
        look = self.browser.driver.find_element("id", "look")
        wait_for("some seconds", lambda: len(self.seconds("lan1")) > 8, 20, 0.3)
        look.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        self.assertRegex(look.get_attribute("aria-valuetext"), r"^\d+:\d\d:\d\d")
        self.assertNotIn("now", self.browser.text("figure .rates"))
        self.browser.run("document.querySelector('figure summary').focus()")
        self.browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        self.browser.wait_text("figure details", "Sent, mean")
        self.assertEqual(self.browser.run(
            "return document.querySelectorAll('figure tbody tr').length"), 12)
        six = self.browser.driver.find_element("css selector", "#ranges input[value='6 h']")
        six.send_keys(Keys.SPACE)
        self.browser.wait_text("figure details", "Sent, mean")
        self.browser.driver.find_element("id", "show-matrix").send_keys(Keys.ENTER)
        self.browser.wait_text("#matrix-table", "lro")
        self.clean()

    def agrees(self):
        """What the page says is left lies between what the service says before and after."""
        before = self.field.here.newest_job()["progress"]["remaining"]
        seen = self.browser.fact("#running", "Left")
        after = self.field.here.newest_job()["progress"]["remaining"]
        # The page asked a second ago at most, and a kept answer is half a second old.
        slack = 2 * self.most_a_second
        return min(before, after) - slack <= amount(seen) <= max(before, after) + slack

    def look_at(self, span):
        """The graphs show so much; drawn again within a second."""
        one = self.browser.driver.find_element("css selector", f"#ranges input[value='{span}']")
        one.click()
        wait_for("it", one.is_selected)

    most_a_second = 32 << 20  # what the guest writes, and more than both links carry

    def test_moving_over_two_cards_of_which_one_is_lost(self):
        self.show()
        links = self.field.links
        before = [link.counters(0)["tx_bytes"] for link in links]
        began = max(self.seconds("lan1"), default=0)
        move = self.field.move("--timeout", "100")
        self.browser.wait_text("#running", "pre-copy")
        self.browser.wait_text("#running .paths", "lan2")
        wait_for("figures that agree", self.agrees, 10, 0.2)
        job = self.field.here.newest_job()
        self.assertIn(job["id"], self.browser.text("#running h3"))
        self.assertEqual(self.browser.fact("#running", "Connections"), "2")
        self.browser.wait_text("figure[data-key=lan2] .rates", "Mbit/s")
        self.browser.picture("moving")
        self.clean()

        links[1].down()
        self.browser.wait_text("figure[data-key=lan2] .link", "no link")
        self.browser.wait_text("figure[data-key=lan1]", "lan2 lost")
        self.browser.wait_text("#running .paths", "failed")
        self.assertEqual(self.browser.fact("#running", "Connections"), "1")
        self.look_at("1 min")
        self.browser.picture("card-lost")
        self.look_at("5 min")
        self.clean()
        links[1].up()
        self.browser.wait_text("figure[data-key=lan1]", "lan2 back")
        for link in links:
            link.shape("1gbit")
        self.assertEqual(move.wait(60)[0], 0)
        self.browser.wait_text("#no-moves", "Nothing moves.")
        self.browser.wait_text("#ended", "done")
        self.graphs_agree(before, began)
        self.browser.driver.find_element("css selector", "#ended button").click()
        self.browser.wait_text("#report", "Guest stood still for")
        self.browser.wait_text("#report", "lan2")
        self.browser.wait_text("figure[data-key=lan1]", "guest done")
        self.browser.picture("moved")
        self.clean()

    def graphs_agree(self, before, began):
        """All that a card carried is in its graph, within 2 %."""
        for i, name in enumerate(("lan1", "lan2")):
            true = self.field.links[i].counters(0)["tx_bytes"] - before[i]
            self.assertGreater(true, 4 << 20, name)

            def drawn(name=name):
                return sum(sent for t, (sent, _) in self.seconds(name).items() if t >= began)
            wait_for(f"{true} bytes in the graph of {name}",
                     lambda true=true, drawn=drawn: abs(drawn() - true) < 0.02 * true, 10, 0.5)

    def test_in_doubt_on_a_phone_in_the_dark(self):
        self.show(width=PHONE, height=740, dark=True, rate="1gbit", option="tcp")
        self.field.faults(here="source:before-commit-sent")
        move = self.field.move()
        self.field.reached("source:before-commit-sent")
        for link in self.field.links:
            link.blackhole()
        self.field.go_on()
        job = self.field.here.newest_job(role="source")["id"]
        self.field.here.wait_job(job, "in-doubt", timeout=90)
        self.browser.wait_text("#running .doing", "In doubt", 20)
        self.browser.wait_text("#running .doing", f"drover job resolve {job}")
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), PHONE)
        self.assertEqual(self.browser.run(
            "return getComputedStyle(document.body).backgroundColor"), "rgb(20, 24, 28)")
        self.browser.picture("in-doubt-phone-dark")
        self.assertEqual(move.wait(60)[0], 4)
        self.clean(but=[AWAY])

    def test_the_daemon_is_killed_and_comes_back(self):
        self.show(start=False)
        self.field.alpha.kill9()
        self.browser.wait_text("#alert", "cannot reach droverd", 20)
        seen = self.browser.wait_text("#alert", "Nothing has been heard since", 20)
        self.assertRegex(seen, r"since \d+:\d\d:\d\d.*cannot reach droverd")
        self.assertIn("Old", self.browser.text("#state"))
        self.assertTrue(self.browser.run("return document.body.classList.contains('old')"))
        self.browser.picture("killed")
        self.clean(but=[AWAY])
        self.field.alpha.start()
        self.browser.wait_text("#state", "As of", 20)
        wait_for("no alert", lambda: self.browser.text("#alert") == "", 20, 0.2)

    def test_a_thousand_moves_in_its_history(self):
        self.show()
        self.field.links[0].shape("1gbit")
        self.assertEqual(self.field.move("--mode", "tcp", "--converge", "throttle").wait(60)[0], 0)
        folder = os.path.join(self.field.alpha.state, "history")
        one, = os.listdir(folder)
        with open(os.path.join(folder, one), encoding="utf-8") as f:
            job = json.load(f)
        for n in range(999):
            copy = {**job, "id": f"{n:08x}", "ended": job["ended"] - 1 - n}
            with open(os.path.join(folder, f"{n:08x}.source.json"), "w", encoding="utf-8") as f:
                json.dump(copy, f)
        self.assertEqual(len(self.field.alpha.api("GET", "/v1/finished")), 1000)
        rows = "return document.querySelectorAll('#ended tbody tr').length"
        wait_for("a page of them", lambda: self.browser.run(rows) == 25, 30, 0.3)
        self.browser.driver.find_element("id", "more").click()
        self.assertEqual(self.browser.run(rows), 50)
        self.browser.picture("thousand")
        self.clean()

    @unittest.skipUnless(all(map(os.path.exists, COCKPIT)), "there is no Cockpit")
    def test_within_cockpit(self):
        self.field = Field(self.lab)
        self.field.alpha.start()
        self.web = Web(self.lab, self.field.alpha.socket)
        address = in_cockpit(self.lab, self.web)
        self.browser = Browser(self.lab)
        self.browser.open(address)
        self.browser.wait_text("#state", "As of")
        self.browser.wait_text("#graphs", "lan1")
        self.browser.wait_text("#peers", "beta")
        self.browser.picture("cockpit")
        self.field.alpha.kill9()
        self.browser.wait_text("#alert", "cannot reach droverd", 20)
        self.assertEqual(self.browser.console(), [])
        self.assertEqual(self.browser.foreign(address.partition("/cockpit/")[0]), [])
