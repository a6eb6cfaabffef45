"""What there is: providers, and what they were seen to have."""

import sqlalchemy as sa

from earmark.store.columns import (
    Id,
    Name,
    Word,
    column,
    instant,
    json,
    key,
    maybe_instant,
    metadata,
)

providers = sa.Table(
    "earmark_providers",
    metadata,
    key("UUIDv7."),
    column("name", Name, "What people call it.", unique=True),
    column("kind", Word, "Which connector speaks to it."),
    column("zone", Name, "The zone whose workers reach it."),
    json("settings", "The connector's settings; never a secret."),
    json("secrets", "Secret name → id in earmark_secrets."),
    column("version", sa.Integer, "Raised by every change of settings or secrets."),
    column("health", Word, "unknown, ok or error: how it answered last."),
    column("health_message", sa.Text, "The words that came with it."),
    maybe_instant("refreshed_at", "When the last whole listing was applied."),
    maybe_instant("refresh_due_at", "When the scheduler asks for the next listing."),
    instant("created_at", "When it was added."),
    comment="External systems that we were told about.",
)

provider_drafts = sa.Table(
    "earmark_provider_drafts",
    metadata,
    key("UUIDv7; stands in the URL of the form."),
    column("owner", Name, "Who filled in the form; nobody else may read it."),
    column("name", Name, "The name asked for."),
    column("kind", Word, "Which connector."),
    column("zone", Name, "The zone asked for."),
    json("settings", "The form's values; never a secret."),
    json("secrets", "Secret name → id in earmark_secrets."),
    column("task_id", Id, "The verification under way, if any.", nullable=True),
    column("provider_id", Id, "The provider it became, once it did.", nullable=True),
    instant("created_at", "When the form was sent; old drafts are pruned."),
    comment="Forms for new providers while their credentials are verified.",
)

vms = sa.Table(
    "earmark_vms",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there.", index=True),
    column("power_state", Word, "As last observed."),
    instant("observed_at", "When the fetch behind this began (rule 18)."),
    maybe_instant("command_at", "When a command of ours last saw it (rule 18)."),
    maybe_instant("gone_at", "Since when a whole listing lacks it."),
    column("version", sa.Integer, "Raised by every visible change."),
    sa.UniqueConstraint("provider_id", "external_id"),
    comment="Virtual machines, as last observed.",
)

disks = sa.Table(
    "earmark_disks",
    metadata,
    key("UUIDv7."),
    column("vm_id", Id, "Whose disk.", to="earmark_vms.id", index=True),
    column("external_id", Name, "The provider's id of it."),
    column("position", sa.Integer, "Its place among the VM's disks."),
    column("alias", Name, "Its name there."),
    column("image", Name, "What a copy starts from."),
    column("size_bytes", sa.BigInteger, "Its size."),
    column("domain", Name, "Where it is stored."),
    comment="Disks of VMs, as last observed.",
)


def _as_listed() -> tuple[sa.schema.SchemaItem, ...]:
    """What every thing has that a provider lists by its own id of it."""
    return (
        instant("observed_at", "When the fetch behind this began (rule 18)."),
        maybe_instant("command_at", "When a command of ours last wrote it (rule 18)."),
        maybe_instant("gone_at", "Since when a whole listing lacks it."),
        instant("created_at", "When we first knew of it."),
        sa.UniqueConstraint("provider_id", "external_id"),
    )


snapshots = sa.Table(
    "earmark_snapshots",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column(
        "vm_id", Id, "The VM that it was taken of.", to="earmark_vms.id", index=True
    ),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there."),
    *_as_listed(),
    comment="Snapshots of VMs.",
)

templates = sa.Table(
    "earmark_templates",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there."),
    json("images", "The images that it is made of."),
    column("vm_id", Id, "The VM that it was made from, if we made it.", nullable=True),
    column("task_id", Id, "The task that made it, if one of ours did.", nullable=True),
    *_as_listed(),
    comment="VM templates.",
)

tenants = sa.Table(
    "earmark_tenants",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there."),
    column("description", sa.Text, "What it is for, in people's words."),
    column("task_id", Id, "The task that made it, if one of ours did.", nullable=True),
    *_as_listed(),
    comment="Tenants: who a provider's resources are shared out to.",
)
