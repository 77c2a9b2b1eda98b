"""MCUboot images over the Simple Management Protocol (Zephyr's mcumgr), on a serial line, by the library smpclient.

The image goes to the second slot and is marked for a test: MCUboot swaps at the next start, and swaps back when the
new firmware does not confirm itself (docs.mcuboot.com, design; Zephyr, SMP over console).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement, Step
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.line import open_line

if TYPE_CHECKING:
    from smpclient import SMPClient

MAGIC: Final = 0x96F3B83D.to_bytes(4, "little")
"""How an MCUboot image begins (MCUboot, boot/bootutil/include/bootutil/image.h: IMAGE_MAGIC)."""

_ANSWER_S: Final = 5.0


class _Smp:
    name = "smp"
    title = "MCUboot images, to firmware or a boot loader that speaks SMP (Zephyr's mcumgr)"
    images: Sequence[ImageFormat] = ("bin",)
    options: Mapping[str, str] = {"reset": "no, to leave the restart to you; default: restart into the new image"}
    evidence = "untested on hardware"
    keeps_previous = False
    needs_port = True
    requires: Sequence[Requirement] = (Requirement(module="smpclient", extra="flash"),)

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """A file that MCUboot would refuse."""
        if not job.image.segments[0].data.startswith(MAGIC):
            return [
                Objection(
                    cause=f"{job.image.path.name} is no MCUboot image.",
                    hint="Give the signed one: build/zephyr/zephyr.signed.bin, or sign it with imgtool.",
                )
            ]
        return []

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Upload it, see its hash in the list of images there, mark it for a test, restart."""
        with open_line(SerialUrl(port=job.port, baud=job.baud)):
            """It is there, may be opened, and nobody has it."""
        with progress.step(f"upload {job.image.path.name}", job.image.size) as step:
            digest = asyncio.run(_upload(job, step))
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=job.image.size,
            verified=f"MCUboot's hash {digest.hex()[:16]}… is in the board's list of images",
            notes=("marked for a test: the new firmware must confirm itself, or MCUboot goes back to the one before",),
        )


async def _upload(job: FlashJob, step: Step) -> bytes:
    from smpclient import SMPClient
    from smpclient.exceptions import SMPClientException
    from smpclient.mcuboot import IMAGE_TLV, ImageInfo, MCUBootImageError
    from smpclient.requests.image_management import ImageStatesRead
    from smpclient.transport.serial import SMPSerialTransport

    client = SMPClient(SMPSerialTransport(baudrate=job.baud), job.port)
    try:
        digest = ImageInfo.load_file(str(job.image.path)).get_tlv(IMAGE_TLV.SHA256).value
        await client.connect(_ANSWER_S)
        await client.request(ImageStatesRead(), _ANSWER_S)  # the upload itself would wait 40 s for a first answer
        done = 0
        async for offset in client.upload(job.image.path.read_bytes()):
            step.advance(offset - done)
            done = offset
        await _mark(client, digest, job)
    except MCUBootImageError as error:
        raise DeviceError(
            f"{job.image.path.name} is a broken MCUboot image: {error}.", hint="Sign it again."
        ) from error
    except TimeoutError as error:
        raise DeviceError(
            f"Nothing speaks SMP at {job.port} ({job.baud} baud).",
            hint="Does the firmware have CONFIG_MCUMGR and CONFIG_UART_MCUMGR? MCUboot's serial recovery: hold its "
            "button at reset.",
            transient=True,
        ) from error
    except (SMPClientException, OSError) as error:
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DeviceError(f"The board did not take the image: {said}", hint="Has its slot room for it?") from error
    finally:
        await client.disconnect()
    return bytes(digest)


async def _mark(client: "SMPClient", digest: bytes, job: FlashJob) -> None:
    """See that it is there whole, and have it started once.

    Raises:
        DeviceError: It is not.
    """
    from smpclient.generics import success
    from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite
    from smpclient.requests.os_management import ResetWrite

    told = await client.request(ImageStatesRead(), _ANSWER_S)
    if not success(told) or digest not in {bytes(image.hash or b"") for image in told.images}:
        raise DeviceError("The board does not list the image that was sent.", hint="Send it again.", transient=True)
    marked = await client.request(ImageStatesWrite(hash=digest, confirm=False), _ANSWER_S)
    if not success(marked):
        raise DeviceError(f"The board does not mark the image for a test: {marked}.", hint="Is it signed by its key?")
    if job.option("reset") != "no":
        await client.request(ResetWrite(), _ANSWER_S)


FLASHER: Flasher = _Smp()
