"""An example for Earmark: a certificate is ordered from a CA and installed on load
balancers, or nothing is left of it."""

from earmark_certificates.commands import Install, IssueCertificate
from earmark_certificates.issuing import (
    Finalize,
    MakeKey,
    NewOrder,
    PublishChallenge,
    Register,
    Respond,
    WithdrawChallenge,
)
from earmark_certificates.taking_back import AbandonOrder, RevokeCertificate, TakeOff

__all__ = [
    "AbandonOrder",
    "Finalize",
    "Install",
    "IssueCertificate",
    "MakeKey",
    "NewOrder",
    "PublishChallenge",
    "Register",
    "Respond",
    "RevokeCertificate",
    "TakeOff",
    "WithdrawChallenge",
]
