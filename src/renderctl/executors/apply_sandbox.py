"""Gives up all but what a sandbox leaves, then becomes the program: `python apply_sandbox.py OPTIONS -- PROGRAM …`.

What is given up is given up for every thread and child, and nothing brings it back. The options are those that
`Sandbox.wrap` writes. Every session starts with this, so it imports only what is quick to import.
"""

import ctypes
import os
import resource
import struct
import sys

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  #: system calls, the same on every processor
_ASK_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES, _DROP_CAPABILITY, _AMBIENT, _CLEAR_ALL = 38, 24, 47, 4
_NO_LANDLOCK = (38, 95)  #: ENOSYS, EOPNOTSUPP: not built in, not switched on
_DAC_OVERRIDE = 1  #: the one capability that root keeps: its own files may be somebody else's
_CAPABILITIES, _CAPABILITY_VERSION = 64, 0x20080522
#: The system call that sets a filter; without its flag, kernels before 5.16 make every program in one slower.
_SECCOMP, _SET_FILTER, _KEEP_SPEED = {"x86_64": 317, "aarch64": 277}, 1, 1 << 2
_INSTRUCTION = 8  #: bytes
_NO_SECCOMP = (22, 38)  #: EINVAL, ENOSYS: not built in

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR_DEVICE, _MAKE_BLOCK_DEVICE, _TRUNCATE, _IOCTL = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_ALL = (1 << 16) - 1
#: Of a file itself only these can be had.
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
RIGHTS = {
    "--read": _EXECUTE | _READ_FILE | _READ_FOLDER,
    "--write": _ALL & ~(_EXECUTE | _MAKE_CHAR_DEVICE | _MAKE_BLOCK_DEVICE | _IOCTL),
    "--device": _READ_FILE | _WRITE_FILE | _READ_FOLDER | _IOCTL,
}
#: How many rights the kernel knows, by the version of its Landlock; the last one holds for all later ones.
_KNOWN_RIGHTS = (13, 14, 15, 15, 16)
CAN_NOT_START = 126  #: exit code where the sandbox, or the program in it, does not come about


def landlock_version() -> int:
    """Of this kernel's Landlock; 0: it has none. From 4 on it shuts TCP, from 6 on signals and abstract sockets."""
    try:
        version = int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
    except (OSError, AttributeError):  # not Linux
        return 0
    return max(version, 0)


def apply(paths: list[tuple[str, str]], memory_mb: int, file_mb: int, call_filter: bytes = b"") -> bool:
    """Put this process into the sandbox of `paths` (option, path); whether files are shut. 0 MB: no limit.

    Raises OSError when the kernel has what is needed and refuses.
    """
    for limit, most_mb in ((resource.RLIMIT_DATA, memory_mb), (resource.RLIMIT_FSIZE, file_mb)):
        if most_mb:
            resource.setrlimit(limit, (most_mb << 20, most_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return False
    libc = _libc()
    _require(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "privileges")
    version = landlock_version()
    if version:
        _restrict(libc, version, paths)
    _drop_capabilities(libc)
    if call_filter:
        _filter_calls(libc, call_filter)
    return version > 0


def _restrict(libc: ctypes.CDLL, version: int, paths: list[tuple[str, str]]) -> None:
    known = (1 << _KNOWN_RIGHTS[min(version, len(_KNOWN_RIGHTS)) - 1]) - 1
    network, scopes = (0b11 if version >= 4 else 0), (0b11 if version >= 6 else 0)
    shut = struct.pack("QQQ", known, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = int(libc.syscall(_CREATE_RULESET, shut, ctypes.c_size_t(len(shut)), 0))
    _require(ruleset, "a ruleset")
    for option, path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # what is not there needs no opening
            continue
        allowed = RIGHTS[option] & known & (-1 if os.path.isdir(path) else _OF_FILES)  # noqa: PTH112
        _require(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, place), 0), path)
        os.close(place)
    _require(libc.syscall(_RESTRICT_SELF, ruleset, 0), "the sandbox")
    os.close(ruleset)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Leave root, too, no more than its files: in this process, and (the bounding set) in the program that follows."""
    libc.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    for capability in range(_CAPABILITIES):
        if capability != _DAC_OVERRIDE:
            libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)  # who is not root has none, and may not
    header, held = struct.pack("=II", _CAPABILITY_VERSION, 0), ctypes.create_string_buffer(24)
    _require(libc.capget(header, held), "capabilities")
    kept = struct.unpack_from("=I", held, 4)[0] & (1 << _DAC_OVERRIDE)  # of effective, permitted, inheritable ones
    _require(libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)), "capabilities")


def _filter_calls(libc: ctypes.CDLL, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // _INSTRUCTION, ctypes.addressof(code))
    done = libc.syscall(_SECCOMP[os.uname().machine], _SET_FILTER, _KEEP_SPEED, described)
    if done < 0 and ctypes.get_errno() not in _NO_SECCOMP:
        _require(done, "the filter of system calls")


def _require(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def main() -> None:
    arguments = sys.argv[1:]
    options, program = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    pairs = list(zip(options[::2], options[1::2], strict=True))
    others = {option: value for option, value in pairs if option not in RIGHTS}
    memory_mb, file_mb = (int(others.get(option, 0)) for option in ("--memory-mb", "--file-mb"))
    call_filter = bytes.fromhex(others.get("--filter", ""))
    paths = [(option, value) for option, value in pairs if option in RIGHTS]
    try:
        if not apply(paths, memory_mb, file_mb, call_filter):
            print("This kernel has no Landlock: files and the network are not shut.", file=sys.stderr, flush=True)
        os.execv(program[0], program)
    except OSError as error:
        print(f"{program[0]} can not be started in a sandbox: {error}.", file=sys.stderr, flush=True)
        sys.exit(CAN_NOT_START)


if __name__ == "__main__":
    main()
