"""Every block of code in README.md, CONTRIBUTING.md and docs/ does what it says."""

import struct
import zlib

import pytest
from markdown_it import MarkdownIt

from tests.docs.blocks import LONG, ROOT, BlockError, Reader, blocks_of, why_long

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if "_build" not in path.parts
)


def png(width, height):
    """A white page."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + b"\xff" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + image


@pytest.fixture
def reader(tmp_path):
    """A reader with a page, requests, and the files that the repository has."""
    (tmp_path / "page.png").write_bytes(png(1700, 2200))
    (tmp_path / "requests.csv").write_text("batch,context_len,new_tokens\n1,924,500\n8,1200,300\n")
    generated = tmp_path / "generated" / "deepseek_ocr"
    generated.mkdir(parents=True)
    name = "generated/deepseek_ocr/formulas_vendor.json"
    (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return Reader(tmp_path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_does_what_it_says(reader, name):
    reader.read((ROOT / name).read_text("utf-8"))


BROKEN = {
    "an output that is another": "```console\n$ symcost --version\nsymcost 99\n```",
    "an option that is not there": "```console\nsymcost report deepseek-ocr --bach 8\n```",
    "of what takes long, too": "```console\nsymcost verify deepseek-ocr --quik\n```",
    "a command that fails": "```console\n$ symcost report deepseek-ocr --batch 0\n```",
    "one that does not": "```console\n$ symcost --version\nerror: no version\n```",
    "nothing to compare": "```console\n$ symcost --version\n…\n```",
    "an extra that is not there": "```console\npip install 'symcost[sweeps]'\n```",
    "another torch": "```console\npip install torch==1.0.0\n```",
    "a folder that a shell stays in": "```console\n$ cd / && ls\n```",
    "another program": "```console\nsymcots --version\n```",
    "an output before commands": "```console\nsymcost 0\n$ symcost --version\n```",
    "a text that is another": "```console\nsymcost --version\n```\n\n```text\nsymcost 99\n```",
    "a program that raises": "```python\nimport symcost\nassert not symcost.load\n```",
    "a print that is another": "```python\nprint(1)\n```\n\n```text\n2\n```",
    "a doctest that is another": "```python\n>>> 1 + 1\n3\n```",
    "a name from nowhere": "```python\nfrom symcost import nothing\n\ntrace_all()\n```",
    "a table that is none": "```toml\n[a\n```",
    "code without a file": "```c\nint main(void) { return 0; }\n```",
    "code that does not compile": "```c\n// a.c\nint main(void) { return }\n```\n"
    "```console\ncc a.c\n```",
    "another language": "```rust\nfn main() {}\n```",
    "no language": "```\nsymcost --version\n```",
    "an indented block": "    symcost --version\n",
}


@pytest.mark.parametrize("document", BROKEN.values(), ids=BROKEN)
def test_a_broken_block_is_told(reader, document):
    with pytest.raises(BlockError, match=r"^line \d+: "):
        reader.read(document)


def test_outputs_may_be_shortened(reader):
    reader.read("```console\n$ printf 'a\\nb\\nc\\n'\na\n…\nc\n```")
    with pytest.raises(BlockError, match="printed"):
        reader.read("```console\n$ printf 'a\\nb\\nc\\n'\na\n…\nd\n```")


def _texts():
    documents = [(ROOT / name).read_text("utf-8") for name in DOCUMENTS]
    return [b.text.replace("\\\n", " ") for text in documents for b in blocks_of(text)]


def test_what_takes_long_is_still_said():
    told = "\n".join(_texts())
    assert [start for start in LONG if start not in " ".join(told.split())] == []


@pytest.mark.slow
def test_a_sweep_of_very_many_points(reader, monkeypatch):
    lines = {" ".join(line.split()) for text in _texts() for line in text.splitlines()}
    sweeps = [line for line in lines if "10^9" in (why_long(line) or "")]
    monkeypatch.setattr("tests.docs.blocks.LONG", {})
    assert sweeps
    for line in sweeps:
        reader.read(f"```console\n{line}\n```")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name):
    tokens = MarkdownIt().parse((ROOT / name).read_text("utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    links = [str(child.attrs["href"]) for child in inline if child.type == "link_open"]
    assert links
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [path for path in local if path and not (ROOT / path).exists()] == []
