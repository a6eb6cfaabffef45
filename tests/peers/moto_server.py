"""EC2 as moto plays it, in a process of its own, with credentials that are checked.

What of it is our own doing and not moto's: see `faithful_ec2`.
"""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import httpx
from botocore.config import Config

from tests.peers.lab import eventually

REGION = "eu-central-1"
READY = "ready "
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Key:
    """An access key of moto's IAM."""

    access_key_id: str
    secret: str


#: What AWS's documents use as an example; nobody has it.
UNKNOWN_KEY = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


class MotoProcess:
    """moto's server: its state is in memory and dies with it.

    `good_key` may do everything, `powerless_key` nothing. `seconds` is how long
    starting and stopping take. A context manager that starts and stops it.
    """

    good_key: Key
    powerless_key: Key

    def __init__(self, folder: Path, seconds: float = 1.0) -> None:
        self.url = ""
        self._seconds = seconds
        self._log = folder / "moto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        """True between `start` and the end of it."""
        return self._process is not None

    def start(self) -> None:
        """Start it, make the keys, then let it check them."""
        assert self._process is None, "moto runs already"
        script = Path(__file__).with_name("faithful_ec2.py")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(script), "--seconds", str(self._seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                # Without it moto reads a few thousand AMIs that no test asks for.
                env=os.environ | {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"},
            )
        try:
            self.url = self._ready_line().removeprefix(READY)
            self.good_key = self._make_key("operator", allowed="*")
            self.powerless_key = self._make_key("visitor", allowed=None)
            self._check_credentials_from_now_on()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Send SIGTERM and wait for the end."""
        assert self._process is not None
        self._process.terminate()
        self._end()

    def kill(self) -> None:
        """Send SIGKILL and wait for the end; nothing to do when it is not running."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def run_instance(self, name: str = "") -> str:
        """Launch an instance with a disk of 8 GiB and return its id, once it runs."""
        tags: Any = [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}
        ]
        launched = self._client("ec2", self.good_key).run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=tags if name else [],
        )
        instance = str(launched["Instances"][0]["InstanceId"])
        eventually(lambda: self.instances()[instance] == "running", "the launch")
        return instance

    def terminate(self, instance: str) -> None:
        """Terminate an instance; it goes on showing, as with AWS."""
        client = self._client("ec2", self.good_key)
        client.terminate_instances(InstanceIds=[instance])

    def instances(self) -> dict[str, str]:
        """Return the state of every instance, in EC2's words."""
        answer = self._client("ec2", self.good_key).describe_instances()
        return {
            instance["InstanceId"]: instance["State"]["Name"]
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
        }

    def received(self, action: str) -> int:
        """Return how many requests of one action have arrived, such as StopInstances.

        `run_instance`, `instances` and the making of keys arrive there too.
        """
        answer = httpx.get(f"{self.url}/ledger", trust_env=False, timeout=20)
        return int(json.loads(answer.content).count(action))

    def _client(self, service: str, key: Key) -> Any:
        make: Any = boto3.session.Session().client
        return make(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def _make_key(self, user: str, allowed: str | None) -> Key:
        iam = self._client("iam", UNKNOWN_KEY)
        iam.create_user(UserName=user)
        if allowed is not None:
            statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            iam.put_user_policy(
                UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy)
            )
        made = iam.create_access_key(UserName=user)["AccessKey"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"])

    def _check_credentials_from_now_on(self) -> None:
        # "Let this many more calls pass unchecked": none.
        httpx.post(
            f"{self.url}/moto-api/reset-auth",
            content="0",
            headers={"Content-Type": "text/plain"},
            trust_env=False,
            timeout=20,
        ).raise_for_status()

    def _ready_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + READY_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            chunk = (
                os.read(pipe, 4096) if select.select([pipe], [], [], left)[0] else b""
            )
            if not chunk:
                raise AssertionError(f"moto did not start: {self._log.read_text()}")
            line += chunk
        return line.decode().strip()

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(10)
        self._process.stdout.close()
        self._process = None
