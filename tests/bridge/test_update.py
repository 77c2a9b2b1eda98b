"""Artifacts as updates: what travels, what is there afterwards, and what stays whatever fails."""

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pytest

from edgekit import catalog
from edgekit.artifact import Artifact, load_artifact, write_manifest
from edgekit.deployment import artifacts, push, push_all, rollback
from edgekit.device import parse_device
from edgekit.errors import CheckFailed, DeviceError, UsageError
from edgekit.progress import SilentProgress
from edgekit.protocols import Completed, Link, Version
from edgekit_bridge.update import deliver as deliver_module
from edgekit_bridge.update.chunking import LONGEST, SHORTEST, chunks_of
from edgekit_bridge.update.deliver import deliver
from edgekit_bridge.update.device_side import DeviceSide
from edgekit_bridge.update.history import switch_steps
from edgekit_bridge.update.recipe import Chunk, build_steps, plan_update, recipe_of
from models.linear import MakeArtifact, MakePayload

SILENT = SilentProgress()


def noise(count: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same each time."""
    return random.Random(seed).randbytes(count)  # noqa: S311 - not for secrets


@pytest.fixture
def busybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This machine, with nothing but busybox on its PATH: the tools of the smallest devices."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("busybox is not installed (Debian: busybox-static)")
    folder = tmp_path / "busybox"
    folder.mkdir()
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(names) - {"find"}:  # which systems of coreutils alone have not got
        (folder / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(folder))
    return "local:"


DEVICES = [
    "local",
    pytest.param("busybox", marks=pytest.mark.peer),
    pytest.param("ssh_device", marks=[pytest.mark.peer, pytest.mark.slow]),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """A device's URL: this machine, busybox, and a real SSH server."""
    return "local:" if request.param == "local" else str(request.getfixturevalue(request.param))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other quickly."""
    monkeypatch.setattr(deliver_module, "_PAUSE_S", 0.05)


@pytest.fixture
def local() -> Iterator[Link]:
    """A link to this machine."""
    with opened("local:") as link:
        yield link


def opened(device: str) -> AbstractContextManager[Link]:
    """A link to a device."""
    url = parse_device(device)
    return catalog.transport(url.scheme).open(url, timeout_s=10)


def content(folder: str | Path | PurePosixPath) -> dict[str, bytes]:
    """Every file of a version but the recipe."""
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.name != ".recipe")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def current(link: Link, name: str = "payload") -> dict[str, bytes]:
    """What is in use on a device that is this machine."""
    return content(link.home() / "artifacts" / name / "current")


def incoming(link: Link, name: str = "payload") -> list[Path]:
    """What is left of unfinished pushes."""
    return list(Path(link.home() / "artifacts" / name).glob("incoming/*"))


class TestPush:
    def test_there_whole_and_in_use(self, device: str, make_payload: MakePayload) -> None:
        """Every file, the manifest too; the same again sends nothing."""
        artifact = make_payload(noise(300_000))
        pushed = push(artifact, device=device)
        assert content(pushed.folder) == content(artifact.path)
        assert (Path(pushed.folder).parents[1] / "current").readlink() == Path("versions") / artifact.id
        assert pushed.sent_bytes == pushed.bytes == sum(len(data) for data in content(artifact.path).values())
        assert push(artifact, device=device).sent_bytes == 0

    def test_only_what_changed_travels(self, device: str, make_payload: MakePayload) -> None:
        """An insertion moves everything behind it, and is found all the same."""
        data = noise(3_000_000)
        push(make_payload(data), device=device)
        fine_tuned = make_payload(b"a few bytes" + data[:1_500_000] + noise(2_000, 1) + data[1_502_000:])
        pushed = push(fine_tuned, device=device)
        assert content(pushed.folder) == content(fine_tuned.path)
        assert 2_000 < pushed.sent_bytes < 300_000

    def test_it_is_compressed_where_that_helps(self, device: str, make_payload: MakePayload) -> None:
        """Zeros weigh nothing."""
        artifact = make_payload(bytes(2_000_000) + noise(10_000))
        pushed = push(artifact, device=device)
        assert content(pushed.folder) == content(artifact.path)
        assert pushed.sent_bytes < 40_000

    def test_several_over_one_connection(self, device: str, make_payload: MakePayload) -> None:
        """Each under its own name."""
        pair = [make_payload(noise(1_000, seed), name=f"net-{seed}") for seed in (1, 2)]
        assert [pushed.artifact for pushed in push_all(pair, device=device)] == ["net-1", "net-2"]
        assert sorted(artifacts(device)) == ["net-1", "net-2"]

    @pytest.mark.parametrize("size", [0, 1, SHORTEST, LONGEST, LONGEST + 1])
    def test_sizes_at_the_edges(self, size: int, make_payload: MakePayload) -> None:
        """An empty file has no chunk, and is a file."""
        artifact = make_payload(noise(size))
        assert content(push(artifact, device="local:").folder) == content(artifact.path)

    def test_one_byte_over_and_over(self, make_payload: MakePayload) -> None:
        """Equal chunks travel once; a file without a boundary is cut all the same."""
        block = noise(LONGEST, 7)
        artifact = make_payload(b"\xaa" * 1_000_000 + block * 4)
        pushed = push(artifact, device="local:")
        assert content(pushed.folder) == content(artifact.path)

    def test_a_file_name_with_spaces(self, device: str, make_payload: MakePayload) -> None:
        """And with what a shell would read."""
        artifact = make_payload(noise(1_000), file="my  model $(x) 'é'*.tflite")
        assert content(push(artifact, device=device).folder) == content(artifact.path)

    def test_a_model_of_several_folders(self, device: str, make_payload: MakePayload) -> None:
        """Every file is in its folder again; the next version builds on it."""
        data = noise(300_000)
        push(make_payload(data, file="model/1/saved_model.pb"), device=device)
        artifact = make_payload(data + noise(1_000, 1), file="model/1/saved_model.pb")
        pushed = push(artifact, device=device)
        assert "model/1/saved_model.pb" in content(pushed.folder)
        assert content(pushed.folder) == content(artifact.path)
        assert pushed.sent_bytes < 200_000
        assert push(artifact, device=device).sent_bytes == 0


class TestHostile:
    @pytest.mark.parametrize("name", ["../up", "", ".", "a/b", "-rf", "a\nb", ".."])
    def test_a_name_that_leads_elsewhere(self, name: str, make_payload: MakePayload) -> None:
        """It would be a folder on the device."""
        with pytest.raises(UsageError, match="name"):
            push(make_payload(noise(10), name=name), device="local:")

    @pytest.mark.parametrize("file", ["model/../../../up", "/etc/passwd", "model//x", "model/-rf", "./x"])
    def test_a_path_in_an_artifact_that_leads_elsewhere(self, file: str, make_payload: MakePayload) -> None:
        """It would be a file outside the version's folder."""
        artifact = make_payload(noise(10))
        entry = msgspec.structs.replace(artifact.manifest.files[0], name=file)
        write_manifest(
            artifact.path, msgspec.structs.replace(artifact.manifest, files=(*artifact.manifest.files, entry))
        )
        with pytest.raises(UsageError, match="leads elsewhere"):
            push(artifact.path, device="local:")

    def test_a_file_of_the_artifact_that_would_be_a_step(self, make_payload: MakePayload) -> None:
        """A line's end in a file's name would end a step for the device and begin another."""
        with pytest.raises(UsageError, match="name"):
            push(make_payload(noise(10), file="x\nuse"), device="local:")

    def test_it_changed_since_it_was_made(self, make_payload: MakePayload, local: Link) -> None:
        """Found before anything travels."""
        artifact = make_payload(noise(1_000))
        (artifact.path / "model.tflite").write_bytes(noise(1_000, 1))
        with pytest.raises(UsageError, match="damaged"):
            push(artifact.path, device="local:")
        assert not Path(local.home()).exists()


class TestVersions:
    def test_back_and_no_further(self, device: str, make_payload: MakePayload) -> None:
        """To the one before; where there is none, that is said."""
        old, new = (make_payload(noise(1_000, seed)) for seed in (1, 2))
        push(old, device=device)
        with pytest.raises(UsageError, match="No version of payload was in use before"):
            rollback("payload", device=device)
        push(new, device=device)
        assert rollback("payload", device=device).id == old.id
        assert in_use(device) == old.id
        with pytest.raises(UsageError, match="No version of payload was in use before"):
            rollback("payload", device=device)

    def test_nothing_to_go_back_with(self, device: str) -> None:
        """A name that is not there."""
        with pytest.raises(UsageError, match="There is no artifact 'none'"):
            rollback("none", device=device)

    def test_the_last_ones_stay(self, device: str, make_payload: MakePayload) -> None:
        """Those that were in use last, not those that came last."""
        made = [make_payload(noise(1_000, seed)) for seed in range(4)]
        for artifact in (made[0], made[1], made[0], made[2], made[3]):
            push(artifact, device=device, keep=3)
        assert {version.id for version in artifacts(device)["payload"]} == {made[0].id, made[2].id, made[3].id}
        assert rollback("payload", device=device).id == made[2].id
        assert rollback("payload", device=device).id == made[0].id

    def test_one_alone(self, make_payload: MakePayload) -> None:
        """Never fewer."""
        for seed in range(2):
            push(make_payload(noise(1_000, seed)), device="local:", keep=1)
        assert len(artifacts("local:")["payload"]) == 1
        with pytest.raises(UsageError, match="keep is 0"):
            push(make_payload(noise(1)), device="local:", keep=0)

    def test_no_artifacts(self, device: str) -> None:
        """A device that nothing was pushed to."""
        assert artifacts(device) == {}


def in_use(device: str) -> str:
    """The id of the version in use."""
    (found,) = [version for version in artifacts(device)["payload"] if version.current]
    assert found.size > 0
    return found.id


@pytest.mark.slow
class TestCheck:
    def test_golden_vectors_pass(self, make_artifact: MakeArtifact, linear_tflite: Path) -> None:
        """Then it is switched to."""
        artifact = make_artifact(linear_tflite)
        assert push(artifact, device="local:", check=True).checked
        assert artifacts("local:")["linear"][0].current

    def test_golden_vectors_differ(self, make_artifact: MakeArtifact, linear_tflite: Path, tmp_path: Path) -> None:
        """Then the version before stays in use, and the new one is gone."""
        good = make_artifact(linear_tflite)
        push(good, device="local:", check=True)
        shutil.move(good.path, tmp_path / "good.edgekit")
        bad = make_artifact(linear_tflite, golden=lambda x: x[:, :3])
        with pytest.raises(CheckFailed, match="gives other outputs"):
            push(bad, device="local:", check=True)
        (left,) = artifacts("local:")["linear"]
        assert (left.id, left.current) == (good.id, True)


class Broken:
    """A link to this machine that breaks after so many bytes of a stream, once or always."""

    def __init__(self, link: Link, after: int, *, always: bool = False) -> None:
        self._link = link
        self._after: int | None = after
        self._always = always
        self.passed: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def run(self, argv: Sequence[str], *, stdin: bytes | Iterable[bytes] | int = b"", **options: Any) -> Completed:
        """Cut a stream; the program there sees its end, as with a real link."""
        if isinstance(stdin, bytes | int):
            return self._link.run(argv, stdin=stdin, **options)
        self.passed.append(0)
        done = self._link.run(argv, stdin=self._cut(stdin), **options)
        if self._after == 0:
            self._after = None if not self._always else 0
            raise DeviceError("The connection broke.", hint="", transient=True)
        return done

    def _cut(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            part = piece if self._after is None else piece[: self._after]
            if self._after is not None:
                self._after -= len(part)
            self.passed[-1] += len(part)
            yield part
            if self._after == 0:
                return


class TestCut:
    @pytest.mark.parametrize("after", [1, 5_000, 400_000, 999_999])
    def test_a_cut_push_goes_on(self, after: int, local: Link, make_payload: MakePayload) -> None:
        """What has come whole is not sent again; nothing is seen of it meanwhile."""
        artifact = make_payload(noise(1_000_000))
        link = Broken(local, after)
        with pytest.raises(DeviceError, match="broke"):
            deliver(link, artifact, SILENT, keep=3, budget_s=0)
        assert artifacts("local:") == {}
        deliver(local, artifact, SILENT, keep=3)
        assert current(local) == content(artifact.path)
        assert incoming(local) == []

    def test_it_tries_again_by_itself(self, local: Link, make_payload: MakePayload) -> None:
        """And sends no more than one chunk twice, beside the lists of chunks."""
        artifact = make_payload(noise(1_000_000))
        link = Broken(local, 600_000)
        deliver(link, artifact, SILENT, keep=3)
        assert current(local) == content(artifact.path)
        assert len(link.passed) == 2
        assert sum(link.passed) < 1_000_000 + LONGEST + 10_000

    def test_it_gives_up(self, local: Link, make_payload: MakePayload) -> None:
        """When no byte more arrives within the budget; what came stays for the next time."""
        artifact = make_payload(noise(1_000_000))
        with pytest.raises(DeviceError, match="broke"):
            deliver(Broken(local, 600_000, always=True), artifact, SILENT, keep=3, budget_s=0.5)
        delivered = deliver(local, artifact, SILENT, keep=3)
        assert delivered.sent_bytes < 400_000 + LONGEST + 10_000

    def test_another_version_comes_first(self, local: Link, make_payload: MakePayload) -> None:
        """What was left of a push that nobody went on with is not in its way."""
        data = noise(1_000_000)
        with pytest.raises(DeviceError, match="broke"):
            deliver(Broken(local, 600_000), make_payload(data), SILENT, keep=3, budget_s=0)
        other = make_payload(data[:500_000] + noise(500_000, 1))
        deliver(local, other, SILENT, keep=3)
        assert current(local) == content(other.path)
        assert incoming(local) == []

    def test_after_every_step(self, local: Link, make_payload: MakePayload) -> None:
        """Whatever step is the last before a power cut: what is in use is whole, and the next push is right."""
        old, new = (make_payload(noise(100_000, 0) + noise(20_000, seed)) for seed in (1, 2))
        there = DeviceSide(link=local, name="payload")
        deliver(local, old, SILENT, keep=1)
        files, look = recipe_of(new), there.look(new.id)
        update = plan_update(files, look.sources)
        steps = [*build_steps(files, update, f"incoming/{new.id}/spool"), *switch_steps(look, new.id, 1)]
        assert len(steps) > 8
        for count in range(len(steps)):
            spool(there, new, update.sent, steps[:count])
            assert current(local) in (content(old.path), content(new.path))
            deliver(local, new, SILENT, keep=1)
            assert current(local) == content(new.path)
            deliver(local, old, SILENT, keep=1)
            assert [version.id for version in artifacts("local:")["payload"]] == [old.id]


def spool(there: DeviceSide, artifact: Artifact, sent: Sequence[tuple[str, int, Chunk]], steps: Sequence[str]) -> None:
    """Receive what travels, and do only those steps."""
    data = b"".join((artifact.path / file).read_bytes()[at : at + chunk.length] for file, at, chunk in sent)
    recipe = b"x"
    plan = b"".join(f"chunk {chunk.sha256} {chunk.length}\n".encode() for _, _, chunk in sent)
    there.call("receive", artifact.id, "0", str(len(recipe)), str(len(plan)), stdin=iter([recipe + plan + data]))
    there.apply(artifact.id, steps)


class TestDamage:
    def test_a_version_that_rotted_is_sent_again(self, local: Link, make_payload: MakePayload) -> None:
        """A card's bit flips; the push is what finds it."""
        artifact = make_payload(noise(500_000))
        model = Path(push(artifact, device="local:").folder) / "model.tflite"
        model.write_bytes(flipped(model.read_bytes()))
        push(artifact, device="local:")
        assert current(local) == content(artifact.path)

    def test_what_it_is_built_on_rotted(self, local: Link, make_payload: MakePayload) -> None:
        """It is verified after it is built, and then sent whole."""
        data = noise(500_000)
        model = Path(push(make_payload(data), device="local:").folder) / "model.tflite"
        model.write_bytes(flipped(model.read_bytes()))
        new = make_payload(data + b"more")
        pushed = push(new, device="local:")
        assert current(local) == content(new.path)
        assert pushed.sent_bytes > 500_000

    def test_a_recipe_that_rotted(self, local: Link, make_payload: MakePayload) -> None:
        """Nonsense in it is passed over."""
        data = noise(500_000)
        folder = Path(push(make_payload(data), device="local:").folder)
        (folder / ".recipe").write_bytes(b"chunk x y\nfile\n\xff\xfe\nchunk " + b"0" * 32 + b" -5\n" + noise(1_000))
        new = make_payload(data + b"more")
        push(new, device="local:")
        assert current(local) == content(new.path)


def flipped(data: bytes) -> bytes:
    """One bit is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Fuller:
    """A link to a device that says it has next to no space."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        """What df says there is changed."""
        done = self._link.run(argv, **options)
        lines = [b"free 3000" if line.startswith(b"free ") else line for line in done.stdout.split(b"\n")]
        return Completed(returncode=done.returncode, stdout=b"\n".join(lines), stderr=done.stderr)


class TestRefused:
    def test_no_space(self, local: Link, make_payload: MakePayload) -> None:
        """Known before anything travels."""
        with pytest.raises(DeviceError, match=r"needs 5\.1 MB free on the device, which has 3\.1 MB") as caught:
            deliver(Fuller(local), make_payload(noise(4_000_000)), SILENT, keep=3)
        assert "?home=" in caught.value.hint
        deliver(Fuller(local), make_payload(noise(1_000_000)), SILENT, keep=3)

    def test_a_home_that_is_none(self, tmp_path: Path, ssh_device: str, make_payload: MakePayload) -> None:
        """A file stands in its place; in the device's words."""
        (tmp_path / "device").write_text("")
        with pytest.raises(DeviceError, match=r"File exists|Not a directory"):
            push(make_payload(noise(10)), device=ssh_device)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_home_that_may_not_be_written(self, tmp_path: Path, ssh_device: str, make_payload: MakePayload) -> None:
        """With where else it could go."""
        (tmp_path / "device").mkdir(mode=0o500)
        with pytest.raises(DeviceError, match="Permission denied") as caught:
            push(make_payload(noise(10)), device=ssh_device)
        assert "?home=" in caught.value.hint


Edit = Callable[[bytes], bytes]


class TestChunks:
    """What would travel of a large artifact, without a device."""

    @pytest.mark.parametrize("size", [0, 1, 100, 1_000_000])
    def test_they_are_the_file(self, size: int, tmp_path: Path) -> None:
        """In order, none missing, each hashed; no longer and, but the last, no shorter than they may be."""
        data = noise(size)
        (tmp_path / "file").write_bytes(data)
        place = 0
        chunks = list(chunks_of(tmp_path / "file"))
        for sha256, length in chunks:
            assert hashlib.sha256(data[place : place + length]).hexdigest().startswith(sha256)
            place += length
        assert place == size
        assert all(SHORTEST <= chunk.length <= LONGEST for chunk in chunks[:-1])

    @pytest.mark.parametrize(
        ("edit", "share"),
        [
            (lambda data: b"x" + data, 0.01),
            (lambda data: data[1:], 0.01),
            (lambda data: data + b"x", 0.01),
            (lambda data: replaced(data, places=20, each=len(data) // 2000), 0.05),
        ],
        ids=["insertion", "deletion", "end", "1 % at 20 places"],
    )
    def test_a_change_moves_few(self, edit: Edit, share: float, tmp_path: Path) -> None:
        """Those next to it."""
        data = noise(32_000_000)
        (tmp_path / "old").write_bytes(data)
        (tmp_path / "new").write_bytes(edit(data))
        old = set(chunks_of(tmp_path / "old"))
        new = [chunk for chunk in chunks_of(tmp_path / "new") if chunk not in old]
        assert 0 < sum(chunk.length for chunk in new) < share * len(data)


def replaced(data: bytes, *, places: int, each: int) -> bytes:
    """Other bytes at so many places."""
    changed = bytearray(data)
    for place in range(places):
        start = place * (len(data) // places) + 1_000
        changed[start : start + each] = noise(each, place + 1)
    return bytes(changed)


def test_a_manifest_by_hand(make_payload: MakePayload) -> None:
    """An artifact is known by its content: written again, it is the same version."""
    artifact = make_payload(noise(1_000))
    push(artifact, device="local:")
    write_manifest(artifact.path, artifact.manifest)
    assert push(load_artifact(artifact.path), device="local:").sent_bytes == 0
    versions: Sequence[Version] = artifacts("local:")["payload"]
    assert len(versions) == 1
