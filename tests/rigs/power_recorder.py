"""A disk that remembers every write and flush, for nbdkit's python plugin.

Log, little endian: kind (1 write, 2 flush), offset, length, then the bytes.
Requests come one at a time, so a flush covers every write before it.
"""

import builtins
import struct

import nbdkit

API_VERSION = 2
image = None
log = None


def config(key, value):
    global image, log
    if key == "image":
        image = builtins.open(value, "r+b", buffering=0)
    elif key == "log":
        log = builtins.open(value, "ab", buffering=0)


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):
    return 1


def get_size(handle):
    return image.seek(0, 2)


def pread(handle, buffer, offset, flags):
    image.seek(offset)
    image.readinto(buffer)


def pwrite(handle, buffer, offset, flags):
    image.seek(offset)
    image.write(buffer)
    log.write(struct.pack("<BQQ", 1, offset, len(buffer)) + bytes(buffer))


def can_flush(handle):
    return True


def flush(handle, flags):
    log.write(struct.pack("<BQQ", 2, 0, 0))


def can_fua(handle):
    return nbdkit.FUA_EMULATE
