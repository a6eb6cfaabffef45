"""What each verb of the site means: when it is refused, and what it does at its end.

A job is accepted first and lands later. ``check`` looks at the request and plans;
``land`` does the work, in the transaction that ends the task. One entry of ``JOBS``
is all that a verb is.
"""

from collections.abc import Mapping

from earmark.lab.jobs import images, machines, snapshots, templates, tenants
from earmark.lab.jobs.plan import Job
from earmark.lab.jobs.power import POWER

JOBS: Mapping[str, Job] = {
    "vm.start": POWER,
    "vm.stop": POWER,
    "vm.shutdown": POWER,
    "vm.delete": machines.DELETE,
    "disk.switch": machines.SWITCH,
    "snapshot.create": snapshots.CREATE,
    "snapshot.delete": snapshots.DELETE,
    "image.copy": images.COPY,
    "image.delete": images.DELETE,
    "template.create": templates.CREATE,
    "template.delete": templates.DELETE,
    "tenant.create": tenants.CREATE,
    "tenant.delete": tenants.DELETE,
}
