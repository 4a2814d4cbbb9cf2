"""web/: where the GPU is of no use, the page colours photographs in WebAssembly."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.browser_page import add, chroma, pixels
from support.scenes import SAMPLES
from support.static_site import PATIENCE

pytestmark = pytest.mark.browser
GPU = (
    "Object.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => ({info: {}})}});"
)
# Of a runtime whose first session, the network on the GPU, behaves as a test asks for.
RUNTIME = """
export class Tensor {}
export const env = { wasm: {} };
let runs = 0;
export const InferenceSession = { create: async (bytes, { executionProviders: [provider] }) => {
    if (provider === "webgpu") await (%s)();
    return { outputNames: [], run: async () => (%s)(++runs) };
} };
"""
NOTHING, FAILS = "() => {}", "() => { throw new Error('device lost') }"
SLOW = "() => new Promise((done) => setTimeout(done, 3000))"
KINDS = {
    "cannot be opened": (FAILS, NOTHING),
    "fails at once": (NOTHING, FAILS),
    "is slow": (NOTHING, SLOW),
    "fails in the middle": (NOTHING, "(run) => { if (run > 2) throw new Error('device lost') }"),
}


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A profile in which requests can be answered by the test, not by the service worker."""
    context = browser.new_context(service_workers="block")
    yield context
    context.close()


def answer(context: Any, name: str, body: str) -> None:
    """Answer requests for a module with other text."""
    script = "text/javascript"
    context.route(f"**/{name}", lambda route: route.fulfill(body=body, content_type=script))


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_that_is_of_no_use_is_not_used(context, site, kind):
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    worker = context.request.get(f"{site.address}worker.js").text()
    answer(context, "worker.js", GPU + worker)
    answer(context, "runtime/ort.webgpu.min.mjs", RUNTIME % KINDS[kind])
    page.goto(site.address)
    add(page, SAMPLES / "coffee.jpg", SAMPLES / "cat_chelsea.jpg", seconds=PATIENCE)
    assert page.locator("#status").inner_text() == "2 of 2 coloured"
    assert chroma(pixels(page, ".card img:last-child")) > 10
    assert asked.index("ort.webgpu.min.mjs") < asked.index("ort.wasm.min.mjs")


def test_the_network_on_a_software_adapter_is_not_tried(context, site):
    page = context.new_page()
    software = GPU.replace("info: {}", "info: {isFallbackAdapter: true}")
    page.add_init_script(software)
    page.goto(site.address)
    ab = page.evaluate(
        """async () => {
            const {predict, readOut} = await import("./network.js");
            return (await readOut(await predict(new Uint8Array(64 * 64), 64, 64), 0.5, 0)).a.length;
        }"""
    )
    assert ab == np.prod((16, 16))
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name).join()")
    assert "ort.wasm.min" in loaded
    assert "webgpu" not in loaded
