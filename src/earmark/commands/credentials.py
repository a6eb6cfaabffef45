"""Credentials: try them from where the provider can be reached, before they are
kept."""

from collections.abc import Mapping
from typing import Any

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Credentials, Verification, VerifyCode
from earmark.domain.command import Action
from earmark.domain.errors import Unsupported
from earmark.domain.outcome import Done
from earmark.domain.secret import Secret
from earmark.domain.task import DEFAULT_ZONE


class VerifyCredentials(Action[Verification]):
    """Try an endpoint's settings and secrets from a zone; nothing is saved.

    The result says `ok`, or which of `auth | dns | tls | timeout | refused` stood in
    the way, and a detail for people; anything but ok ends the task as `warned`. A kind
    without `Credentials` has nothing to verify: that is ok, and the detail says so.
    """

    title = "Verify credentials for {name}"
    name: str
    kind: str
    zone: str = DEFAULT_ZONE
    settings: Mapping[str, Any]
    secrets: Mapping[str, Secret]

    def runs_in(self, tx: Tx) -> str:
        return self.zone

    def run(self, ctx: Ctx) -> Done[Verification]:
        try:
            client = ctx.connect_with(
                self.kind, self.settings, self.secrets, Credentials
            )
            found = client.verify()
        except Unsupported:
            detail = f"{self.kind} has no Credentials to ask: nothing was verified."
            found = Verification(code=VerifyCode.OK, detail=detail)
        return Done(found, f"{found.code}: {found.detail}", warned=not found.ok)
