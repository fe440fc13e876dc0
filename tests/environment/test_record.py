import json
import subprocess
import sys

from recsys import __version__
from recsys.environment import environment_record


def git(folder, *arguments):
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_record_is_json_with_versions_and_machine(tmp_path):
    found = json.loads(json.dumps(environment_record(tmp_path)))
    assert found["recsys"] == __version__
    assert found["packages"]["torch"].startswith("2.")
    assert found["cpu"]["cores"] >= 1
    assert sorted(found) == ["cpu", "git", "gpus", "packages", "platform", "python", "recsys"]


def test_the_commit_is_that_of_the_folder(tmp_path):
    assert environment_record(tmp_path)["git"] is None
    git(tmp_path, "init", "-q")
    (tmp_path / "shop.yaml").write_text("label: click\n")
    git(tmp_path, "add", "shop.yaml")
    git(tmp_path, "commit", "-q", "-m", "Start")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert environment_record(tmp_path)["git"] == {"commit": commit, "has_changes": False}
    (tmp_path / "shop.yaml").write_text("label: buy\n")
    assert environment_record(tmp_path)["git"] == {"commit": commit, "has_changes": True}


def test_nothing_here_imports_torch():
    script = "import recsys.environment as e, sys; e.environment_record(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
