"""Logs of the processes that run for long: JSON lines, or pretty ones on a terminal."""

import logging
import os
import sys

import structlog

from earmark.domain.errors import BadInput

_LEVELS = ("debug", "info", "warning", "error", "critical")


def log_to_stderr() -> None:
    """Set up logging of this process, ours and the libraries'.

    `EARMARK_LOG_LEVEL` sets the level, `info` by default; raises `BadInput` for one
    that is none.
    """
    level = os.environ.get("EARMARK_LOG_LEVEL", "info").lower()
    if level not in _LEVELS:
        raise BadInput(
            f"EARMARK_LOG_LEVEL={level} is no level.",
            hint=f"Levels are {', '.join(_LEVELS)}.",
        )
    pretty = sys.stderr.isatty()
    stamp = structlog.processors.TimeStamper(
        fmt="%H:%M:%S" if pretty else "iso", utc=not pretty
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        stamp,
        structlog.stdlib.ExtraAdder(),
    ]
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if pretty:
        colours = "NO_COLOR" not in os.environ
        last.append(structlog.dev.ConsoleRenderer(colors=colours))
    else:
        last += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for chatty in ("alembic", "httpx", "httpcore", "botocore", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
