"""An example for Earmark: a customer gets a DNS name, a bucket and a subscription, or
nothing is left of it."""

from earmark_customers.commands import (
    CreateBucket,
    CreateRecord,
    ProvisionCustomer,
    Subscribe,
)
from earmark_customers.taking_back import (
    CancelSubscription,
    RemoveBucket,
    RemoveRecord,
)

__all__ = [
    "CancelSubscription",
    "CreateBucket",
    "CreateRecord",
    "ProvisionCustomer",
    "RemoveBucket",
    "RemoveRecord",
    "Subscribe",
]
