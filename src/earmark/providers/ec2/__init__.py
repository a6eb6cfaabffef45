"""The connector to Amazon EC2. Needs the extra: `pip install 'earmark[ec2]'`."""

from earmark.providers.ec2.connector import CONNECTOR

__all__ = ["CONNECTOR"]
