"""Whose a run folder's configuration is: the user's own may name anything, a stranger's only parts."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from ocrexp.config import authorship, trust
from ocrexp.config.compose import compose
from ocrexp.config.definitions import defines
from ocrexp.config.frozen import FROZEN, JOB, RESOLVED, JobInfo, read_frozen, read_job, read_resolved, write_job
from ocrexp.config.paths import shipped_conf
from ocrexp.errors import ConfigError

PACKAGE = Path(trust.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    return compose("train", ["dataset=det_list", "dataset.root=/data"])


@pytest.fixture
def run_dir(tmp_path: Path, composed: DictConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own run; the process that reads it is another one than the one that composed it."""
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    folder = tmp_path / "run"
    write_job(folder, composed, JobInfo("a run"))
    monkeypatch.delenv("OCREXP_COMPOSED", raising=False)
    return folder


def changed(run_dir: Path, node: str, value: Any) -> Path:
    """The run as someone else would send it: with a node of its configuration replaced."""
    config = OmegaConf.load(run_dir / FROZEN)
    OmegaConf.update(config, node, value, merge=False, force_add=True)
    (run_dir / FROZEN).write_text(OmegaConf.to_yaml(config), encoding="utf-8")
    return run_dir


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site" / "mypkg"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("from mypkg.nets import Net as Short\nimport os\n")
    (folder / "nets.py").write_text(
        "import os\nfrom os import system\nfrom os.path import *\nfrom .deep.more import Deep\nrun = system\n"
        "class Net: pass\ndef make(): return Net()\nclass Twice: pass\nfrom os import system as Twice\n"
    )
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "deep" / "more.py").write_text("class Deep: pass\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


REFUSED = [
    "os.system",
    "paddle.load",
    "paddle.optimizer.lr.LambdaDecay",
    "paddle.optimizer.optimizer.os.system",
    "site.addsitedir",
    "builtins.exec",
    "subprocess.Popen",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "functools.partial",
    "ocrexp.config.build.os.system",
    "ocrexp.config.frozen.read_job",
    "ocrexp.runs.hooks.RunGuard",
    "ocrexp.files.write_text",
    "ocrexp.weights.reader.read_content",
    "ocrexp.models.pretrained.load_pretrained",
    "ocrexp.models.cpu.onednn.Library",
    "ocrexp.models.model.nn.Layer",
    "ocrexp.models.model.OCRModel.__init__",
    "ocrexp.models.backbones.mobilenet_v3.ConvBNAct.forward",
    "ocrexp.models.backbones.no_such_file.Net",
    "ocrexp.models.backbones.mobilenet_v3.paddle",
    "ocrexp.loggers.csv._format",
    "ocrexp.data.charset.describe",
    "ocrexp.charset.sources.Path",
    "ocrexp.charset.dictionary.read_dictionary",
    "ocrexp.losses.db.DBLoss\n",
    "ocrexp.losses.../../evil.DBLoss",
    "evil",
    "evil.Part",
    "outputs.stranger.evil.Part",
    "${oc.env:HOME}",
    "${name}",
    7,
    ["os.system"],
    None,
]


@pytest.mark.parametrize("target", REFUSED)
def test_a_strangers_target_is_refused_in_one_line_wherever_it_is(tmp_path: Path, target: Any) -> None:
    part = {"_target_": target, "_partial_": True, "x": 1}
    outer = {"_target_": "ocrexp.losses.db.DBLoss"}
    for config, key in (
        ({"dataset": part}, "dataset._target_"),
        ({"unused": {"deep": [1, [part]]}}, "unused.deep[1][0]._target_"),
        ({"loss": {**outer, "_args_": [part]}}, "loss._args_[0]._target_"),
        ({"loss": {**outer, "inner": part}}, "loss.inner._target_"),
        (part, "_target_"),
    ):
        with pytest.raises(ConfigError) as error:
            trust.admit(config, Path("config.yaml"), tmp_path, ())
        assert str(error.value).startswith(f"config.yaml: {key}: ")
        assert "\n" not in str(error.value)


def test_a_strangers_run_is_read_so(run_dir: Path) -> None:
    changed(run_dir, "callbacks.x._target_", "os.system")
    with pytest.raises(ConfigError, match=r"config\.yaml: callbacks\.x\._target_: os\.system is not a part of ocrexp"):
        read_frozen(run_dir)


def test_a_package_is_named_in_the_line_that_refuses_it(run_dir: Path, package: Path) -> None:
    changed(run_dir, "model.backbone._target_", "mypkg.nets.Net")
    with pytest.raises(ConfigError, match=r"OCREXP_TRUSTED=mypkg or add trusted=\[mypkg\]"):
        read_frozen(run_dir)


@pytest.mark.parametrize("how", ["variable", "key"])
def test_a_named_package_is_taken(run_dir: Path, package: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv(trust.VARIABLE, "other, mypkg")
    packages = trust.trusted_packages(["mypkg"] if how == "key" else None)

    def admit(target: str) -> None:
        trust.admit({"model": {"backbone": {"_target_": target}}}, run_dir / FROZEN, run_dir, packages)

    for target in ("mypkg.nets.Net", "mypkg.nets.make", "mypkg.Short", "mypkg.nets.Deep", "mypkg.deep.more.Deep"):
        admit(target)
    for target in (
        "mypkg.os.system", "mypkg.nets.system", "mypkg.nets.run", "mypkg.nets.join", "mypkg.nets.Twice",
        "mypkg.nothing.X", "mypkg2.nets.Net", "os.system",
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="backbone"):
            admit(target)


def test_a_package_in_the_run_folder_is_not_the_users(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run_dir / "mypkg.py").write_text("class Net: pass\n")
    monkeypatch.syspath_prepend(str(run_dir))
    changed(run_dir, "model.backbone._target_", "mypkg.Net")
    with pytest.raises(ConfigError, match="outside of the run folder"):
        read_frozen(run_dir, ["mypkg"])


@pytest.mark.parametrize("name", ["os", "subprocess", "paddle", "ocrexp", "my-pkg", "a b"])
def test_what_cannot_be_trusted_as_a_whole(name: str) -> None:
    with pytest.raises(ConfigError, match="trusted"):
        trust.trusted_packages([name])


def test_nothing_is_imported_to_look_at_a_package(run_dir: Path, package: Path) -> None:
    import sys

    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    changed(run_dir, "model.backbone._target_", "mypkg.nets.Net")
    read_frozen(run_dir, ["mypkg"])
    assert "mypkg" not in sys.modules


@pytest.mark.parametrize(
    "text",
    ["${oc.env:SECRET}", "x${ oc.env : SECRET }", "${first:null,${oc.env:SECRET}}", "${oc.decode:${name}}",
     "${oc.create:'{_target_: os.system}'}", "${${name}:x}", "${hydra:job.name}"],
)  # fmt: skip
def test_a_strangers_resolvers_are_not_run(
    run_dir: Path, text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET", "password")
    (run_dir / FROZEN).write_text((run_dir / FROZEN).read_text().replace("root: /data", f'root: "{text}"'))
    config = read_frozen(run_dir)
    assert OmegaConf.is_missing(config.dataset, "root")
    assert "dataset.root" in caplog.text


def test_a_strangers_programs_are_not_started(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed(run_dir, "trainer.launch_args", ["run/evil.py"])
    assert list(read_frozen(run_dir).trainer.launch_args) == []
    assert "trainer.launch_args" in caplog.text


def test_an_unchanged_run_from_someone_else_is_taken(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = read_frozen(run_dir)
    (run_dir / authorship.SIGNATURES).unlink()
    assert read_frozen(run_dir) == own
    assert read_resolved(run_dir).dataset.root == "/data"


def test_the_users_own_package_stays_free(
    tmp_path: Path, run_dir: Path, composed: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed.copy()
    OmegaConf.update(config, "model.backbone._target_", "mypkg.nets.Net")
    monkeypatch.setenv("SECRET", "/mine")
    OmegaConf.update(config, "dataset.root", "${oc.env:SECRET}")
    write_job(run_dir, config, JobInfo("mine"))
    monkeypatch.delenv("OCREXP_COMPOSED")
    moved = run_dir.rename(tmp_path / "moved")
    assert read_frozen(moved).dataset.root == "/mine"
    assert read_resolved(moved).model.backbone._target_ == "mypkg.nets.Net"
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "another user"))
    with pytest.raises(ConfigError, match="OCREXP_TRUSTED=mypkg"):
        read_frozen(moved)


def test_processes_of_a_run_need_no_cache(
    run_dir: Path, composed: DictConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "file"))
    config = composed.copy()
    OmegaConf.update(config, "model.backbone._target_", "mypkg.nets.Net")
    write_job(run_dir, config, JobInfo("mine"))
    assert read_resolved(run_dir).model.backbone._target_ == "mypkg.nets.Net"
    changed(run_dir, "dataset", {"_target_": "os.system"})
    with pytest.raises(ConfigError):
        read_frozen(run_dir)


def test_a_key_that_others_can_read_is_not_used(run_dir: Path, tmp_path: Path) -> None:
    key = tmp_path / "cache" / "trust.key"
    text = (run_dir / FROZEN).read_text()
    assert authorship.is_own(run_dir, text)
    key.chmod(0o644)
    assert not authorship.is_own(run_dir, text)


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter + 1, letter + 1, b", ".join([b"*%c" % letter] * 10)) for letter in range(97, 110)
)


@pytest.mark.parametrize("name", [FROZEN, RESOLVED])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"[1]", "is a list"),
        (b"just text", "trainer"),
        (b"a: [1", "not valid YAML in line"),
        (b"a: !!python/object/apply:os.system [exit]", "YAML"),
        (b"\xff\xfe\x00", "YAML"),
        (b"a: " + b"[" * 100_000, "levels deep"),
        (BOMB, "values"),
        (b"a: &a [*a]", "itself"),
        (b"cut", None),
        (b"node", None),
    ],
)  # fmt: skip
def test_a_damaged_configuration_is_one_line(run_dir: Path, name: Path, content: bytes, words: str | None) -> None:
    whole = (run_dir / name).read_bytes()
    contents = {b"cut": [whole[:end] for end in (600, len(whole) // 2, len(whole) - 3, len(whole) - 20)]}
    contents[b"node"] = [
        whole.replace(b"trainer:", b"trainer: 3\nother:"),
        whole.replace(b"overfit: false", b"overfit:"),
    ]
    for damaged in contents.get(content, [content]):
        (run_dir / name).write_bytes(damaged)
        with pytest.raises(ConfigError) as error:
            read_frozen(run_dir) if name == FROZEN else read_resolved(run_dir)
        assert str(run_dir / name) in str(error.value)
        assert (words or "; ") in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"[1]", b'{"name": 3}', b'{"x": 1}', b"{", b"[" * 100_000])
def test_names_of_a_job_that_are_lost_do_not_stop_a_run(
    run_dir: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_job(run_dir) == JobInfo("a run")
    (run_dir / JOB).unlink() if content is None else (run_dir / JOB).write_bytes(content)
    assert read_job(run_dir).name == "run"
    assert str(run_dir / JOB) in caplog.text


def targets_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from targets_in(value)


def admitted(target: str) -> bool:
    try:
        trust.admit({"_target_": target}, Path("config.yaml"), Path("/nowhere"), ())
    except ConfigError:
        return False
    return True


def test_every_shipped_target_is_a_part() -> None:
    found = {
        target
        for path in shipped_conf().rglob("*.yaml")
        if path.relative_to(shipped_conf()).parts[0] != "hydra"  # composed anew for each command, never read from a run
        for target in targets_in(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader))
    }
    assert len(found) > 200
    assert [target for target in found if not admitted(target)] == []


def test_every_target_that_ocrexp_itself_writes_is_a_part() -> None:
    written = re.compile(r"\"_target_\": \"([^\"]+)\"")
    found = {name for path in PACKAGE.rglob("*.py") for name in written.findall(path.read_text(encoding="utf-8"))}
    assert "ocrexp.charset.sources.from_classes" in found
    assert [target for target in found if not admitted(target)] == []


# What a class may not do when it is built: a stranger's configuration names it with arguments of its own.
DANGEROUS = {
    "open", "exec", "compile", "__import__", "import_module", "system", "popen", "Popen", "run", "fork", "kill",
    "killpg", "unlink", "remove", "rmtree", "rmdir", "rename", "mkdir", "makedirs", "touch", "symlink_to", "chmod",
    "write_text", "write_bytes", "save", "load", "loads", "CDLL", "LoadLibrary", "urlopen", "connect", "Process",
    "Thread", "start", "extractall", "put_folder", "new_folder", "claim_folder", "read_parameters", "read_states",
}  # fmt: skip


def calls_when_built(built: ast.ClassDef, module: ast.Module) -> set[str]:
    """Names of what `__init__` calls, and what its own methods and functions of the same file call for it."""
    methods = {item.name: item for item in built.body if isinstance(item, ast.FunctionDef)}
    functions = {item.name: item for item in module.body if isinstance(item, ast.FunctionDef)}
    todo = [methods[name] for name in ("__new__", "__init__", "__post_init__") if name in methods]
    seen: set[str] = set()
    for function in todo:  # grows on the way
        for called in (node.func for node in ast.walk(function) if isinstance(node, ast.Call)):
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            of_self = isinstance(called, ast.Attribute) and ast.unparse(called.value) == "self"
            inner = (methods if of_self else functions if isinstance(called, ast.Name) else {}).get(name)
            if inner is not None and name not in seen:
                todo.append(inner)
            seen.add(name)
    return seen


def test_only_parts_are_admitted_and_building_them_is_harmless() -> None:
    functions, classes, harmful = set(), 0, []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(["ocrexp", *path.relative_to(PACKAGE).with_suffix("").parts])
        module = ast.parse(path.read_bytes())
        for item in module.body:
            if not isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if admitted(f"{name}.{item.name}"):
                if isinstance(item, ast.ClassDef):
                    classes += 1
                    harmful += [f"{name}.{item.name}: {call}" for call in calls_when_built(item, module) & DANGEROUS]
                else:
                    functions.add(f"{name}.{item.name}")
    assert harmful == []
    assert functions == {
        f"ocrexp.charset.sources.from_{what}" for what in ("characters", "classes", "dictionary", "labels")
    }
    assert classes > 300


@pytest.mark.parametrize(
    "target",
    [
        "data.formats.containers.LmdbWriter", "data.formats.shard_writer.ShardWriter", "data.shared.SharedSlots",
        "data.synth.cache.write", "data.synth.drawn.write_dataset", "data.worker.Worker",
        "deploy.outputs.PredictionFolder",
        "engine.checkpoint.CheckpointStore", "engine.launcher.main", "engine.sealed.read_states", "files.write_bytes",
        "folders.put_folder", "loggers.background.Background", "models.cpu.onednn.Library",
        "runs.hooks.RunGuard", "runs.job_process.start", "weights.fetching.fetch", "weights.reader.read_parameters",
    ],
)  # fmt: skip
def test_what_writes_starts_processes_or_loads_files_is_refused(target: str) -> None:
    module, _, member = f"ocrexp.{target}".rpartition(".")
    assert defines(module, member, (), Path("/nowhere"))
    assert not admitted(f"ocrexp.{target}")


def test_a_run_folder_is_not_searched_for_modules(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from ocrexp.__main__ import main

    monkeypatch.chdir(run_dir)
    monkeypatch.setattr(sys, "path", ["", str(run_dir), *sys.path])
    monkeypatch.setenv("OCREXP_START_FOLDER", "")
    main(["--version"])
    assert "" not in sys.path
    assert os.fspath(run_dir) not in sys.path
