"""The page without a server, open in a browser."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.static_site import PATIENCE, Site, serve_folder

DIST = Path(__file__).parents[2] / "web" / "dist"
RELOAD_PATIENCE = 15  # seconds: more than the page itself waits before it does without threads
NO_GPU = "No available adapters."  # the browser's own words


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if not (DIST / "index.html").exists():
        pytest.skip("web/dist is not there: cd web && npm ci && npm run build")
    with serve_folder(DIST) as site:
        yield site


@pytest.fixture
def context(browser: Any, site: Site) -> Iterator[Any]:
    """A fresh profile, from which no request may leave; no error may occur."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    wrong: list[str] = []
    own = (site.address, "blob:", "data:")
    context.on("request", lambda r: None if r.url.startswith(own) else wrong.append(r.url))
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda message: wrong.append(message.text))
    context.wrong = wrong
    yield context
    context.close()
    assert [text for text in wrong if text != NO_GPU] == []


@pytest.fixture
def page(context: Any, site: Site) -> Any:
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("dialog", lambda dialog: dialog.accept())
    visit(page, site.address)
    return page


def visit(page: Any, address: str) -> None:
    """Open the page, and wait until it has loaded itself a second time, with threads."""
    page.goto(address)
    until = time.monotonic() + PATIENCE
    again = time.monotonic() + RELOAD_PATIENCE
    while True:
        try:
            if page.evaluate("crossOriginIsolated && document.readyState === 'complete'"):
                return
            if time.monotonic() > again:  # on a slow machine the page did without threads
                page.reload()
                again = time.monotonic() + RELOAD_PATIENCE
        except Exception:  # it is being loaded again
            page.wait_for_timeout(50)
        assert time.monotonic() < until
