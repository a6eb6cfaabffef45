"""Which connectors there are, and what is not let in among them."""

from importlib.metadata import EntryPoint

import pytest

from earmark.domain.errors import RegistrationRefused
from earmark.providers.registry import GROUP, load_connectors


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


LAB = entry("lab", "earmark.providers.lab:CONNECTOR")


def test_ours_are_installed() -> None:
    connectors = load_connectors()
    assert {"ec2", "lab"} <= connectors.keys()
    for kind, connector in connectors.items():
        assert connector.kind == kind
        assert connector.title
        assert connector.settings.model_json_schema()
        assert all(connector.secrets.values())


def test_a_kind_that_is_taken_is_refused_naming_both_packages() -> None:
    other = entry("lab", "elsewhere:CONNECTOR")
    with pytest.raises(RegistrationRefused) as caught:
        load_connectors([LAB, other])
    assert "earmark.providers.lab:CONNECTOR" in str(caught.value)
    assert "elsewhere:CONNECTOR" in str(caught.value)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        pytest.param("no_such_module:X", "ModuleNotFoundError", id="no module"),
        pytest.param("earmark.providers.lab:MISSING", "AttributeError", id="no name"),
        pytest.param("earmark.domain.errors:GROUP", "AttributeError", id="no such"),
        pytest.param(
            "earmark.domain.deadline:Deadline", "lacks kind", id="no connector"
        ),
        pytest.param(LAB.value, "calls itself 'lab'", id="another name"),
    ],
)
def test_what_is_no_connector_is_refused_naming_it(broken: str, words: str) -> None:
    with pytest.raises(RegistrationRefused) as caught:
        load_connectors([entry("acme", broken)])
    assert broken in str(caught.value)
    assert words in str(caught.value)


def test_nobody_can_change_the_list() -> None:
    with pytest.raises(TypeError):
        load_connectors()["acme"] = object()  # type: ignore[index]
