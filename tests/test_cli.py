"""The command line as a user meets it: help, errors, names."""

import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import videolit
from videolit import cli
from videolit.types import InputError

REPOSITORY = Path(__file__).parent.parent


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "videolit", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **settings.pop("env", {})},
        check=False,
        **settings,
    )


@pytest.mark.parametrize(
    "command",
    [*([name] for name in cli.COMMANDS), ["synth", "summary"], ["synth", "sentiment"]],
    ids=" ".join,
)
def test_help_of_commands_does_not_wait_for_torch(command):
    code = (
        "import sys\nfrom videolit import cli\n"
        f"try:\n    cli.main([*{command}, '--help'])\n"
        "except SystemExit as stop:\n    code = stop.code\n"
        "heavy = {'torch', 'lightning', 'torchmetrics'} & set(sys.modules)\n"
        "sys.exit(code or ', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: videolit {' '.join(command)}")


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from videolit import cli; code = cli.main(['--help']); "
        "cli.main(['fit', '--help']); "
        "heavy = {'torch', 'lightning', 'numpy', 'av', 'jsonargparse'} & set(sys.modules); "
        "sys.exit(code or ', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (*cli.VERBS, *cli.COMMANDS, "action/folder_r2plus1d", "path,label"):
        assert word in done.stdout


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_explains_itself(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: videolit {verb}")
    assert "--ckpt_path" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: videolit {command}")


def test_version():
    done = run("--version")
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert done.stdout.strip() == f"videolit {declared}" == f"videolit {videolit.__version__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fitt"], "there is no command 'fitt'; did you mean fit?"),
        (["fit", "--config", "action/folder_r2plus"], "did you mean action/folder_r2plus1d?"),
        (["fit", "--config", "nowhere.yaml"], "no such file"),
        (["check", "nowhere"], "nowhere"),
        (["predict", "--ckpt_path", "nowhere.ckpt", "a.mp4"], "nowhere.ckpt: no such checkpoint"),
    ],
)
def test_a_mistake_is_one_plain_message(arguments, message, capsys):
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("videolit: error: ")
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.root", "nowhere"], "nowhere"),
        (["--data.clip.num_frames", "0"], "num_frames must be at least 1"),
        (["--model.encoder", "Nonsense"], "Nonsense"),
        (["--model.warmup", "2"], "warmup is a share of all steps"),
    ],
)
def test_a_mistake_in_the_configuration_gives_no_traceback(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fit", "--config", "action/small_r2plus1d", *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_configurations_cannot_import_what_they_like(tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\nclass Encoder: pass\n")
    trap = tmp_path / "trap.yaml"
    trap.write_text(
        (REPOSITORY / "configs/action/small_r2plus1d.yaml")
        .read_text()
        .replace("class_path: SmallClipEncoder", "class_path: evil.Encoder")
        .replace("{motion: difference}", "{}")
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    done = run("fit", "--config", str(trap), cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert not (tmp_path / "ran").exists()
    done = run("fit", "--config", str(trap), "--trust", cwd=tmp_path, env=environment)
    assert done.returncode == 2  # it is no encoder
    assert (tmp_path / "ran").exists()


def test_a_full_disk_is_told_in_a_line_and_other_failures_are_not_hidden(monkeypatch, capsys):
    def fail(number):
        def run(verb, arguments):
            raise OSError(number, os.strerror(number), "out/x.mp4")

        monkeypatch.setattr(cli, "_run", run)

    fail(errno.ENOSPC)
    assert cli.main(["doctor"]) == 2
    told = capsys.readouterr().err
    assert told == "videolit: error: cannot write out/x.mp4: No space left on device\n"
    fail(errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        cli.main(["doctor"])


def test_config_names_resolve_to_files():
    folder = cli.config_folder()
    resolved = cli.resolve_configs(["--config", "action/small_r2plus1d", "--config=trainer/cpu"])
    assert resolved == [
        "--config",
        str(folder / "action/small_r2plus1d.yaml"),
        f"--config={folder / 'trainer/cpu.yaml'}",
    ]
    with pytest.raises(InputError, match="There are: .*action/small_r2plus1d"):
        cli.resolve_configs(["--config", "x"])


def test_public_names_are_imported_on_first_use():
    code = "import videolit, sys; assert 'torch' not in sys.modules; videolit.load_task"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(videolit.__all__) <= set(dir(videolit))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        videolit.nothing  # noqa: B018
