"""What pydantic finds wrong, in words for people."""

from pydantic_core import ErrorDetails


def said(problem: ErrorDetails, unknown: str = "is not known") -> str:
    """Say one problem: a validator's own sentence as it is, without pydantic's words
    before it; `unknown` of a field that there is not."""
    own = problem.get("ctx", {}).get("error")
    if isinstance(own, ValueError):
        return str(own)
    words = {"missing": "is missing", "extra_forbidden": unknown}
    return words.get(problem["type"], problem["msg"])
