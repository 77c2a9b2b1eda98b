"""Versions of artifacts on a device."""

from collections.abc import Mapping, Sequence

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.protocols import Delivered, Deployer, Link, Progress, Version
from edgekit_bridge.update.deliver import deliver
from edgekit_bridge.update.device_side import DeviceSide
from edgekit_bridge.update.history import current_version, rollback_steps, switch_steps, versions_before
from edgekit_bridge.update.recipe import begin_recipe


class _Versions:
    def prepare(self, artifact: Artifact) -> None:
        """Begin to cut it into chunks."""
        begin_recipe(artifact)

    def deliver(self, link: Link, artifact: Artifact, progress: Progress, *, keep: int | None = None) -> Delivered:
        """Bring a version there, and switch to it when `keep` says how many stay."""
        return deliver(link, artifact, progress, keep=keep)

    def switch(self, link: Link, name: str, version: str, *, keep: int) -> None:
        """Make a version current, and take away the oldest beyond `keep`."""
        there = DeviceSide(link=link, name=name)
        there.apply(version, switch_steps(there.versions(), version, keep))

    def rollback(self, link: Link, name: str) -> Version:
        """Switch to the version that was current before.

        Raises:
            UsageError: There is none.
        """
        there = DeviceSide(link=link, name=name)
        look = there.versions()
        if not look.versions:
            raise UsageError(f"There is no artifact {name!r} on the device.", hint="`edgekit artifacts` lists them.")
        present = {version.id: version for version in look.versions}
        before = [id_ for id_ in versions_before(look, current_version(look)) if id_ in present]
        if not before:
            raise UsageError(
                f"No version of {name} was in use before the current one.", hint="`edgekit artifacts` lists them."
            )
        there.apply(before[-1], rollback_steps(before))
        return present[before[-1]]

    def remove(self, link: Link, name: str, version: str) -> None:
        """Take a version away that is not current."""
        DeviceSide(link=link, name=name).apply(version, [f"drop {version}"])

    def artifacts(self, link: Link) -> Mapping[str, Sequence[Version]]:
        """The versions of each artifact there, newest first."""
        return {name: look.versions for name, look in DeviceSide(link=link, name="").every().items()}


DEPLOYER: Deployer = _Versions()
"""Found by `edgekit.catalog`."""
