"""A program on a kernel without Landlock: `python -m tests.no_landlock PROGRAM …`.

The kernel itself refuses the three system calls (seccomp), to the program and to all that it starts.
"""

import ctypes
import os
import struct
import sys

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _AT_LEAST, _ABOVE, _RETURN = 0x20, 0x35, 0x25, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_ENOSYS = 38
_FIRST, _LAST = 444, 446  #: landlock_create_ruleset, landlock_add_rule, landlock_restrict_self


def switch_off() -> None:
    """Have the kernel answer ENOSYS to Landlock's system calls from now on."""
    instructions = (
        (_LOAD, 0, 0, 0),  # the call's number
        (_AT_LEAST, 0, 2, _FIRST),
        (_ABOVE, 1, 0, _LAST),
        (_RETURN, 0, 0, _FAIL | _ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    program = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _MODE_FILTER, program, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "the filter is refused")


if __name__ == "__main__":
    switch_off()
    os.execvp(sys.argv[1], sys.argv[1:])
