"""The HTML report in a real browser: it draws, loads nothing, and fits a phone."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from edgekit.html_report import write_report
from edgekit.run import Run
from fakes import make_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.peer, pytest.mark.slow]

HOSTILE = "<img src=x onerror=alert(1)><a href='https://example.org'>net</a>"


def _runs() -> list[Run]:
    """Two formats in two precisions, one of them named to break a page."""
    runs = []
    for index, (format_, precision) in enumerate([("tflite", "fp32"), ("tflite", "int8"), ("torchscript", "fp32")]):
        start = 1_000_000 * (index + 1)
        facts = {"name": f"{HOSTILE}-{index}", "format": format_, "precision": precision, "accuracy": 0.9 - index / 100}
        samples = [start + 7919 * step % 104_729 for step in range(500)] + [9 * start]
        runs.append(make_run(samples, id=f"run-{index}", artifact=facts))
    return runs


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The system's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page that was opened, and what went on while it was."""

    def __init__(self, page: "Page", path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        for chart in ("pareto", "cumulative", "timeline"):
            page.wait_for_selector(f"#{chart} .main-svg")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of three runs."""
    write_report(_runs(), tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_draws_quietly_and_fits(
    browser: "Browser", report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """No complaint, no request but the file, no scrolling sideways, in either scheme."""
    with browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme) as context:
        visit = Visit(context.new_page(), report)
        visit.page.screenshot(path=report.with_name(f"{width}-{scheme}.png"), full_page=True)
        assert visit.complaints == []
        assert visit.requests == [report.as_uri()]
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_charts_follow_the_scheme_while_the_page_is_open(browser: "Browser", report: Path) -> None:
    """Text that was dark on white does not stay dark on black."""
    from playwright.sync_api import expect

    with browser.new_context(color_scheme="light") as context:
        page = Visit(context.new_page(), report).page
        title = page.locator("#pareto .xtitle")
        expect(title).to_have_css("fill", "rgb(27, 31, 36)")
        page.emulate_media(color_scheme="dark")
        expect(title).to_have_css("fill", "rgb(230, 233, 237)")


def test_names_make_no_links_and_no_elements(browser: "Browser", report: Path) -> None:
    """Plotly reads markup in labels; what users named is not markup."""
    with browser.new_context() as context:
        page = Visit(context.new_page(), report).page
        page.hover("#pareto .points path >> nth=0", force=True)
        page.wait_for_selector("#pareto .hoverlayer .hovertext")
        assert page.locator("a, img").count() == 0


def test_a_click_on_a_run_hides_it_and_a_choice_shows_another_over_time(browser: "Browser", report: Path) -> None:
    """The legend toggles; the time series follows the list; the slowest can be brought into view."""
    with browser.new_context() as context:
        visit = Visit(context.new_page(), report)
        page = visit.page
        lines = "#cumulative .scatterlayer .trace"
        assert page.locator(lines).count() == 3
        page.click("button.run >> nth=0")
        assert page.locator(lines).count() == 2
        assert "the slowest at 9.00 ms" in page.inner_text("#timeline-note")
        page.select_option("#timeline-run", index=2)
        assert "the slowest at 27.0 ms" in page.inner_text("#timeline-note")
        page.check("#timeline-whole")
        assert page.evaluate("document.getElementById('timeline').layout.yaxis.range[1]") > 25
        assert visit.complaints == []


def test_the_page_prints(browser: "Browser", report: Path) -> None:
    """On paper what was folded is open, the page is light, and nothing is cut off; then all is as before."""
    from playwright.sync_api import expect

    with browser.new_context(color_scheme="dark") as context:
        page = Visit(context.new_page(), report).page
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("#cumulative .main-svg >> nth=0").evaluate("svg => svg.clientWidth") <= 1000
        page.set_viewport_size({"width": 1030, "height": 700})  # A4 landscape within its margins
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1030
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 600, "height": 700})
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator("#cumulative .main-svg >> nth=0")).to_have_attribute("width", re.compile(r"^5\d\d"))
        assert len(page.pdf()) > 10_000
