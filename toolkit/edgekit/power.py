"""What a run says of electrical power: pure, from the curve that a sustained run keeps."""

from statistics import fmean, median

from edgekit.run import Run


def mean_power_mw(run: Run) -> float | None:
    """The mean of what the whole module took while a sustained run worked, milliwatts; None where it is not known."""
    points = [point.power_mw for item in run.repetitions for point in item.trace if point.power_mw is not None]
    return fmean(points) if points else None


def energy_mj(run: Run) -> float | None:
    """Energy for an inference, millijoule: mean power of the whole module times the median latency.

    What the module takes when it idles is in it. Only a sustained run works long enough, and without a pause, for its
    power to be that of the inferences; of any other run this is None.
    """
    power_mw = mean_power_mw(run)
    samples = [sample for item in run.repetitions for sample in item.samples_ns]
    if power_mw is None or run.schedule.mode != "sustained" or not samples:
        return None
    return power_mw * median(samples) / 1e9
