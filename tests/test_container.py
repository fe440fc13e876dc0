"""The recipes of containers in pipelines/serving: what can be checked without Docker and Kubernetes."""

import re
import shlex
import tomllib
from typing import Any

import pytest
import typer
import yaml

from recsys.cli.app import app
from recsys.serving.server.options import Limits
from tests.pages import ROOT

FOLDER = ROOT / "pipelines" / "serving"
LINES = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
INSTRUCTIONS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
PORTS = {"--port": 8080, "--grpc-port": 8081}


def of(instruction: str) -> list[str]:
    """Return the arguments of each instruction of a kind."""
    return [arguments for name, arguments in INSTRUCTIONS if name == instruction]


def words(arguments: str) -> list[str]:
    found: list[str] = yaml.safe_load(arguments)
    return found


@pytest.fixture(scope="module")
def container() -> dict[str, Any]:
    service = yaml.safe_load((FOLDER / "kserve" / "inference_service.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    (found,) = service["spec"]["predictor"]["containers"]
    return {**found, "service": service}


def options_of(command: list[str]) -> dict[str, str]:
    """Check a command line of the server, and return its options."""
    serve: Any = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    context = serve.make_context("serve", list(command))
    assert str(context.params["bundle"]) == "/mnt/models"
    given = command[1:]
    return dict(zip(given[::2], given[1::2], strict=True))


def test_what_the_image_copies_is_in_the_repository() -> None:
    copied = [path for arguments in of("COPY") for path in shlex.split(arguments)[:-1]]
    assert {".ci/requirements-serve.txt", "recsys", "pyproject.toml"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    installed = re.findall(r"-r /tmp/requirements/(\S+)", " ".join(of("RUN")))
    assert [name for name in installed if f".ci/{name}" not in copied] == []


def test_the_image_has_a_python_that_the_package_takes() -> None:
    (image,) = of("FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim-bookworm", image)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]


def test_the_server_is_no_root_and_its_ports_are_those_that_the_image_shows_and_asks() -> None:
    assert of("USER") == ["10001"]
    assert INSTRUCTIONS.index(["USER", "10001"]) > max(i for i, one in enumerate(INSTRUCTIONS) if one[0] == "RUN")
    assert words(of("ENTRYPOINT")[0]) == ["recsys", "serve"]
    options = options_of(words(of("CMD")[0]))
    assert {name: int(options[name]) for name in PORTS} == PORTS
    assert [int(port) for port in of("EXPOSE")[0].split()] == list(PORTS.values())
    (check,) = of("HEALTHCHECK")
    assert f"http://127.0.0.1:{PORTS['--port']}/v2/health/ready" in check
    compile(words(check[check.index("[") :])[2], "health", "exec")


def test_the_service_asks_the_same_ports_and_lets_the_server_drain(container: dict[str, Any]) -> None:
    options = options_of(container["args"])
    assert options["--name"] == container["service"]["metadata"]["name"]
    (port,) = container["ports"]
    assert str(port["containerPort"]) == options["--port"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("readiness", "liveness")}
    assert {str(probe["port"]) for probe in probes.values()} == {options["--port"]}
    assert {probe["path"] for probe in probes.values()} == {"/v2/health/ready", "/v2/health/live"}
    grace = container["service"]["spec"]["predictor"]["terminationGracePeriodSeconds"]
    assert grace > Limits().drain_seconds + Limits().answer_seconds
    security = container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert [str(security["runAsUser"])] == of("USER")
