"""What a browser loads is ours, complete, light and from nowhere else."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from earmark.domain.inventory import PowerState
from earmark.domain.states import Outcome, PlaceholderState, TaskState
from earmark.web import fragments, looks
from earmark.web.pages import ProviderFormPage
from earmark.web.rendering import HERE, STATIC, render
from earmark.web.views import LogLine

from . import samples
from .states import EVERY_PAGE

VENDOR = STATIC / "vendor"
#: Parts of pages that no stream sends: somebody types in them.
FORMS = {"template_form.html", "question_form.html", "orphan_facts.html"}
FIRST_PAGE_LIMIT = 60 * 1024
TEMPLATES = sorted((HERE / "templates").rglob("*.html"))
OWN_TEXTS = [*TEMPLATES, *sorted(path for path in STATIC.glob("*") if path.is_file())]


def locked() -> dict[str, str]:
    lines = (VENDOR / "checksums.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_every_vendored_file_is_locked_and_unchanged() -> None:
    held = {
        str(path.relative_to(VENDOR)): sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.glob("*/**/*")
        if path.is_file()
    }
    assert held == locked()


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_every_page_renders(name: str) -> None:
    page = EVERY_PAGE[name]
    html = render(page, samples.SHELL)
    assert f"<title>{page.heading}" in html
    assert html.count("<h1") == 1


def test_the_samples_cover_every_page_template() -> None:
    shown = {page.template for page in EVERY_PAGE.values()}
    pages = {path.name for path in (HERE / "templates").glob("*.html")}
    assert shown == pages - {"layout.html", "macros.html"}


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_an_id_stands_once_on_a_page(name: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', render(EVERY_PAGE[name], samples.SHELL))
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_nothing_is_inline(name: str) -> None:
    html = render(EVERY_PAGE[name], samples.SHELL)
    assert not re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html)


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_a_page_asks_for_nothing_that_is_not_there(name: str) -> None:
    html = render(EVERY_PAGE[name], samples.SHELL)
    symbols = set(re.findall(r'<symbol id="([^"]+)"', sprite().read_text()))
    assert set(re.findall(r"sprite\.svg[^\"#]*#([\w-]+)", html)) <= symbols
    for path in re.findall(r'="/static/([^"?#]+)', html):
        assert (STATIC / path).is_file(), path


def sprite() -> Path:
    return next(VENDOR.glob("lucide-*/sprite.svg"))


@pytest.mark.parametrize("path", OWN_TEXTS, ids=lambda path: path.name)
def test_no_other_host_is_named(path: Path) -> None:
    named = re.findall(r"https?://[\w.:-]+|[\"'(]//\w", path.read_text())
    assert set(named) <= {"http://www.w3.org"}, "only the SVG namespace is a URL"


def test_the_first_page_is_light() -> None:
    html = render(samples.PAGES["vms"], samples.SHELL)
    loaded = set(re.findall(r'(?:src|href)="/static/([^"?#]+)', html))
    parts = [html.encode(), *((STATIC / path).read_bytes() for path in loaded)]
    weight = sum(len(gzip.compress(part)) for part in parts)
    assert weight < FIRST_PAGE_LIMIT, f"{weight} bytes in {len(parts)} parts"


def test_every_state_has_a_look() -> None:
    assert set(looks.TASK_STATES) | {TaskState.DONE} == set(TaskState)
    assert set(looks.OUTCOMES) == set(Outcome)
    assert set(looks.POWER_STATES) == set(PowerState)
    assert set(looks.PLACEHOLDER_STATES) == set(PlaceholderState)


def every_fragment() -> list[fragments.Fragment]:
    vm, task, provider = samples.VM, samples.COPYING, samples.PROVIDERS[0]
    return [
        fragments.nav_tasks(2),
        fragments.nav_needs(1),
        fragments.nav_news(2),
        fragments.notifications_body(samples.NEWS),
        fragments.notices(samples.SHELL.notices),
        fragments.task_row(task),
        fragments.recent_tasks(samples.TASKS),
        fragments.tasks_new(2, "/tasks"),
        fragments.task_panel(task),
        fragments.task_tree(task),
        fragments.branch_row(samples.COPIES[0]),
        fragments.task_log(task, samples.LOG),
        fragments.task_placeholders(task, (samples.PLACEHOLDER,)),
        fragments.wait_panel(task, "/tasks/1/wait"),
        fragments.wait_gone("gone"),
        fragments.vms_body(samples.VMS, "", True, None),
        fragments.vm_row(vm),
        fragments.vm_panel(vm),
        fragments.vm_locks(vm, (), samples.WAITING),
        fragments.vm_tasks(vm, samples.TASKS),
        fragments.providers_body(samples.PROVIDERS),
        fragments.provider_panel(provider),
        fragments.provider_tasks(provider, ()),
        fragments.templates_body(samples.TEMPLATES),
        fragments.tenants_body(samples.TENANTS),
        fragments.orphans_body(samples.LEDGER),
        fragments.zones(samples.ZONES),
    ]


@pytest.mark.parametrize("fragment", every_fragment(), ids=lambda it: it.id)
def test_a_fragment_is_one_element_with_its_id(fragment: fragments.Fragment) -> None:
    root = re.match(r'<(\w+) id="([^"]+)"', fragment.html)
    assert root is not None
    assert root[2] == fragment.id
    assert fragment.html.endswith(f"</{root[1]}>")


def test_the_fragments_cover_every_partial() -> None:
    rendered = {path.name for path in (HERE / "templates/partials").glob("*.html")}
    named = set(
        re.findall(r'_fragment\(\s*"(\w+)"', Path(fragments.__file__).read_text())
    )
    assert {f"{name}.html" for name in named} | FORMS == rendered


def test_a_message_of_a_stream_keeps_its_form_whatever_a_name_holds() -> None:
    line = LogLine(1, samples.NOW, "info", "one\n\nevent: forged\r\ndata: x")
    sent = fragments.message([fragments.task_log(samples.COPYING, [line])]).decode()
    *lines, last, end = sent.split("\n")
    assert (last, end) == ("", "")
    assert all(line.startswith("data: ") for line in lines)
    assert "\r" not in sent


@pytest.mark.parametrize("kind", ["text", "select"])
def test_a_field_that_is_wrong_says_so_to_everybody(
    kind: Literal["text", "select"],
) -> None:
    page = samples.PAGES["provider-new"]
    assert isinstance(page, ProviderFormPage)
    page = replace(page, fields=(replace(samples.FIELDS[1], type=kind),))
    html = render(page, samples.SHELL)
    (field,) = re.findall(r'<(?:select|input) id="field-zone"[^>]*>', html)
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="about-zone"' in field
