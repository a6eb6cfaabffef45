"""What authors import from `earmark`: pinned, since their code depends on it."""

import os
import subprocess
import sys

import earmark

PUBLIC = """
    Action BadInput Child Command Composite Connector Credentials Ctx Deadline
    Deadlines Disks Done Doubt EarmarkError EffectClass ExternalJob Failed Found
    Images InventorySource Job JobUnknown Listing Lock Machines Mark Marked
    MarkedThing NO_MARK NameTaken NotSent
    ObservedDisk ObservedVm OnRestart Operation Power PowerState ProviderConfig
    ProviderError ProviderRef Refused Rejected Results Retry Running Secret Session
    Snapshots TemplateRef Templates Tenants Throttled Tx Undone Unsupported Verification
    VerifyCode VmRef WhenLocked exclusive shared
"""


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(earmark.__all__) == sorted(PUBLIC.split())
    assert all(getattr(earmark, name) is not None for name in earmark.__all__)


def test_importing_earmark_loads_neither_the_store_nor_a_server() -> None:
    heavy = ("sqlalchemy", "alembic", "fastapi", "uvicorn", "boto3", "rich", "click")
    code = f"import earmark, sys; print([m for m in {heavy} if m in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ,
        check=True,
        timeout=30,
    )
    assert ended.stdout.strip() == "[]"
