"""A disk whose reads, writes or flushes fail on command, for nbdkit's python
plugin: each fails with EIO while the file CTL/read, CTL/write or CTL/flush is
there. A number in the file: only in front of this byte of the disk.
"""

import builtins
import errno
import os

import nbdkit

API_VERSION = 2
image = None
ctl = None


def config(key, value):
    global image, ctl
    if key == "image":
        image = builtins.open(value, "r+b", buffering=0)
    elif key == "ctl":
        ctl = value


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def fail_if(what, offset=0):
    try:
        with builtins.open(os.path.join(ctl, what)) as file:
            below = file.read()
    except FileNotFoundError:
        return
    if below == "" or offset < int(below):
        nbdkit.set_error(errno.EIO)
        raise OSError(errno.EIO, what)


def open(readonly):
    return 1


def get_size(handle):
    return image.seek(0, 2)


def pread(handle, buffer, offset, flags):
    fail_if("read", offset)
    image.seek(offset)
    image.readinto(buffer)


def pwrite(handle, buffer, offset, flags):
    fail_if("write", offset)
    image.seek(offset)
    image.write(buffer)


def can_flush(handle):
    return True


def flush(handle, flags):
    fail_if("flush")


def can_fua(handle):
    return nbdkit.FUA_EMULATE
