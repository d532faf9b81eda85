"""No telemetry: every library that would report to its maker is told not to, here and in all that is started from here.

Prefect's client sends a first event as it is imported, its server one every ten minutes; so this stands before both.
"""

import os

OFF = {
    "DO_NOT_TRACK": "1",  # Prefect's client, Hugging Face's hub
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What each environment variable is set to. A test reads its names in the images, the compose file and the docs."""


def turn_off() -> None:
    """Set what the user has not set."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
