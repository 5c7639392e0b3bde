"""The seccomp filter of a sandbox, for system calls that Landlock does not cover.

It covers local sockets (of a container engine, a database), UDP, namespaces, other processes' memory and keys, and
permissions of our files: what an attacker who has taken over Blender by a crafted file would try next.
"""

import platform
import struct
from functools import cache

#: System calls that fail with EPERM, by their numbers on x86_64 and aarch64; None: it does not exist there.
_DENIED: tuple[tuple[int | None, int | None], ...] = (
    *(
        (101, 117),
        (310, 270),
        (311, 271),
        (312, 272),
        (438, 438),
    ),  # ptrace, process_vm_readv, …_writev, kcmp, pidfd_getfd
    *((298, 241), (321, 280), (323, 282)),  # perf_event_open, bpf, userfaultfd
    *((248, 217), (249, 218), (250, 219)),  # add_key, request_key, keyctl
    *((425, 425), (426, 426), (427, 427)),  # io_uring_setup, …_enter, …_register: they would go around this filter
    *((272, 97), (308, 268)),  # unshare, setns
    *((165, 40), (166, 39), (155, 41)),  # mount, umount2, pivot_root
    *((428, 428), (429, 429), (430, 430), (431, 431), (432, 432), (433, 433), (442, 442)),  # open_tree … mount_setattr
    (304, 265),  # open_by_handle_at
    *((29, 194), (30, 196), (68, 186), (64, 190), (240, 180)),  # shmget, shmat, msgget, semget, mq_open
    (42, 203),  # connect
    *((254, 27), (300, 262)),  # inotify_add_watch, fanotify_init: they tell names in folders that may not be read
    *((188, 5), (189, 6), (190, 7), (463, 463), (197, 14), (198, 15), (199, 16)),  # setxattr …, removexattr …
)
#: System calls that succeed without effect: programs set permissions and times of files that they copy.
_IGNORED: tuple[tuple[int | None, int | None], ...] = (
    *((90, None), (91, 52), (268, 53), (452, 452)),  # chmod, fchmod, fchmodat, fchmodat2
    *((92, None), (93, 55), (94, None), (260, 54)),  # chown, fchown, lchown, fchownat
    *((132, None), (235, None), (261, None), (280, 88)),  # utime, utimes, futimesat, utimensat
    (112, 157),  # setsid: what leaves the session that it was started in would outlive it
)
_SOCKET, _SOCKET_PAIR, _CLONE, _CLONE3, _PRLIMIT = (41, 198), (53, 199), (56, 220), (435, 435), (302, 261)
_AF_UNIX, _AF_NETLINK, _NEW_USER = 1, 16, 0x10000000
#: Mask of a socket's type, and the types that must be connected to send.
_KIND, _STREAM, _SEQUENCED = 0xF, 1, 5
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  #: of x86_64: the same calls by other numbers
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
#: BPF instructions, and offsets in struct seccomp_data.
_LOAD, _EQUAL, _AT_LEAST, _HAS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_Instruction = tuple[int, int, int, int]


@cache
def call_filter(machine: str = platform.machine()) -> bytes:
    """Return the BPF program for a processor; empty for one whose call numbers are not known here."""
    if machine not in _ARCHITECTURES:
        return b""
    column, architecture = _ARCHITECTURES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_LOAD, 0, 0, _NUMBER),
        *([(_EQUAL, 0, 0, 0)] if column else [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERROR | _EPERM)]),
    ]
    for calls, error in ((_DENIED, _EPERM), (_IGNORED, 0), ((_CLONE3,), _ENOSYS)):
        for numbers in calls:
            if (number := numbers[column]) is not None:
                program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]
    # rules on arguments: a socket's family, a clone's user namespace, the process whose limits are set
    for sockets in (_SOCKET, _SOCKET_PAIR):
        program += _argument_rule(sockets[column], _socket_rules())
    program += _argument_rule(_CLONE[column], [(_HAS, 0, 1, _NEW_USER), (_RETURN, 0, 0, _ERROR | _EPERM)])
    program += _argument_rule(_PRLIMIT[column], [(_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _ERROR | _EPERM)])
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _socket_rules() -> list[_Instruction]:
    """Allow only stream and sequenced Unix sockets: they need connect, which is denied; datagrams do not."""
    return [
        (_EQUAL, 5, 0, _AF_NETLINK),
        (_EQUAL, 0, 5, _AF_UNIX),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_AND, 0, 0, _KIND),
        (_EQUAL, 1, 0, _STREAM),
        (_EQUAL, 0, 1, _SEQUENCED),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | _EACCES),
    ]


def _argument_rule(number: int, instructions: list[_Instruction]) -> list[_Instruction]:
    """Apply instructions to a call's first argument; what passes is allowed."""
    body = [(_LOAD, 0, 0, _FIRST_ARGUMENT), *instructions, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(body), number), *body]
