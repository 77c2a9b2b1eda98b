"""The worker process: loads a source model, makes and checks artifacts, tells what it does as JSON lines.

Started by `edgekit.isolation` as `python -m edgekit.worker JOB FD`. A framework that takes the process down takes
only this one.
"""
