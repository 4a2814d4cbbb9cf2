"""Node.js for the tests: runs modules of web/src that need no browser."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[2] / "web" / "src"
PROGRAM = """
import { text } from "node:stream/consumers";
const { body, given } = JSON.parse(await text(process.stdin), (_, value) =>
  value?.base64 === undefined ? value : Uint8Array.from(Buffer.from(value.base64, "base64")));
const modules = async (name) => import(`${process.cwd()}/${name}.js`);
const made = await new (async () => {}).constructor("modules", "given", body)(modules, given);
console.log(JSON.stringify(made, (_, value) =>
  value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value));
"""


def run_javascript(body: str, given: Any) -> Any:
    """Return what a function's body returns, which may await modules("name") and use `given`.

    Bytes become a Uint8Array, and back.
    """
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no Node.js")
    question = json.dumps(
        {"body": body, "given": given},
        default=lambda content: {"base64": base64.b64encode(content).decode()},
    )
    command = [node, "--input-type=module", "-e", PROGRAM]
    done = subprocess.run(
        command, cwd=SOURCES, input=question, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(
        done.stdout,
        object_hook=lambda item: base64.b64decode(item["base64"]) if "base64" in item else item,
    )
