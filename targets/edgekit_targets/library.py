"""The library of target profiles, as the pipeline knows it."""

from collections.abc import Sequence

from edgekit.plan import Format, Objection
from edgekit.protocols import TargetLibrary
from edgekit.target import BoardMemory, TargetProfile
from edgekit_targets.fit import RUNTIME_BYTES, available_bytes, misfits
from edgekit_targets.load import load_profile, profile_names


class _Library:
    def names(self) -> Sequence[str]:
        """Every profile's name, `host` first."""
        return profile_names()

    def load(self, name: str) -> TargetProfile:
        """The profile of this name; `host` describes this machine."""
        return load_profile(name)

    def runtime_bytes(self, format_: Format) -> int:
        """What a format's runtime takes in memory, before a model."""
        return RUNTIME_BYTES[format_]

    def available_bytes(self, profile: TargetProfile) -> int:
        """What such a device has in memory beside its own system; 0 where that differs by machine."""
        return available_bytes(profile)

    def misfits(
        self,
        profile: TargetProfile,
        *,
        format_: Format,
        model_bytes: int | None = None,
        held_bytes: int | None = None,
        engine: str = "",
        memory: BoardMemory | None = None,
    ) -> Sequence[Objection]:
        """Why a model of this kind will not run or fit there."""
        return misfits(
            profile, format_=format_, model_bytes=model_bytes, held_bytes=held_bytes, engine=engine, memory=memory
        )


LIBRARY: TargetLibrary = _Library()
