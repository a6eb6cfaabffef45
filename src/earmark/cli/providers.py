"""`earmark providers`: the external systems that we were told about."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from earmark.cli.asking import How, ask, asks, json_option, submit
from earmark.cli.documents import provider_document
from earmark.cli.exits import Exit
from earmark.cli.output import age, print_json, print_rows, say
from earmark.cli.secret_input import read_secrets
from earmark.cli.session import Session, pass_session
from earmark.cli.waiting import Detached, report, wait_for
from earmark.cli.workers import need_worker
from earmark.commands import (
    RefreshProvider,
    SweepProvider,
    VerifyCredentials,
    onboarding,
)
from earmark.domain.capabilities import Verification
from earmark.domain.errors import BadInput
from earmark.domain.inventory import Provider
from earmark.domain.secret import Secret
from earmark.domain.task import DEFAULT_ZONE
from earmark.engine.enqueue import open_tx, transact
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.store import inventory
from earmark.store.database import Transaction


@click.group(no_args_is_help=True)
def providers() -> None:
    """Providers: the external systems whose VMs are looked after."""


@providers.command("ls")
@json_option
@pass_session
def ls(session: Session, as_json: bool) -> None:
    """List the providers, and how they answered last."""
    with session.engine() as engine:
        found = engine.read(inventory.list_providers)
    if as_json:
        print_json([provider_document(provider) for provider in found])
        return
    print_rows(
        ("NAME", "KIND", "ZONE", "HEALTH", "REFRESHED", "NOTE"),
        [
            (
                provider.name,
                provider.kind,
                provider.zone,
                provider.health,
                age(provider.refreshed_at),
                provider.health_message,
            )
            for provider in found
        ],
    )


@providers.command()
@click.argument("kind")
@click.option("--name", required=True)
@click.option("--zone", default=DEFAULT_ZONE, show_default=True)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of this kind, such as url=https://site.example.",
)
@click.option(
    "--secret",
    "secret_names",
    multiple=True,
    metavar="KEY",
    help="The order in which secrets are asked for, or are lines of stdin.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the verification may take.",
)
@json_option
@pass_session
def add(
    session: Session,
    kind: str,
    name: str,
    zone: str,
    pairs: Sequence[str],
    secret_names: Sequence[str],
    timeout: float,
    as_json: bool,
) -> Exit:
    """Verify settings and secrets from the zone, then save the provider.

    Secrets are never arguments: a terminal asks for them without echo, otherwise each
    is one line of standard input. Nothing is saved unless the verification is ok.
    """
    with session.engine() as engine:
        form = _Form(name, kind, zone, _settings(pairs))
        wanted = _secret_names(engine, kind, secret_names)
        # Whatever can be said without the secrets is said before they are typed.
        engine.read(lambda tx: form.request(open_tx(engine, tx), _blank(wanted)))
        role = VerifyCredentials.role
        engine.read(lambda tx: need_worker(tx, zone, role))
        clear = read_secrets(engine.connector(kind).secrets, wanted)
        code = _verified(engine, form, clear, timeout)
        if code is not Exit.OK:
            return code
        provider = transact(engine, lambda tx: form.save(tx, clear))
    if as_json:
        print_json(provider_document(provider))
    else:
        click.echo(
            f"Added {name}, and asked what it has. How it answers: earmark providers "
            "ls. VMs, if its kind has any: earmark vms ls"
        )
    return Exit.OK


class _Form:
    """What was asked for, all but the secrets."""

    def __init__(
        self, name: str, kind: str, zone: str, settings: Mapping[str, str]
    ) -> None:
        self.name = name
        self._kind = kind
        self._zone = zone
        self._settings = settings

    def request(self, tx: EngineTx, clear: Mapping[str, str]) -> VerifyCredentials:
        """The verification of this form; raises `BadInput` for every bad field."""
        try:
            return onboarding.checked_request(
                tx,
                name=self.name,
                kind=self._kind,
                zone=self._zone,
                settings=self._settings,
                secret_values=clear,
            )
        except BadInput as wrong:
            secrets = tx.engine.connector(self._kind).secrets
            own = [it for it in wrong.fields if it != "name" and it not in secrets]
            if wrong.hint or not own:
                raise
            flags = " ".join(f"--set {it}=…" for it in own)
            hint = f"Settings are given as `{flags}`."
            raise BadInput(str(wrong), hint=hint, fields=wrong.fields) from None

    def save(self, tx: EngineTx, clear: Mapping[str, str]) -> Provider:
        """Add the provider with its secrets, in one transaction."""
        return onboarding.add_provider(
            tx,
            name=self.name,
            kind=self._kind,
            zone=self._zone,
            settings=self.request(tx, clear).settings,
            secret_ids=onboarding.seal_all(tx, clear),
        )


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"--set {pair!r} is not KEY=VALUE.")
        settings[key] = value
    return settings


def _secret_names(engine: Engine, kind: str, given: Sequence[str]) -> list[str]:
    """The secrets to ask for: those named first, in their order."""
    known = engine.connector(kind).secrets
    for name in given:
        if name not in known:
            raise BadInput(
                f"{kind} has no secret {name!r}.",
                hint=f"It has: {', '.join(known)}.",
            )
    return list(dict.fromkeys([*given, *known]))


def _blank(names: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(names, "not typed yet")


def _verified(
    engine: Engine, form: _Form, clear: Mapping[str, str], timeout: float
) -> Exit:
    """Try the form from its zone, and say what stood in the way if anything did."""
    request = engine.read(lambda tx: form.request(open_tx(engine, tx), clear))
    task = submit(engine, request)
    try:
        seen = wait_for(engine, task.id, timeout)
    except Detached:
        say(f"{form.name} was not saved.")
        raise
    if not seen.task.outcome or not seen.task.outcome.good:
        code = report(seen, as_json=False)
        say(f"{form.name} was not saved.")
        return code
    found = Verification.model_validate(seen.task.result)
    if found.ok:
        say(found.detail)
        return Exit.OK
    say(f"{found.code}: {found.detail}")
    return Exit.FAILED


@providers.command()
@click.argument("provider")
@asks
@pass_session
def verify(
    session: Session, provider: str, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    """Try a provider's settings and secrets again; exit 1 unless they are ok."""

    def request(tx: Transaction) -> VerifyCredentials:
        known = inventory.provider(tx, provider)
        return VerifyCredentials(
            name=known.name,
            kind=known.kind,
            zone=known.zone,
            settings=known.settings,
            secrets={n: Secret(sealed_id=i) for n, i in known.secrets.items()},
        )

    with session.engine() as engine:
        command = engine.read(request)
        if not wait:
            return ask(engine, command, How(wait, timeout, as_json))
        seen = wait_for(engine, submit(engine, command).id, timeout)
        code = report(seen, as_json=as_json)
        return code if code is not Exit.OK else _said(seen.task.result)


def _said(result: Any) -> Exit:
    return Exit.OK if Verification.model_validate(result).ok else Exit.FAILED


@providers.command()
@click.argument("provider")
@asks
@pass_session
def refresh(
    session: Session, provider: str, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    """Fetch a provider's VMs and templates now."""
    with session.engine() as engine:
        command = RefreshProvider(provider=provider)
        return ask(engine, command, How(wait, timeout, as_json))


@providers.command()
@click.argument("provider")
@asks
@pass_session
def sweep(
    session: Session, provider: str, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    """Look at a provider for what carries our mark and nothing explains."""
    with session.engine() as engine:
        command = SweepProvider(provider=provider)
        return ask(engine, command, How(wait, timeout, as_json))
