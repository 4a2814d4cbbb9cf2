"""What the tests of both pages do in the browser: drop, choose, edit, wait, look at pixels."""

import base64
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colourizer.inference.readout import DEFAULT_VIVIDNESS

PATIENCE = 20  # seconds


def wait(page: Any, condition: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds; the page's policy forbids Playwright's own way."""
    until = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(20)


def add(page: Any, *paths: Path, seconds: float = PATIENCE) -> None:
    """Choose files, and wait until they are in colour."""
    page.locator("#files").set_input_files(list(paths))
    done = "document.querySelectorAll('.card .open:enabled').length"
    wait(page, f"{done} >= {len(paths)}", seconds)


def drop(page: Any, files: dict[str, bytes]) -> None:
    """Drop files as a mouse does."""
    page.evaluate(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(files)) {
                const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            document.body.dispatchEvent(
                new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        {name: base64.b64encode(content).decode() for name, content in files.items()},
    )


def edit(page: Any, name: str) -> None:
    """Open the photograph whose card has a name."""
    page.get_by_role("button", name=re.compile(name)).and_(page.locator(".open")).click()
    settled(page)


def settled(page: Any) -> None:
    """Wait until the picture shows the settings that were made."""
    wait(page, "document.getElementById('frame').ariaBusy === 'false'")


def wish(page: Any) -> dict[str, Any]:
    """Return the settings that the picture shows."""
    return json.loads(page.locator("#frame").get_attribute("data-wish"))


def pixels(page: Any, selector: str = "#coloured > *") -> np.ndarray:
    """Return the pixels (H, W, 3) of a picture on the page, an <img> or a <canvas>."""
    url = page.eval_on_selector(
        selector,
        """picture => {
            const canvas = document.createElement("canvas");
            canvas.width = picture.naturalWidth ?? picture.width;
            canvas.height = picture.naturalHeight ?? picture.height;
            canvas.getContext("2d").drawImage(picture, 0, 0);
            return canvas.toDataURL();
        }""",
    )
    content = base64.b64decode(url.partition(",")[2])
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(image).astype(int)


def save_download(page: Any, name: str, path: Path) -> Path:
    """Press a main button, and return the file that it downloads."""
    with page.expect_download() as download:
        page.get_by_role("button", name=name).and_(page.locator(".main-button:visible")).click()
    target = path / download.value.suggested_filename
    download.value.save_as(target)
    return target


def chroma(rgb: np.ndarray) -> float:
    """Return the mean of the largest differences between channels."""
    return float((rgb.max(axis=-1) - rgb.min(axis=-1)).mean())


def chroma_by_vividness(page: Any) -> list[float]:
    """Return the chroma of the picture on the page at vividness 0, the default, and 1."""
    found = []
    for value in ("0", str(round(100 * DEFAULT_VIVIDNESS)), "100"):
        page.get_by_role("slider", name="Vividness").fill(value)
        settled(page)
        found.append(chroma(pixels(page)))
    return found
