"""The SHA-256 of the upload page, against Python's: a wrong one would have all that was sent thrown away."""

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import playwright
import pytest

import renderctl.server.web
from tests.lacking import lacking

SCRIPT = Path(renderctl.server.web.__file__).with_name("static") / "sha256.js"
#: Reads lines of pieces in hex, a JSON list each; prints the digest of each line.
_ASK = f"""
import {{ createInterface }} from "node:readline";
const {{ Sha256 }} = await import({json.dumps(SCRIPT.as_uri())});
for await (const line of createInterface({{ input: process.stdin }})) {{
  const hash = new Sha256();
  for (const piece of JSON.parse(line)) hash.update(new Uint8Array(Buffer.from(piece, "hex")));
  console.log(hash.hex());
}}
"""


@pytest.fixture(scope="module")
def node() -> str:
    """The one that comes with Playwright."""
    found = Path(playwright.__file__).parent / "driver" / "node"
    return str(found) if found.exists() else lacking("Playwright brings no Node.js")


def digests(node: str, lines: list[list[bytes]]) -> list[str]:
    told = "\n".join(json.dumps([piece.hex() for piece in line]) for line in lines)
    command = [node, "--input-type=module", "-e", _ASK]
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=True)
    return done.stdout.split()


def cut(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """The content in pieces of any size, some of them empty."""
    at = 0
    while at < len(content):
        size = chance.choice((0, 1, 3, 55, 63, 64, 65, 127, 128, 1000))
        yield content[at : at + size]
        at += size


@pytest.mark.slow
def test_files_of_every_length_have_the_digest_that_python_says(node: str) -> None:
    contents = [bytes(range(256))[:length] for length in range(200)] + [b"a" * 1_000_000]
    assert digests(node, [[each] for each in contents]) == [hashlib.sha256(each).hexdigest() for each in contents]


@pytest.mark.slow
def test_a_digest_does_not_depend_on_where_the_pieces_end(node: str) -> None:
    chance = random.Random(11)
    contents = [chance.randbytes(chance.randrange(5000)) for _ in range(60)]
    expected = [hashlib.sha256(each).hexdigest() for each in contents]
    assert digests(node, [list(cut(each, chance)) for each in contents]) == expected


@pytest.mark.slow
def test_the_length_of_what_is_larger_than_four_gigabits_is_counted_right(node: str) -> None:
    ask = f"""
const {{ Sha256 }} = await import({json.dumps(SCRIPT.as_uri())});
const hash = new Sha256(), piece = new Uint8Array(1 << 24).fill(7);
for (let each = 0; each < 33; each += 1) hash.update(piece);
console.log(hash.hex());
"""
    done = subprocess.run([node, "--input-type=module", "-e", ask], capture_output=True, text=True, check=True)
    expected = hashlib.sha256()
    for _ in range(33):
        expected.update(b"\x07" * (1 << 24))
    assert done.stdout.strip() == expected.hexdigest()
