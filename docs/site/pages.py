"""MkDocs hook: pages that are cut from the repository's own documents, executed notebooks, and links that lead.

No text stands twice: what README.md says is a page of the site, and only there.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from traitlets.config import Config

LOG = logging.getLogger("mkdocs.hooks.pages")
ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = re.compile(r'https://[^"]*/iframe-worker/shim')
CUT = {
    "index.md": ("README.md", ("", "Why the numbers can be trusted", "What it does not do", "Licence and citation")),
    "stages.md": ("README.md", ("The pipeline",)),
    "results.md": ("README.md", ("Reading the results",)),
    "data.md": ("README.md", ("Bring your own data",)),
    "router.md": ("README.md", ("Add a router in one file",)),
    "commands.md": ("README.md", ("Beyond the replay",)),
    "contributing.md": ("CONTRIBUTING.md", None),
    "changelog.md": ("CHANGELOG.md", None),
}
"""Page of the site -> document and its sections ("" is what stands before the first), None for all of it."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made: cut from documents, and notebooks with what their cells give."""
    for page, (document, titles) in CUT.items():
        files.append(File.generated(config, page, content=cut(document, titles)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        before = os.times()
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=executed(path)))
        LOG.info("%s took %.0f s of processor time", path.name, sum(os.times()[2:4]) - sum(before[2:4]))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links of documents into links of the site."""
    here = page.file.src_uri
    document = CUT[here][0] if here in CUT else f"docs/{here}"
    parts = re.split(r"(^```.*?^```|^    .*?$)", markdown, flags=re.S | re.M)
    made = [part if i % 2 else relinked(part, here, document) for i, part in enumerate(parts)]
    return "".join(made)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take the one script that the theme would fetch from elsewhere from here; leave out the roles of docstrings.

    A short flag is not broken after its hyphens.
    """
    output = ELSEWHERE.sub(posixpath.relpath("site/worker.js", posixpath.dirname(page.url) or "."), output)
    output = re.sub(r":(?:mod|class|func|data|meth|attr|exc):<code>~?", "<code>", output)
    return re.sub(r"<code>(?=--[^<]{1,36}</code>)", '<code class="flag">', output)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Do so in the page of addresses that lead nowhere, which begin at the root."""
    return ELSEWHERE.sub("/site/worker.js", output_content)


def cut(document: str, titles: tuple[str, ...] | None) -> str:
    """Return sections of a document; the title of a single one becomes the page's."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if titles is None:
        return text
    first, *rest = re.split(r"^## ", text, flags=re.M)
    known = {"": first} | {section.split("\n", 1)[0]: f"## {section}" for section in rest}
    made = "\n".join(known[title] for title in titles)
    return made.removeprefix("#") if "" not in titles else made


def relinked(text: str, here: str, document: str) -> str:
    """Return text whose relative links lead to pages of the site; a file that is not in it is named, not linked."""

    def one(match: re.Match[str]) -> str:
        label, target, anchor = match["label"], match["target"], match["anchor"] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
        page = path.removeprefix("docs/").replace(".ipynb", ".md") if path.startswith("docs/") else _home(path, anchor)
        if page is None:
            return f"{label} (`{path}`)" if path not in label else label
        kept = "" if anchor and _title(page) == anchor[1:] else anchor
        return f"[{label}]({posixpath.relpath(page, posixpath.dirname(here) or '.')}{kept})"

    return re.sub(r"(?<!`)\[(?P<label>[^\]\[]*)\]\((?!\w+:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)", one, text)


def executed(path: Path) -> str:
    """Return a notebook as Markdown, with what its cells give when they run now, in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        kernel = {"transport": "ipc", "ip": f"{folder}/kernel"}  # no port is opened
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=300, resources=where, config=Config(AsyncKernelManager=kernel)).execute()
    body: str = MarkdownExporter().from_notebook_node(notebook)[0]
    return body


def _home(path: str, anchor: str) -> str | None:
    """Return the page where a section of a cut document stands; None for what the site does not have."""
    pages = [page for page, (document, _) in CUT.items() if document == path]
    return next((page for page in pages if _title(page) == anchor[1:]), pages[0] if pages else None)


def _title(page: str) -> str:
    """Return the anchor of the section that a page consists of."""
    titles = CUT.get(page, ("", None))[1]
    return re.sub(r"\W+", "-", titles[0].lower()) if titles and len(titles) == 1 else ""
