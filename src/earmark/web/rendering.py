"""Turning a page into HTML: the template environment and the few words it adds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from earmark.engine.pace import span
from earmark.web import looks
from earmark.web.pages import Page, Shell

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def static_url(path: str) -> str:
    """Name a static file by its content, so that a browser may keep it for ever."""
    digest = sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"


def clock(moment: datetime) -> str:
    """Write a moment out in full, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    """Write a moment for programs."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def size(count: int) -> str:
    """Write a number of bytes as people read it."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"


def sentence(words: str) -> str:
    """Write a reason as a sentence of its own."""
    told = words.strip()
    end = "" if told.endswith((".", "!", "?")) else "."
    return told[:1].upper() + told[1:] + end


def topics_url(topics: Iterable[str]) -> str:
    """Address the one stream that a page listens to."""
    return "/events?" + urlencode({"topics": ",".join(topics)}, safe=",:")


@cache
def environment() -> Environment:
    """Make the environment in which every template is rendered."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clock=clock, iso=iso, span=span, size=size, sentence=sentence)
    made.globals.update(looks=looks, static_url=static_url, topics_url=topics_url)
    return made


def render(page: Page, shell: Shell) -> str:
    """Render a whole page."""
    return environment().get_template(page.template).render(page=page, shell=shell)
