"""The part of a harness that is made of a program: such a program runs one model at a time."""

from edgekit.device import DeviceUrl
from edgekit.errors import UsageError
from edgekit.protocols import Deployment, Link, Progress
from edgekit.run import Run, Schedule
from edgekit.target import TargetProfile


class OneModel:
    """Refuses to measure two artifacts in turns.

    Attributes:
        name: What the program is called.
    """

    name: str

    def measure_pair(
        self,
        link: Link,  # noqa: ARG002 - the protocol's
        deployments: tuple[Deployment, Deployment],  # noqa: ARG002
        target: TargetProfile,  # noqa: ARG002
        schedule: Schedule,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
        *,
        device: DeviceUrl,  # noqa: ARG002
        check_golden: bool = True,  # noqa: ARG002
        slowed: tuple[float, float] = (0.0, 0.0),  # noqa: ARG002
    ) -> tuple[Run, Run]:
        """Nothing.

        Raises:
            UsageError: Two artifacts cannot take turns.
        """
        raise UsageError(f"{self.name} runs one model at a time: two cannot take turns.", hint="Leave --paired out.")
