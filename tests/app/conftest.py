"""The page of app.py, open in a browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.page_client import TOKEN, serve


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("colourizer.app.server")
    from colourizer.app.photo_store import PhotoStore
    from colourizer.inference.colourizer import Colourizer

    colourizer = Colourizer.load()
    with serve(PhotoStore(colourizer)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desktop", "phone"])
def page(browser: Any, address: str, request: Any) -> Iterator[Any]:
    """The page, from which no request may leave; no error may occur."""
    wrong: list[str] = []
    width, height = request.param
    phone = width < 500
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=phone, accept_downloads=True
    )
    context.on(
        "request",
        lambda r: None if r.url.startswith((address, "blob:", "data:")) else wrong.append(r.url),
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{address}?token={TOKEN}")
    page.wrong = wrong
    yield page
    assert [text for text in wrong if "422" not in text] == []
    context.close()
