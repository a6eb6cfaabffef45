"""The lab's own page: what the simulated site looks like just now."""

from collections.abc import Sequence
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from earmark.lab import rules, views
from earmark.lab.site import Site

SHOWN_TASKS = 30
"""How many of the newest tasks the page lists."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2">
<title>{site}: simulated site</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }}
table {{ border-collapse: collapse }}
caption {{ text-align: left; font-weight: bold; padding-top: 1.5rem }}
th, td {{ text-align: left; padding: 0.2rem 1.5rem 0.2rem 0 }}
</style>
</head>
<body>
<h1>{site}</h1>
<p><strong>This is a simulated site.</strong> Nothing here is real: the machines do not
run and the disks are empty files. Faults set: {faults}.</p>
{vms}
{tasks}
</body>
</html>
"""


def routes(site: Site) -> list[Route]:
    """Return the route of the page."""

    async def page(request: Request) -> Response:
        return HTMLResponse(render(site))

    return [Route("/", page)]


def render(site: Site) -> str:
    """Return the page as HTML."""
    vms = [
        (vm["name"], vm["power_state"], ", ".join(d["alias"] for d in vm["disks"]))
        for vm in views.vms(site)
    ]
    tasks = [
        (
            task["created_at"],
            task["verb"],
            task["state"],
            task["result"] or f"{task['progress']} %",
            task["message"],
        )
        for task in reversed(views.tasks(site)[-SHOWN_TASKS:])
    ]
    return PAGE.format(
        site=escape(site.config.site_name),
        faults=len(rules.listed(site)),
        vms=_table("Virtual machines", ("Name", "State", "Disks"), vms),
        tasks=_table(
            "Newest tasks", ("Created", "Verb", "State", "Result", "Message"), tasks
        ),
    )


def _table(
    caption: str,
    heads: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
) -> str:
    def line(tag: str, cells: tuple[str, ...]) -> str:
        return (
            "<tr>"
            + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
            + "</tr>"
        )

    body = "\n".join(line("td", row) for row in rows)
    return (
        f"<table><caption>{caption}</caption>\n<thead>{line('th', heads)}</thead>\n"
        f"<tbody>{body}</tbody></table>"
    )
