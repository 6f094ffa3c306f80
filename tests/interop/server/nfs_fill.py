"""Writes a file of so many bytes over NFS as a client without a kernel's help; run in a machine's namespace.

Arguments: SERVER PATH FILE BYTES. Prints as JSON how many bytes were taken, and the error that ended it. libnfs 4.0
can't send NFSv4 writes of more than some 4 KB, and its own nfs-cp tries.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CHUNK = 3072


def library() -> ctypes.CDLL:
    """libnfs of Debian 12 or 13; both take a write's length before its bytes."""
    try:
        return ctypes.CDLL("libnfs.so.13")
    except OSError:
        return ctypes.CDLL("libnfs.so.14")


def main(server: str, path: str, name: str, size: int) -> None:
    nfs = library()
    nfs.nfs_init_context.restype = ctypes.c_void_p
    nfs.nfs_get_error.restype = ctypes.c_char_p
    context, handle = ctypes.c_void_p(nfs.nfs_init_context()), ctypes.c_void_p()
    nfs.nfs_set_version(context, 4)
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    taken, status = 0, nfs.nfs_mount(context, server.encode(), path.encode())
    if status == 0:
        status = nfs.nfs_open(context, name.encode(), flags, ctypes.byref(handle))
    while status >= 0 and taken < size:
        count = min(CHUNK, size - taken)
        status = nfs.nfs_write(context, handle, ctypes.c_uint64(count), b"x" * count)
        taken += max(status, 0)
    error = nfs.nfs_get_error(context).decode() if status < 0 else ""
    if status >= 0 and nfs.nfs_close(context, handle) < 0:
        error = nfs.nfs_get_error(context).decode()
    print(json.dumps({"taken": taken, "error": error}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
