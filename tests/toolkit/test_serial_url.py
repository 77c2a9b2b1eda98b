"""Serial lines as device URLs."""

import pytest

from edgekit.device import parse_device
from edgekit.errors import UsageError
from edgekit.serial_url import BAUD, serial_url


@pytest.mark.parametrize(
    ("text", "port", "baud"),
    [
        ("serial:/dev/ttyUSB0?baud=921600", "/dev/ttyUSB0", 921_600),
        ("serial:///dev/ttyUSB0?baud=921600", "/dev/ttyUSB0", 921_600),
        ("serial:/dev/ttyACM0", "/dev/ttyACM0", BAUD),
        ("serial:COM3", "COM3", BAUD),
        ("serial:socket://127.0.0.1:5000", "socket://127.0.0.1:5000", BAUD),
        ("serial:socket://127.0.0.1:5000?baud=57600", "socket://127.0.0.1:5000", 57_600),
    ],
)
def test_a_port_and_its_rate(text: str, port: str, baud: int) -> None:
    """What pyserial opens; the URL that is shown leads to the same line."""
    for url in (parse_device(text), parse_device(str(parse_device(text)))):
        found = serial_url(url)
        assert (found.port, found.baud) == (port, baud)


def test_options_of_its_user() -> None:
    """Whoever knows an option gets it."""
    url = parse_device("serial:/dev/ttyUSB0?protocol=mlperf-tiny&baud=9600")
    assert serial_url(url, known=["protocol"]).options == {"protocol": "mlperf-tiny"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("serial:", "names no serial port"),
        ("serial://ttyUSB0", "names no serial port"),
        ("serial:/dev/ttyUSB0?baud=fast", "is 'fast'"),
        ("serial:/dev/ttyUSB0?baud=0", "is '0'"),
        ("serial:/dev/ttyUSB0?baut=9600", "option 'baut'"),
    ],
)
def test_what_is_no_line(text: str, complaint: str) -> None:
    """Is refused, with how one is written."""
    with pytest.raises(UsageError, match=complaint) as caught:
        serial_url(parse_device(text))
    assert caught.value.hint
